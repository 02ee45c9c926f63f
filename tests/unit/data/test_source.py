"""open_source: names in any spelling, every kind of path, and the nearest right one for a wrong one."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from convscope.core.contracts import Dataset
from convscope.core.errors import UserError
from convscope.data.source import NAMES, Source, open_source
from convscope.data.split import from_record, split_source

DATA = Path(__file__).resolve().parents[3].parent / "shared" / "data"


def images(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4)).save(root / name)


@pytest.mark.parametrize("name", ["fashion_mnist", "Fashion-MNIST", "FashionMNIST", "fashion mnist"])
def test_a_name_in_any_spelling(name):
    assert open_source(name).name == "fashion_mnist"


@pytest.mark.parametrize("name", ["mnist", "cifar10", "CIFAR-100"])
def test_published_names_fetch_nothing_yet(name, tmp_path, monkeypatch):
    monkeypatch.setenv("CONVSCOPE_CACHE", str(tmp_path / "cache"))
    source = open_source(name)
    assert isinstance(source, Source)
    assert source.kind == "published"
    assert not (tmp_path / "cache").exists()


def test_a_name_goes_before_a_folder_of_that_name_and_says_so(tmp_path, monkeypatch):
    images(tmp_path, "mnist/cat/a.png", "mnist/dog/a.png")
    monkeypatch.chdir(tmp_path)
    source = open_source("mnist")
    assert source.kind == "published"
    assert any("./mnist" in note for note in source.notes)
    assert open_source("./mnist").kind == "class folders"
    assert open_source(Path("mnist")).kind == "class folders"


def test_each_kind_of_path(tmp_path):
    pytest.importorskip("pyarrow")
    import pyarrow as pa
    import pyarrow.parquet as pq

    images(tmp_path, "photos/cat/a.png", "photos/dog/b.png")
    (tmp_path / "photos.csv").write_text("photos/cat/a.png,cat\nphotos/dog/b.png,dog\n")
    (tmp_path / "photos.TSV").write_text("photos/cat/a.png\tcat\nphotos/dog/b.png\tdog\n")
    np.savez(tmp_path / "photos.npz", images=np.zeros((2, 4, 4, 3), np.uint8), labels=[0, 1])
    cells = [(tmp_path / name).read_bytes() for name in ("photos/cat/a.png", "photos/dog/b.png")]
    (tmp_path / "pq").mkdir()
    pq.write_table(pa.table({"image": cells, "label": [0, 1]}), tmp_path / "pq" / "train-0.parquet")
    (tmp_path / "idx").mkdir()
    for part, body in (
        ("images-idx3", b"\0\0\x08\3" + b"\0\0\0\2" * 3 + bytes(8)),
        ("labels-idx1", b"\0\0\x08\1\0\0\0\2\0\1"),
    ):
        (tmp_path / "idx" / f"train-{part}-ubyte.gz").write_bytes(gzip.compress(body))
    kinds = {
        "photos": "class folders",
        "photos.csv": "CSV",
        "photos.TSV": "CSV",
        "photos.npz": "NPZ",
        "pq": "Parquet",
        "pq/train-0.parquet": "Parquet",
        "idx": "IDX files",
    }
    for name, kind in kinds.items():
        source = open_source(tmp_path / name)
        train = source.open("train")
        assert source.kind == kind
        assert isinstance(train, Dataset)
        assert len(train) == 2
        assert train.labels.tolist() == [0, 1]
        assert train[0][0].dtype == np.uint8


def test_a_folder_given_as_a_dot_takes_its_real_name(tmp_path, monkeypatch):
    images(tmp_path, "pets/cat/a.png", "pets/dog/b.png")
    monkeypatch.chdir(tmp_path / "pets")
    assert open_source(".").name == "pets"


def test_a_tilde_is_home(tmp_path, monkeypatch):
    images(tmp_path, "pets/cat/a.png", "pets/dog/b.png")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert open_source("~/pets").split_names == ("train",)


@pytest.mark.parametrize(
    ("wrong", "right"), [("cifar11", "cifar10"), ("fashion_mist", "fashion_mnist"), ("minst", "mnist")]
)
def test_a_wrong_name_gets_the_nearest_right_one(wrong, right, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=f"no data set or path '{wrong}'; did you mean '{right}'"):
        open_source(wrong)


def test_a_wrong_path_gets_the_nearest_thing_beside_it(tmp_path):
    (tmp_path / "photos").mkdir()
    with pytest.raises(UserError, match=f"did you mean '{tmp_path}/photos'"):
        open_source(tmp_path / "fotos")


def test_a_path_like_nothing_lists_what_is_allowed(tmp_path):
    with pytest.raises(UserError, match=f"allowed: {', '.join(NAMES)}, or a folder of class folders"):
        open_source(tmp_path / "x" / "zzzzzz")


@pytest.mark.parametrize("name", ["a.zip", "a.tar.gz", "a.TGZ"])
def test_an_archive_is_to_be_unpacked(tmp_path, name):
    (tmp_path / name).touch()
    with pytest.raises(UserError, match="unpack it"):
        open_source(tmp_path / name)


def test_one_image_is_no_data_set(tmp_path):
    images(tmp_path, "a.png")
    with pytest.raises(UserError, match="is one image"):
        open_source(tmp_path / "a.png")


def test_another_file_is_no_data_set(tmp_path):
    (tmp_path / "a.docx").touch()
    with pytest.raises(UserError, match="is no data set that is understood"):
        open_source(tmp_path / "a.docx")


@pytest.mark.parametrize(
    "stray",
    ["x.parquet", "cat/x.parquet", "x.csv", "x.npz", "train-images-idx3-ubyte", "t10k-labels-idx1-ubyte.gz"],
)
def test_class_folders_go_before_a_stray_file_and_the_file_is_mentioned(tmp_path, stray):
    images(tmp_path, "cat/a.png", "dog/b.png")
    (tmp_path / stray).write_bytes(b"x")
    source = open_source(tmp_path)
    assert source.kind == "class folders"
    assert len(source.open("train")) == 2
    assert any(f"not the data files beside them: {stray};" in note for note in source.notes)


def test_a_image_in_a_folder_of_tables_is_no_class(tmp_path):
    images(tmp_path, "docs/banner.png")
    for part, body in (
        ("images-idx3", b"\0\0\x08\3" + b"\0\0\0\2" * 3 + bytes(8)),
        ("labels-idx1", b"\0\0\x08\1\0\0\0\2\0\1"),
    ):
        (tmp_path / f"train-{part}-ubyte").write_bytes(body)
    assert open_source(tmp_path).kind == "IDX files"


@pytest.mark.parametrize("data", ["", "   ", "\t"])
def test_an_empty_name_is_not_the_current_folder(data, tmp_path, monkeypatch):
    images(tmp_path, "cat/a.png", "dog/b.png")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"name is empty.*allowed: fashion_mnist"):
        open_source(data)


@pytest.mark.parametrize("data", ["\0", "x" * 5000, "a/b\nc"])
def test_texts_that_are_no_path_at_all(data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError) as caught:
        open_source(data)
    assert "\n" not in str(caught.value)


SHARED = {
    "fashion_mnist": (60_000, 10_000, 10, (28, 28, 1)),
    "mnist": (60_000, 10_000, 10, (28, 28, 1)),
    "cifar10": (50_000, 10_000, 10, (32, 32, 3)),
    "trashnet": (2_024, 503, 6, (150, 150, 3)),
}


@pytest.mark.slow
@pytest.mark.data
@pytest.mark.parametrize("name", sorted(SHARED))
def test_real_data_opens_splits_and_is_split_again(name):
    if not (DATA / name).is_dir():
        pytest.skip(f"{DATA / name} is not there")
    train_count, test_count, classes, shape = SHARED[name]
    source = open_source(DATA / name)
    splits = split_source(source, seed=0)
    test = splits.open_test()
    assert len(splits.train) + len(splits.validation) == train_count
    assert len(test) == test_count
    assert len(test.classes) == classes
    assert test[0][0].shape == shape
    again = from_record(source, splits.record())
    assert np.array_equal(again.validation.labels, splits.validation.labels)
    assert again.record() == splits.record()


@pytest.mark.data
def test_trashnet_names_its_images():
    if not (DATA / "trashnet").is_dir():
        pytest.skip(f"{DATA / 'trashnet'} is not there")
    source = open_source(DATA / "trashnet")
    names = {d.name(i) for d in map(source.open, source.split_names) for i in range(len(d))}
    assert len(names) == 2527
    assert {"glass/glass115.jpg", "metal/metal91.jpg"} <= names
