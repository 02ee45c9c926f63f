"""IDX: round trips, official and other names, and headers that lie."""

from __future__ import annotations

import gzip
import struct
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convscope.core.errors import UserError
from convscope.data.sources.idx import find_idx, idx_source, read_idx

CODES = {"u1": 8, "i1": 9, "i2": 11, "i4": 12}


def idx_bytes(array: np.ndarray, shape: tuple[int, ...] | None = None) -> bytes:
    code = CODES[array.dtype.str[1:]]
    dims = shape or array.shape
    big = array.astype(array.dtype.newbyteorder(">"))
    return bytes([0, 0, code, len(dims)]) + struct.pack(f">{len(dims)}I", *dims) + big.tobytes()


def write_pair(folder, prefix: str, labels, *, size: int = 4, gz: bool = True) -> None:
    images = np.arange(len(labels) * size * size, dtype=np.uint32).astype(np.uint8).reshape(-1, size, size)
    for part, array, dims in (("images", images, 3), ("labels", np.array(labels, np.uint8), 1)):
        content = idx_bytes(array)
        path = folder / f"{prefix}-{part}-idx{dims}-ubyte{'.gz' if gz else ''}"
        path.write_bytes(gzip.compress(content) if gz else content)


@settings(max_examples=30, deadline=None)
@given(
    shape=st.lists(st.integers(1, 5), min_size=1, max_size=4),
    dtype=st.sampled_from(sorted(CODES)),
    gz=st.booleans(),
    seed=st.integers(0, 99),
)
def test_what_is_written_comes_back(tmp_path_factory, shape, dtype, gz, seed):
    array = np.random.default_rng(seed).integers(0, 127, shape).astype(dtype)
    path = tmp_path_factory.mktemp("idx") / "x"
    path.write_bytes(gzip.compress(idx_bytes(array)) if gz else idx_bytes(array))
    found = read_idx(path)
    assert found.shape == array.shape
    assert np.array_equal(found, array)


@pytest.mark.parametrize("gz", [True, False])
def test_a_folder_of_official_names_opens(tmp_path, gz):
    write_pair(tmp_path, "train", [3, 0, 3, 7], gz=gz)
    write_pair(tmp_path, "t10k", [7, 0], gz=gz)
    source = idx_source(find_idx(tmp_path), name="digits", location=tmp_path)
    assert source.split_names == ("train", "test")
    train, test = source.open("train"), source.open("test")
    assert train.classes == test.classes == ("0", "3", "7")
    assert train.labels.tolist() == [1, 0, 1, 2]
    assert test.labels.tolist() == [2, 0]
    assert train[1][0].shape == (4, 4, 1)
    assert train[1][0][0, :3, 0].tolist() == [16, 17, 18]
    assert test.name(0) == "test#0"


@pytest.mark.parametrize(
    "name",
    ["train-images.idx3-ubyte", "emnist-letters-train-images-idx3-ubyte.gz", "TRAIN-IMAGES-IDX3-UBYTE.GZ"],
)
def test_other_usual_names_are_found(tmp_path, name):
    (tmp_path / name).touch()
    assert find_idx(tmp_path) == {"train": {"images": tmp_path / name}}


def test_other_files_are_not_taken_for_idx(tmp_path):
    for name in ("train.csv", "LICENSE", "train-images.png", "train-images-idx3-ubyte.gz.part"):
        (tmp_path / name).touch()
    assert find_idx(tmp_path) == {}


def test_a_plain_file_goes_before_its_gzip(tmp_path):
    write_pair(tmp_path, "train", [0, 1], gz=True)
    write_pair(tmp_path, "train", [0, 1], gz=False)
    assert find_idx(tmp_path)["train"]["images"].suffix != ".gz"


def test_the_test_files_are_not_read_before_they_are_opened(tmp_path):
    write_pair(tmp_path, "train", [0, 1])
    for part, dims in (("images", 3), ("labels", 1)):
        (tmp_path / f"t10k-{part}-idx{dims}-ubyte.gz").write_bytes(b"broken")
    source = idx_source(find_idx(tmp_path), name="d", location=tmp_path)
    assert len(source.open("train")) == 2
    with pytest.raises(UserError, match="t10k-images"):
        source.open("test")


