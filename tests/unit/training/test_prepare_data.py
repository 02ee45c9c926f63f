from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import small_data
from convscope.core.config import DataConfig
from convscope.core.errors import UserError
from convscope.core.run.display import Display
from convscope.data.preparing.prepared import Prepared
from convscope.data.preparing.prepared_split import PreparedSplit
from convscope.data.source import open_source
from convscope.training.defaults import Defaults
from convscope.training.prepare_data import fraction_of, prepare_data

CHOICE = Defaults("simple_cnn", 12, 12, 1, "basic", 8, 0.1, "")


def gather(source, folder, choice=CHOICE, **settings):
    lines = []
    display = Display(quiet=True)
    display.say = lambda text, style=None: lines.append(text)
    config = DataConfig(source=str(source), **settings)
    prepared = prepare_data(open_source(source), choice, config, seed=1, folder=folder, display=display)
    return prepared, lines


def test_the_parts_of_a_source(npz, tmp_path):
    prepared, lines = gather(npz, tmp_path)
    assert (len(prepared.train), len(prepared.validation), len(prepared.test())) == (162, 18, 45)
    assert np.bincount(prepared.validation.targets).tolist() == [6, 6, 6]
    assert not set(prepared.train.names) & set(prepared.validation.names)
    assert prepared.classes == small_data.CLASSES and lines == []


def test_statistics_are_those_of_the_training_images_alone(npz, tmp_path):
    prepared, _ = gather(npz, tmp_path)
    images = prepared.train.take(np.arange(len(prepared.train))) / 255
    assert prepared.preprocess.mean[0] == pytest.approx(images.mean(), abs=1e-6)
    assert prepared.preprocess.std[0] == pytest.approx(images.std(), abs=1e-6)


def test_symmetric_needs_no_statistics(npz, tmp_path):
    assert gather(npz, tmp_path, normalise="symmetric")[0].preprocess.mean == (0.5,)


def test_the_split_that_is_written_down_is_followed(npz, tmp_path):
    first, _ = gather(npz, tmp_path)
    record = (tmp_path / "split.json").read_text()
    again, _ = gather(npz, tmp_path, validation=0.5)
    assert (
        again.validation.names == first.validation.names and (tmp_path / "split.json").read_text() == record
    )


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"splits": 3}'])
def test_a_damaged_record_is_one_line(npz, tmp_path, text):
    (tmp_path / "split.json").write_text(text)
    with pytest.raises(UserError, match=r"split\.json is damaged"):
        gather(npz, tmp_path)


def test_images_that_changed_since_are_refused(tmp_path):
    data = small_data.write_npz(tmp_path / "data.npz")
    gather(data, tmp_path)
    small_data.write_npz(data, train=90)
    with pytest.raises(UserError, match="has 90 training images and had 180"):
        gather(data, tmp_path)


def test_what_a_scan_finds_harmful_is_left_out_and_said(tmp_path):
    folder = small_data.write_folder(tmp_path / "data")
    first = sorted((folder / "ant").iterdir())[0]
    (folder / "bee" / "other.png").write_bytes(first.read_bytes())
    (folder / "cow" / "broken.png").write_bytes(b"no")
    kept, lines = gather(folder, tmp_path, Defaults("simple_cnn", 12, 12, 3, "basic", 8, 0.1, ""))
    named = {*kept.train.names, *kept.validation.names, *kept.test().names}
    assert {f"ant/{first.name}", "bee/other.png", "cow/broken.png"} & named == set()
    assert lines[0].startswith("scan: 3 images are left out") and "--set data.quarantine=none" in lines[0]
    assert len(json.loads((tmp_path / "split.json").read_text())["exclude"]) == 3


def test_every_image_is_kept_when_asked(tmp_path):
    folder = small_data.write_folder(tmp_path / "data")
    (folder / "bee" / "other.png").write_bytes(sorted((folder / "ant").iterdir())[0].read_bytes())
    (folder / "cow" / "broken.png").write_bytes(b"no")
    kept, lines = gather(
        folder, tmp_path, Defaults("simple_cnn", 12, 12, 3, "basic", 8, 0.1, ""), quarantine="none"
    )
    assert len(kept.train) + len(kept.validation) + len(kept.test()) == 91
    assert len(lines) == 1 and "left out 1 images that cannot be read, first cow/broken.png" in lines[0]


@pytest.mark.parametrize("share", [0.01, 0.2, 0.5, 0.99])
def test_a_share_takes_as_much_of_each_class_and_leaves_validation_and_test(npz, tmp_path, share):
    whole, _ = gather(npz, tmp_path)
    (tmp_path / "other").mkdir()
    some, _ = gather(npz, tmp_path / "other", train_fraction=share)
    assert {*some.train.names} < {*whole.train.names}
    counts = np.bincount(some.train.targets, minlength=3)
    assert counts.tolist() == [min(53, max(1, round(share * 54)))] * 3
    assert some.validation.names == whole.validation.names and some.test().names == whole.test().names
    assert (tmp_path / "split.json").read_text() == (tmp_path / "other" / "split.json").read_text()
    images = some.train.take(np.arange(len(some.train))) / 255
    assert some.preprocess.mean[0] == pytest.approx(images.mean(), abs=1e-6), (
        "what is not seen is not measured"
    )


def labelled(labels):
    array = np.asarray(labels)
    prepared = Prepared(
        np.zeros((len(array), 1, 1, 1), np.uint8), array, ("",) * len(array), np.arange(len(array)), ()
    )
    return PreparedSplit(prepared, np.arange(len(array))[::-1].copy())


@given(st.lists(st.integers(0, 4), min_size=1, max_size=60), st.floats(0.001, 1.0), st.integers(0, 9))
def test_a_share_is_a_function_of_the_seed_and_no_class_is_lost(labels, share, seed):
    part = labelled(labels)
    some, again = (fraction_of(part, share, seed=seed) for _ in range(2))
    assert some.rows.tolist() == again.rows.tolist()
    assert {*some.targets.tolist()} == {*labels}
    assert len({*some.rows.tolist()}) == len(some.rows) and {*some.rows.tolist()} <= {*part.rows.tolist()}
    for label, count in zip(*np.unique(labels, return_counts=True), strict=True):
        kept = int((some.targets == label).sum())
        assert kept == count if share == 1.0 else kept == max(1, min(round(share * count), count - 1))


def test_another_seed_takes_others_and_a_larger_share_is_no_other_draw():
    part = labelled([0, 1] * 50)
    assert fraction_of(part, 0.3, seed=0).rows.tolist() != fraction_of(part, 0.3, seed=1).rows.tolist()
    assert fraction_of(part, 1.0, seed=0) is part
    assert {*fraction_of(part, 0.1, seed=0).rows.tolist()} < {*fraction_of(part, 0.5, seed=0).rows.tolist()}
