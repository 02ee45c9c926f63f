"""Array, file, cell and part: the Dataset contract, names, fingerprints, and labels that do not fit."""

from __future__ import annotations

import copy
import io
import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from convscope.core.contracts import Dataset, EncodedDataset
from convscope.core.errors import UserError
from convscope.data.dataset import (
    ArrayDataset,
    CellDataset,
    FileDataset,
    Subset,
    checked_labels,
    hash_of_stats,
    image_name,
)
from convscope.data.preparing.decode import UnreadableImage

CLASSES = ("cat", "dog")


def png(value: int, size: tuple[int, int] = (5, 4)) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, (value, 2, 3)).save(buffer, "PNG")
    return buffer.getvalue()


def array_dataset(count: int = 4) -> ArrayDataset:
    images = np.arange(count * 12, dtype=np.uint8).reshape(count, 2, 2, 3)
    return ArrayDataset(images, np.arange(count) % 2, CLASSES, "train")


def file_dataset(root, count: int = 4) -> FileDataset:
    for i in range(count):
        (root / f"{i}.png").write_bytes(png(10 * i))
    return FileDataset(tuple(f"{i}.png" for i in range(count)), np.arange(count) % 2, CLASSES, root)


def cell_dataset(count: int = 4) -> CellDataset:
    cells = [png(10 * i) for i in range(2 * count)]
    rows = np.arange(count) * 2
    return CellDataset(
        cells.__getitem__, rows, np.arange(count) % 2, CLASSES, lambda r: f"a.parquet#{r}", lambda: "m"
    )


@pytest.fixture(params=["array", "file", "cell"])
def dataset(request, tmp_path):
    return {"array": array_dataset, "cell": cell_dataset, "file": lambda: file_dataset(tmp_path)}[
        request.param
    ]()


def test_each_keeps_the_contract(dataset):
    assert isinstance(dataset, Dataset)
    assert isinstance(dataset, EncodedDataset) == (not isinstance(dataset, ArrayDataset))
    assert len(dataset) == 4
    assert dataset.labels.dtype == np.int64
    for i in range(len(dataset)):
        image, target = dataset[i]
        assert image.dtype == np.uint8
        assert image.ndim == 3
        assert target == dataset.labels[i]
        assert isinstance(target, int)


def test_names_are_unique_and_the_fingerprint_is_steady(dataset):
    assert len({dataset.name(i) for i in range(4)}) == 4
    assert dataset.fingerprint() == dataset.fingerprint()
    assert len(dataset.fingerprint()) == 64


def test_a_part_answers_as_the_whole_does(dataset):
    part = Subset(dataset, np.array([3, 0]))
    assert isinstance(part, Dataset)
    assert isinstance(part, EncodedDataset) == isinstance(dataset, EncodedDataset)
    assert part.classes == dataset.classes
    assert part.labels.tolist() == [1, 0]
    for i, j in enumerate((3, 0)):
        assert np.array_equal(part[i][0], dataset[j][0])
        assert part.name(i) == dataset.name(j)
        if isinstance(dataset, EncodedDataset):
            assert part.encoded(i) == dataset.encoded(j)


def test_a_part_of_a_part(dataset):
    inner = Subset(Subset(dataset, [3, 2, 0]), [2, 0])
    assert [inner.name(i) for i in range(2)] == [dataset.name(0), dataset.name(3)]
    assert isinstance(inner, EncodedDataset) == isinstance(dataset, EncodedDataset)


def test_parts_have_fingerprints_of_their_own(dataset):
    marks = {Subset(dataset, indices).fingerprint() for indices in ([0, 1], [1, 0], [0])} | {
        dataset.fingerprint()
    }
    assert len(marks) == 4
    assert Subset(dataset, [0, 1]).fingerprint() == Subset(dataset, [0, 1]).fingerprint()


def test_an_empty_part_is_fine(dataset):
    part = Subset(dataset, [])
    assert len(part) == 0
    assert part.labels.tolist() == []


@pytest.mark.parametrize("indices", [[4], [-1], [0, 99]])
def test_indices_outside_are_refused(dataset, indices):
    with pytest.raises(UserError, match="0 to 3"):
        Subset(dataset, indices)


