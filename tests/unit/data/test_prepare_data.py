from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import small_data
from convscope.core.config import DataConfig
from convscope.core.errors import UserError
from convscope.data.prepare_data import input_preprocess, prepare_data, subsample_fraction
from convscope.data.preparing.prepared import Prepared
from convscope.data.preparing.prepared_split import PreparedSplit
from convscope.data.source import open_source
from convscope.data.targets import Targets


def gather(source, folder, channels=1, targets=None, progress=None, **settings):
    lines = []
    config = DataConfig(source=str(source), **settings)
    prepared = prepare_data(
        open_source(source),
        config,
        input_preprocess(config, (channels, 12, 12)),
        seed=1,
        folder=folder,
        targets=targets,
        progress=progress,
        say=lines.append,
    )
    return prepared, lines


def test_the_parts_of_a_source(npz, tmp_path):
    prepared, lines = gather(npz, tmp_path)
    assert (len(prepared.train), len(prepared.validation), len(prepared.test())) == (162, 18, 45)
    assert np.bincount(prepared.validation.targets).tolist() == [6, 6, 6]
    assert not set(prepared.train.names) & set(prepared.validation.names)
    assert prepared.names == small_data.CLASSES and lines == []


def test_statistics_are_those_of_the_training_images_alone(npz, tmp_path):
    prepared, _ = gather(npz, tmp_path)
    images = prepared.train.take(np.arange(len(prepared.train))) / 255
    assert prepared.preprocess.mean[0] == pytest.approx(images.mean(), abs=1e-6)
    assert prepared.preprocess.std[0] == pytest.approx(images.std(), abs=1e-6)


def test_symmetric_needs_no_statistics(npz, tmp_path):
    assert gather(npz, tmp_path, normalise="symmetric")[0].preprocess.mean == (0.5,)


def test_statistics_of_weights_stay_and_must_be_there(npz, tmp_path):
    config = DataConfig(normalise="weights")
    preprocess = input_preprocess(config, (1, 12, 12), ([0.3], [0.2]))
    prepared = prepare_data(open_source(npz), config, preprocess, seed=1, folder=tmp_path)
    assert (prepared.preprocess.mean, prepared.preprocess.std) == ((0.3,), (0.2,))
    with pytest.raises(UserError, match=r"data\.normalise is weights, and there are no trained weights"):
        input_preprocess(config, (1, 12, 12))


def test_progress_names_the_work(tmp_path):
    seen = []
    folder = small_data.write_folder(tmp_path / "data")
    prepared, _ = gather(folder, tmp_path, channels=3, progress=lambda *step: seen.append(step))
    prepared.test()
    # The three splits are subsets of one data set, which is decoded once.
    assert list(dict.fromkeys(what for what, *_ in seen)) == ["scan", "decode train"]
    assert seen[-1] == ("decode train", len(list(folder.rglob("*.png"))), len(list(folder.rglob("*.png"))))


def mean_colour(dataset):
    """Three numbers of each image, in four strata by brightness: a regression."""
    values = np.stack([dataset[i][0].mean(axis=(0, 1)) / 255 for i in range(len(dataset))])
    strata = np.searchsorted(np.quantile(values.mean(1), [0.25, 0.5, 0.75]), values.mean(1))
    return Targets(values, ("red", "green", "blue"), strata)


@pytest.mark.parametrize("write", [small_data.write_folder, small_data.write_csv, small_data.write_parquet])
def test_other_targets_are_split_prepared_and_written_down(tmp_path, write):
    data = write(tmp_path / "data")
    prepared, _ = gather(data, tmp_path, channels=3, targets=mean_colour, validation=0.25)
    assert prepared.names == ("red", "green", "blue")
    for split in (prepared.train, prepared.validation, prepared.test()):
        assert split.targets.shape == (len(split), 3) and split.targets.dtype == np.float64
        seen = split.take(np.arange(len(split))).mean(axis=(1, 2)) / 255
        np.testing.assert_allclose(split.targets, seen, atol=0.05)
    counts = np.bincount(prepared.validation.strata)
    assert len(counts) == 4 and counts.max() - counts.min() <= 1
    again, _ = gather(data, tmp_path, channels=3, targets=mean_colour)
    assert again.validation.names == prepared.validation.names
    assert np.array_equal(again.validation.targets, prepared.validation.targets)


