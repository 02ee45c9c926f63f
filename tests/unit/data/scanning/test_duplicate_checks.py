from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from convscope.data.scanning.duplicate_checks import check_duplicates, joined
from convscope.data.scanning.image_checks import Scanned
from convscope.data.scanning.image_facts import ImageFacts

FLAT = np.zeros((32, 32), np.uint8)


def split(name: str, images: list[tuple[str, int, bytes]]) -> Scanned:
    facts = [ImageFacts(9, 9, "L", False, "", digest, FLAT) for _, _, digest in images]
    return Scanned(
        name, ("cat", "dog"), np.array([label for _, label, _ in images]), [n for n, _, _ in images], facts
    )


@given(st.lists(st.lists(st.sampled_from("abcdefghij"), min_size=1, max_size=3), max_size=12))
def test_joined_groups_share_no_name_and_keep_every_pair_together(groups: list[list[str]]) -> None:
    families = joined(groups)
    names = [name for family in families for name in family]
    assert sorted(names) == sorted({name for group in groups for name in group})
    for group in groups:
        assert sum(bool(set(group) & set(family)) for family in families) == 1


def test_a_group_may_conflict_and_leak_at_once() -> None:
    duplicates = check_duplicates([split("train", [("a", 0, b"1")]), split("test", [("b", 1, b"1")])])
    assert [finding.kind for finding in duplicates.issues] == [
        "exact duplicates, labels conflict",
        "exact duplicates across splits",
    ]
    assert [(entry.name, entry.split) for entry in duplicates.left_out] == [("a", "train"), ("b", "test")]
    assert all("a (cat) = b (dog)" in entry.reason for entry in duplicates.left_out)


def test_every_training_copy_of_a_held_out_image_is_left_out() -> None:
    train = split("train", [("a", 0, b"1"), ("b", 0, b"1"), ("c", 0, b"2")])
    validation = split("validation", [("v", 0, b"1")])
    duplicates = check_duplicates([train, validation])
    assert [entry.name for entry in duplicates.left_out] == ["a", "b"]
    assert duplicates.left_out[0].reason == "also in the validation split, as v"
    assert duplicates.groups == (("a", "b", "v"),)


def test_copies_in_one_split_with_one_label_are_only_mentioned() -> None:
    duplicates = check_duplicates([split("train", [("a", 0, b"1"), ("b", 0, b"1")])])
    assert [(finding.kind, finding.severity) for finding in duplicates.issues] == [
        ("exact duplicates", "note")
    ]
    assert duplicates.left_out == []


def test_nothing_to_compare() -> None:
    assert check_duplicates([split("train", [])]).groups == ()