def test_a_part_can_be_copied(dataset):
    part = copy.copy(Subset(dataset, [1]))
    assert part.name(0) == dataset.name(1)
    assert type(part) is type(Subset(dataset, [1]))


def test_array_images_are_not_copied():
    whole = array_dataset()
    assert np.shares_memory(whole[0][0], whole.images)


@pytest.mark.parametrize(
    "images",
    [
        np.zeros((2, 4, 4), np.uint8),
        np.zeros((2, 4, 4, 1), np.float32),
        np.zeros((2, 4, 4, 1), np.int64),
    ],
)
def test_array_images_of_another_kind_are_refused(images):
    with pytest.raises(UserError, match="uint8 N×H×W×C; got"):
        ArrayDataset(images, np.array([0, 1]), CLASSES)


@pytest.mark.parametrize("labels", [[0, 2], [-1, 0], [0], [0.0, 1.0], [[0, 1]], ["a", "b"]])
def test_labels_that_do_not_fit_are_refused(labels):
    with pytest.raises(UserError):
        checked_labels(labels, CLASSES, 2)


def test_the_error_names_the_first_label_out_of_range_and_counts_the_rest():
    with pytest.raises(UserError, match=r"label 7 \(image 1\) .* 0 to 1; 2 of 3"):
        checked_labels([0, 7, 9], CLASSES, 3)


@given(st.lists(st.integers(0, 255), max_size=50), st.sampled_from(["uint8", "int16", "int32", "uint64"]))
def test_any_whole_number_type_becomes_int64(values, dtype):
    labels = checked_labels(np.array(values, dtype), [str(i) for i in range(256)], len(values))
    assert labels.dtype == np.int64
    assert labels.tolist() == values


def test_the_array_fingerprint_sees_pixels_labels_and_shape():
    images = np.zeros((2, 2, 4, 1), np.uint8)
    other = images.copy()
    other[0, 0, 0, 0] = 1
    labels = np.array([0, 1])
    sets = [(images, labels), (other, labels), (images, labels[::-1]), (images.reshape(2, 4, 2, 1), labels)]
    assert len({ArrayDataset(x, y, CLASSES).fingerprint() for x, y in sets}) == 4


def test_the_file_fingerprint_sees_a_changed_and_a_missing_file(tmp_path):
    dataset = file_dataset(tmp_path)
    marks = [dataset.fingerprint()]
    os.utime(tmp_path / "0.png", ns=(1, 1))
    marks.append(dataset.fingerprint())
    (tmp_path / "0.png").unlink()
    marks.append(dataset.fingerprint())
    assert len(set(marks)) == 3


def test_a_file_that_vanished_is_an_unreadable_image_by_name(tmp_path):
    dataset = file_dataset(tmp_path)
    (tmp_path / "2.png").unlink()
    with pytest.raises(UnreadableImage, match=r"2\.png"):
        dataset[2]


def test_a_broken_cell_is_an_unreadable_image_by_name():
    cells = [b"", b"not an image"]
    dataset = CellDataset(
        cells.__getitem__, np.arange(2), np.arange(2), CLASSES, lambda r: f"t#{r}", lambda: "m"
    )
    for i in range(2):
        with pytest.raises(UnreadableImage, match=f"t#{i}"):
            dataset[i]


def test_absolute_paths_are_kept(tmp_path):
    (tmp_path / "a.png").write_bytes(png(1))
    dataset = FileDataset((str(tmp_path / "a.png"),), np.array([0]), CLASSES, tmp_path / "elsewhere")
    assert dataset[0][0].shape == (4, 5, 3)


def test_names_that_are_not_utf8_do_not_break_the_hash(tmp_path):
    name = os.fsdecode(b"caf\xe9.jpg")
    assert len(hash_of_stats([tmp_path / name], [name])) == 64


def test_image_name_of_a_stranger_is_its_number():
    class Bare:
        pass

    assert image_name(Bare(), 3) == "#3"  # type: ignore[arg-type]
