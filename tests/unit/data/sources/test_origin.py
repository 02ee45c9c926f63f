"""Source as a value, the words for splits, and the hash over files."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from convscope.core.errors import UserError
from convscope.data.dataset import ArrayDataset
from convscope.data.sources import origin
from convscope.data.sources.origin import Source, hash_of_files, split_of


@pytest.mark.parametrize(
    ("words", "split"),
    [
        (("train", "Training", "TRAIN", " train "), "train"),
        (("val", "Valid", "VALIDATION", "dev"), "validation"),
        (("test", "Testing"), "test"),
        (("cat", "", "trains", "evaluation", "test2"), None),
    ],
)
def test_names_for_splits(words, split):
    assert {split_of(word) for word in words} == {split}


def make_source(opened: list[str]) -> Source:
    def opening(split):
        def open_split():
            opened.append(split)
            return ArrayDataset(np.zeros((1, 2, 2, 1), np.uint8), np.array([0]), ("a",), split)

        return open_split

    splits = {split: opening(split) for split in ("test", "train")}
    return Source(name="toy", location=__file__, splits=splits, compute_fingerprint=lambda: "f" * 64)


def test_splits_are_listed_in_the_usual_order_and_opened_only_when_asked():
    opened: list[str] = []
    source = make_source(opened)
    assert source.split_names == ("train", "test")
    assert source.fingerprint() == "f" * 64
    assert opened == []
    assert source.open("train").name(0) == "train#0"
    assert opened == ["train"]


def test_a_split_that_is_not_there_is_named_with_those_that_are():
    with pytest.raises(UserError, match=r"toy has no split 'validation'; it has: train, test"):
        make_source([]).open("validation")


def test_the_files_of_a_source_are_hashed_once():
    calls: list[int] = []
    source = Source(
        "toy", Path(__file__), {}, compute_fingerprint=lambda: f"{len(calls)}{calls.append(1) or ''}"
    )
    assert calls == []
    assert source.fingerprint() == source.fingerprint() == "0"
    assert len(calls) == 1


def test_hash_of_files_sees_bytes_and_names_but_not_times(tmp_path):
    a, b = tmp_path / "a", tmp_path / "b"
    a.write_bytes(b"1")
    b.write_bytes(b"2")
    first = hash_of_files([a, b])
    assert hash_of_files([b, a]) == first
    os.utime(a, ns=(5, 5))
    assert hash_of_files([a, b]) == first
    a.write_bytes(b"3")
    assert hash_of_files([a, b]) != first
    a.write_bytes(b"2")
    b.write_bytes(b"1")
    assert hash_of_files([a, b]) != first


def test_above_the_limit_sizes_and_times_are_hashed(tmp_path, monkeypatch):
    file = tmp_path / "a"
    file.write_bytes(b"1234")
    os.utime(file, ns=(5, 5))
    monkeypatch.setattr(origin, "_HASHED_BYTES", 2)
    first = hash_of_files([file])
    file.write_bytes(b"5678")
    os.utime(file, ns=(5, 5))
    assert hash_of_files([file]) == first
    os.utime(file, ns=(6, 6))
    assert hash_of_files([file]) != first
