from __future__ import annotations

import numpy as np
import pytest

import small_data
from convscope.core.contracts import Dataset, EncodedDataset
from convscope.core.errors import UserError
from convscope.data.dataset import ArrayDataset, Subset
from convscope.data.preparing.prepared import prepare_dataset
from convscope.data.preparing.preprocess import Preprocess
from convscope.data.source import open_source
from convscope.data.split import split_source
from convscope.data.targets import Targets, has_class_labels, source_with_targets, strata_of, with_targets

WRITERS = {"folder": small_data.write_folder, "npz": lambda place: small_data.write_npz(place / "d.npz")}


def numbers(count):
    """Two numbers for each image, in three strata."""
    index = np.arange(count)
    return Targets(np.stack([index, -index], axis=1) / count, ("up", "down"), index % 3)


@pytest.fixture(params=sorted(WRITERS))
def source(request, tmp_path):
    return open_source(WRITERS[request.param](tmp_path))


def test_targets_take_the_place_of_labels_and_nothing_else_changes(source):
    plain = source.open("train")
    made = with_targets(plain, numbers(len(plain)))
    assert isinstance(made, Dataset) and len(made) == len(plain)
    assert made.classes == ("up", "down") and np.array_equal(made.labels, numbers(len(plain)).values)
    image, target = made[5]
    assert np.array_equal(image, plain[5][0]) and target.tolist() == made.labels[5].tolist()
    assert made.name(5) == plain.name(5) and made.fingerprint() == plain.fingerprint()
    assert isinstance(made, EncodedDataset) == isinstance(plain, EncodedDataset)
    if isinstance(plain, EncodedDataset):
        assert made.encoded(5) == plain.encoded(5)


def test_an_array_stays_an_array_that_nobody_copies(tmp_path):
    plain = open_source(WRITERS["npz"](tmp_path)).open("train")
    made = with_targets(plain, numbers(len(plain)))
    assert isinstance(made, ArrayDataset) and made.images is plain.images
    prepared = prepare_dataset(made, Preprocess(1, 12, 12))
    assert prepared.images is plain.images and prepared.targets.shape == (len(plain), 2)


def test_class_labels_are_the_data_set_itself(source):
    plain = source.open("train")
    assert with_targets(plain, Targets(plain.labels, plain.classes, plain.labels)) is plain
    renamed = Targets(plain.labels, ("x", "y", "z"), plain.labels)
    assert with_targets(plain, renamed).classes == ("x", "y", "z")


def test_strata_follow_into_subsets(source):
    plain = source.open("train")
    assert np.array_equal(strata_of(plain), plain.labels) and has_class_labels(Subset(plain, np.array([0])))
    made = with_targets(plain, numbers(len(plain)))
    part = Subset(Subset(made, np.array([7, 3, 4])), np.array([2, 0]))
    assert strata_of(part).tolist() == [1, 1] and not has_class_labels(part)
    assert part.labels.tolist() == made.labels[[4, 7]].tolist()


@pytest.mark.parametrize(("targets", "strata"), [(4, 5), (5, 4)])
def test_as_many_targets_as_images(targets, strata):
    plain = ArrayDataset(np.zeros((5, 2, 2, 1), np.uint8), np.zeros(5, np.int64), ("a", "b"))
    with pytest.raises(UserError, match=f"5 images need 5 .*{targets} targets and {strata} strata"):
        with_targets(plain, Targets(np.zeros(targets), ("x",), np.zeros(strata, np.int64)))


def test_a_source_with_targets_opens_nothing_before_it_is_asked(source):
    opened = []

    def targets(dataset):
        opened.append(len(dataset))
        return numbers(len(dataset))

    made = source_with_targets(source, targets)
    assert opened == [] and made.split_names == source.split_names
    assert made.fingerprint() == source.fingerprint()
    assert made.open("train").classes == ("up", "down") and len(opened) == 1


def test_a_split_balances_strata_and_carries_targets(source):
    made = source_with_targets(source, lambda dataset: numbers(len(dataset)))
    splits = split_source(made, seed=3, validation=0.2)
    counts = np.bincount(strata_of(splits.validation))
    assert len(counts) == 3 and counts.max() - counts.min() <= 1
    for split in (splits.train, splits.validation, splits.open_test()):
        assert split.classes == ("up", "down") and np.asarray(split.labels).shape == (len(split), 2)


def test_a_stratum_of_one_is_no_error(tmp_path):
    source = open_source(WRITERS["npz"](tmp_path))

    def targets(dataset):
        return Targets(np.zeros(len(dataset)), ("x",), np.minimum(np.arange(len(dataset)), 1))

    assert len(split_source(source_with_targets(source, targets), seed=0).validation) == 18


def test_strata_that_all_differ_leave_nothing_to_hold_out(tmp_path):
    source = open_source(WRITERS["npz"](tmp_path))
    made = source_with_targets(
        source, lambda dataset: Targets(np.zeros(len(dataset)), ("x",), np.arange(len(dataset)))
    )
    with pytest.raises(UserError, match="no image can be held out for validation"):
        split_source(made, seed=0)