def test_the_cache_of_pixels_serves_every_task(tmp_path, monkeypatch):
    monkeypatch.setenv("CONVSCOPE_CACHE", str(tmp_path / "cache"))
    data = small_data.write_folder(tmp_path / "data")
    for name, targets in (("a", None), ("b", mean_colour)):
        (tmp_path / name).mkdir()
        gather(data, tmp_path / name, channels=3, targets=targets)
    entries = [entry for entry in (tmp_path / "cache" / "prepared").iterdir() if entry.is_dir()]
    assert len(entries) == 1


def test_a_fraction_of_other_targets_goes_by_their_strata(tmp_path):
    data = small_data.write_folder(tmp_path / "data")
    some, _ = gather(data, tmp_path, channels=3, targets=mean_colour, train_fraction=0.5)
    counts = np.bincount(some.train.strata)
    assert counts.max() - counts.min() <= 1


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


def test_what_a_scan_finds_harmful_is_left_out_with_a_line(tmp_path):
    folder = small_data.write_folder(tmp_path / "data")
    first = sorted((folder / "ant").iterdir())[0]
    (folder / "bee" / "other.png").write_bytes(first.read_bytes())
    (folder / "cow" / "broken.png").write_bytes(b"no")
    kept, lines = gather(folder, tmp_path, channels=3)
    named = {*kept.train.names, *kept.validation.names, *kept.test().names}
    assert {f"ant/{first.name}", "bee/other.png", "cow/broken.png"} & named == set()
    assert lines[0].startswith("scan: 3 images are left out") and "--set data.quarantine=none" in lines[0]
    assert len(json.loads((tmp_path / "split.json").read_text())["exclude"]) == 3


def test_every_image_is_kept_when_asked(tmp_path):
    folder = small_data.write_folder(tmp_path / "data")
    (folder / "bee" / "other.png").write_bytes(sorted((folder / "ant").iterdir())[0].read_bytes())
    (folder / "cow" / "broken.png").write_bytes(b"no")
    kept, lines = gather(folder, tmp_path, channels=3, quarantine="none")
    assert len(kept.train) + len(kept.validation) + len(kept.test()) == 91
    assert len(lines) == 1 and "left out 1 images that cannot be read, first cow/broken.png" in lines[0]


@pytest.mark.parametrize("fraction", [0.01, 0.2, 0.5, 0.99])
def test_a_fraction_takes_as_much_of_each_class_and_leaves_validation_and_test(npz, tmp_path, fraction):
    whole, _ = gather(npz, tmp_path)
    (tmp_path / "other").mkdir()
    some, _ = gather(npz, tmp_path / "other", train_fraction=fraction)
    assert {*some.train.names} < {*whole.train.names}
    counts = np.bincount(some.train.targets, minlength=3)
    assert counts.tolist() == [min(53, max(1, round(fraction * 54)))] * 3
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
def test_a_fraction_is_a_function_of_the_seed_and_no_class_is_lost(labels, fraction, seed):
    part = labelled(labels)
    some, again = (subsample_fraction(part, fraction, seed=seed) for _ in range(2))
    assert some.rows.tolist() == again.rows.tolist()
    assert {*some.targets.tolist()} == {*labels}
    assert len({*some.rows.tolist()}) == len(some.rows) and {*some.rows.tolist()} <= {*part.rows.tolist()}
    for label, count in zip(*np.unique(labels, return_counts=True), strict=True):
        kept = int((some.targets == label).sum())
        assert kept == count if fraction == 1.0 else kept == max(1, min(round(fraction * count), count - 1))


def test_another_seed_takes_others_and_a_larger_fraction_has_all_of_a_smaller_one():
    part = labelled([0, 1] * 50)
    assert (
        subsample_fraction(part, 0.3, seed=0).rows.tolist()
        != subsample_fraction(part, 0.3, seed=1).rows.tolist()
    )
    assert subsample_fraction(part, 1.0, seed=0) is part
    assert {*subsample_fraction(part, 0.1, seed=0).rows.tolist()} < {
        *subsample_fraction(part, 0.5, seed=0).rows.tolist()
    }