def test_a_missing_partner_is_named(tmp_path):
    write_pair(tmp_path, "train", [0, 1])
    (tmp_path / "train-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(UserError, match=r"train-images.* no IDX labels file"):
        idx_source(find_idx(tmp_path), name="d", location=tmp_path)


def test_a_test_set_alone_cannot_be_learned_from(tmp_path):
    write_pair(tmp_path, "t10k", [0, 1])
    with pytest.raises(UserError, match="train-images-idx3-ubyte"):
        idx_source(find_idx(tmp_path), name="d", location=tmp_path)


def test_a_truncated_gzip_is_an_error(tmp_path):
    path = tmp_path / "x.gz"
    whole = gzip.compress(idx_bytes(np.random.default_rng(0).integers(0, 255, (50, 20, 20)).astype("u1")))
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match="damaged or truncated gzip"):
        read_idx(path)
    path.write_bytes(whole[:200] + b"\0" * 50 + whole[250:])
    with pytest.raises(UserError, match="damaged or truncated gzip"):
        read_idx(path)


@pytest.mark.parametrize("gz", [True, False])
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0\0",
        b"PK\3\4aaaaaaa",
        b"\0\1\x08\1\0\0\0\1a",
        b"\0\0\x0d\1\0\0\0\1aaaa",  # float32 is no kind of image or label
        b"\0\0\x08\0",
        b"\0\0\x08\xff" + b"\0" * 1020,
    ],
)
def test_a_wrong_magic_number_is_refused(tmp_path, content, gz):
    path = tmp_path / "x"
    path.write_bytes(gzip.compress(content) if gz else content)
    with pytest.raises(UserError, match="is not an IDX file"):
        read_idx(path)


def test_a_header_that_ends_early(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b"\0\0\x08\3\0\0\0\1")
    with pytest.raises(UserError, match="ends inside"):
        read_idx(path)


@pytest.mark.parametrize("gz", [True, False])
def test_a_header_that_promises_100_gigabytes_allocates_nothing(tmp_path, gz):
    path = tmp_path / "x"
    content = idx_bytes(np.zeros(100, np.uint8), (100_000, 1000, 1000))
    path.write_bytes(gzip.compress(content) if gz else content)
    tracemalloc.start()
    with pytest.raises(UserError, match="more than the file can hold"):
        read_idx(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 << 20


@pytest.mark.parametrize(("shape", "held"), [((101,), "100"), ((99,), "more")])
def test_a_header_and_contents_that_differ_a_little(tmp_path, shape, held):
    path = tmp_path / "x"
    path.write_bytes(gzip.compress(idx_bytes(np.zeros(100, np.uint8), shape)))
    with pytest.raises(UserError, match=f"holds {held}"):
        read_idx(path)


def test_more_labels_than_images(tmp_path):
    write_pair(tmp_path, "train", [0, 1])
    (tmp_path / "train-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx_bytes(np.zeros(3, np.uint8))))
    with pytest.raises(UserError, match="labels for 2 images"):
        idx_source(find_idx(tmp_path), name="d", location=tmp_path).open("train")


def test_labels_in_the_place_of_images(tmp_path):
    write_pair(tmp_path, "train", [0, 1])
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx_bytes(np.zeros(2, np.uint8))))
    with pytest.raises(UserError, match="must hold bytes"):
        idx_source(find_idx(tmp_path), name="d", location=tmp_path).open("train")


def test_a_label_beyond_the_given_names(tmp_path):
    write_pair(tmp_path, "train", [0, 2])
    source = idx_source(find_idx(tmp_path), name="d", location=tmp_path, classes=("a", "b"))
    with pytest.raises(UserError, match=r"train-labels.*label 2"):
        source.open("train")


def test_a_missing_file_is_a_users_error(tmp_path):
    with pytest.raises(UserError, match="cannot be read"):
        read_idx(tmp_path / "nowhere")
