"""Parquet: the key_maps people have, and tables that lack something."""

from __future__ import annotations

import builtins
import io
import json

import numpy as np
import pytest
from PIL import Image

from convscope.core.contracts import EncodedDataset
from convscope.core.errors import UserError
from convscope.data.sources.parquet import find_parquet, parquet_source
from convscope.data.sources.parquet_cells import ParquetCells

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")


def png(value: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (3, 2), (value, 0, 0)).save(buffer, "PNG")
    return buffer.getvalue()


def structs(values):
    return pa.array(
        [{"bytes": png(v), "path": None} for v in values],
        pa.struct({"bytes": pa.binary(), "path": pa.string()}),
    )


def schema_note(label="label", image="image", names=("cat", "a dog")):
    features = {image: {"_type": "Image"}, label: {"_type": "ClassLabel", "names": list(names)}}
    return {"huggingface": json.dumps({"info": {"features": features}})}


def write(path, columns, note=None, group=3):
    path.parent.mkdir(parents=True, exist_ok=True)
    made = pa.table(columns)
    pq.write_table(made.replace_schema_metadata(note) if note else made, path, row_group_size=group)
    return path


def values(dataset):
    return [int(dataset[i][0][0, 0, 0]) for i in range(len(dataset))]


def test_one_file_as_hugging_face_writes_it(tmp_path):
    path = write(
        tmp_path / "pets.parquet", {"image": structs(range(7)), "label": [0, 1] * 3 + [0]}, schema_note()
    )
    source = parquet_source(path)
    assert (source.name, source.kind, source.split_names) == ("pets", "Parquet", ("train",))
    train = source.open("train")
    assert isinstance(train, EncodedDataset)
    assert train.classes == ("cat", "a dog")
    assert train.labels.tolist() == [0, 1] * 3 + [0]
    assert values(train) == list(range(7))
    assert train.encoded(5) == png(5)
    assert train.name(5) == "pets.parquet#5"


@pytest.mark.parametrize("folder", ["", "data/", "plain_text/data/"])
def test_shards_named_by_split(tmp_path, folder):
    for i, name in enumerate(
        ("train-00000-of-00002", "train-00001-of-00002", "validation-00000-of-00001", "test-00000-of-00001")
    ):
        columns = {"image": structs([10 * i, 10 * i + 1]), "label": [0, 1]}
        write(tmp_path / f"{folder}{name}.parquet", columns, schema_note())
    source = parquet_source(tmp_path)
    assert source.split_names == ("train", "validation", "test")
    assert values(source.open("train")) == [0, 1, 10, 11]
    assert values(source.open("validation")) == [20, 21]
    assert source.open("train").name(3) == f"{folder}train-00001-of-00002.parquet#1"


def test_shards_in_folders_named_by_split_have_names_of_their_own(tmp_path):
    for split in ("train", "test"):
        write(
            tmp_path / "default" / split / "0000.parquet",
            {"image": structs([1]), "label": [0]},
            schema_note(),
        )
    source = parquet_source(tmp_path)
    assert source.open("train").name(0) == "default/train/0000.parquet#0"
    assert source.open("test").name(0) == "default/test/0000.parquet#0"


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary()])
def test_plain_binary_names_and_a_split_column(tmp_path, kind):
    columns = {
        "image": pa.array([png(i) for i in range(6)], kind),
        "label": pa.array([0, 1, 0, 1, 0, 1], pa.int32()),
        "split": ["train", "train", "test", "train", "val", "test"],
        "name": [f"x/{i}.jpg" for i in range(6)],
    }
    source = parquet_source(write(tmp_path / "a.parquet", columns, {"classes": json.dumps(["cat", "dog"])}))
    assert source.split_names == ("train", "validation", "test")
    assert source.open("train").classes == ("cat", "dog")
    assert values(source.open("train")) == [0, 1, 3]
    test = source.open("test")
    assert values(test) == [2, 5]
    assert test.labels.tolist() == [0, 1]
    assert [test.name(i) for i in range(2)] == ["x/2.jpg", "x/5.jpg"]


def test_names_that_repeat_are_not_used(tmp_path):
    columns = {"image": structs([0, 1]), "label": [0, 1], "name": ["same.jpg"] * 2}
    assert parquet_source(write(tmp_path / "a.parquet", columns)).open("train").name(1) == "a.parquet#1"


def test_cifars_column_names(tmp_path):
    note = {
        "huggingface": json.dumps(
            {
                "info": {
                    "features": {
                        "img": {"_type": "Image"},
                        "coarse_label": {"_type": "ClassLabel", "names": ["big", "small"]},
                        "fine_label": {"_type": "ClassLabel", "names": ["a", "b", "c"]},
                    }
                }
            }
        )
    }
    columns = {"img": structs([1, 2]), "coarse_label": [0, 1], "fine_label": [2, 0]}
    train = parquet_source(write(tmp_path / "a.parquet", columns, note)).open("train")
    assert train.classes == ("a", "b", "c")
    assert train.labels.tolist() == [2, 0]


def test_a_declared_label_of_an_unusual_name(tmp_path):
    columns = {"image": structs([1, 2]), "species": [1, 0]}
    train = parquet_source(write(tmp_path / "a.parquet", columns, schema_note("species"))).open("train")
    assert train.classes == ("cat", "a dog")


def test_the_only_image_column_needs_no_usual_name(tmp_path):
    columns = {"photograph": structs([1, 2]), "label": ["owl", "cat"]}
    train = parquet_source(write(tmp_path / "a.parquet", columns)).open("train")
    assert train.classes == ("cat", "owl")
    assert train.labels.tolist() == [1, 0]
    assert values(train) == [1, 2]


def test_numbers_without_names_and_dictionaries(tmp_path):
    train = parquet_source(write(tmp_path / "a.parquet", {"image": structs([1, 2]), "label": [10, 9]})).open(
        "train"
    )
    assert train.classes == ("9", "10")
    values = pa.array(["b", "a"]).dictionary_encode()
    train = parquet_source(write(tmp_path / "b.parquet", {"image": structs([1, 2]), "label": values})).open(
        "train"
    )
    assert train.labels.tolist() == [1, 0]


@pytest.mark.parametrize("note", [{"huggingface": "not json"}, {"huggingface": "[1]"}, {"other": "x"}])
def test_odd_metadata_does_no_harm(tmp_path, note):
    source = parquet_source(write(tmp_path / "a.parquet", {"image": structs([1, 2]), "label": [0, 1]}, note))
    assert source.open("train").classes == ("0", "1")


def test_the_test_shard_is_not_read_before_it_is_opened(tmp_path):
    write(tmp_path / "train-0.parquet", {"image": structs([1, 2]), "label": [0, 1]})
    (tmp_path / "test-0.parquet").write_bytes(b"PAR1 broken PAR1")
    source = parquet_source(tmp_path)
    assert len(source.open("train")) == 2
    with pytest.raises(UserError, match=r"test-0\.parquet cannot be read as Parquet"):
        source.open("test")


def test_one_shard_alone_is_train_and_says_so(tmp_path):
    path = write(tmp_path / "test-00000-of-00001.parquet", {"image": structs([1, 2]), "label": [0, 1]})
    source = parquet_source(path)
    assert source.split_names == ("train",)
    assert any("give the folder" in note for note in source.notes)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"image": structs([1])}, "has no a label column|no label column|label column"),
        ({"label": [1]}, "image column"),
        ({"image": [1], "label": [1]}, "image column"),
        ({"text": ["a"], "value": [1.0]}, "its columns are text, value"),
    ],
)
def test_missing_columns_are_named(tmp_path, columns, message):
    with pytest.raises(UserError, match=message):
        parquet_source(write(tmp_path / "a.parquet", columns))


def test_an_empty_table_is_refused(tmp_path):
    columns = {"image": structs([]), "label": pa.array([], pa.int64())}
    with pytest.raises(UserError, match="has no rows"):
        parquet_source(write(tmp_path / "a.parquet", columns)).open("train")


@pytest.mark.parametrize("labels", [[0, 2], [-1, 0]])
def test_labels_out_of_range_are_refused(tmp_path, labels):
    path = write(tmp_path / "a.parquet", {"image": structs([1, 2]), "label": labels}, schema_note())
    with pytest.raises(UserError, match=r"column 'label': label (2|-1) .* allowed: 0 to 1"):
        parquet_source(path).open("train")


def test_empty_label_cells_are_refused(tmp_path):
    path = write(tmp_path / "a.parquet", {"image": structs([1, 2]), "label": pa.array([0, None], pa.int64())})
    with pytest.raises(UserError, match="1 cells of the column 'label' are empty"):
        parquet_source(path).open("train")


def test_labels_that_are_fractions_are_refused(tmp_path):
    path = write(tmp_path / "a.parquet", {"image": structs([1, 2]), "label": [0.5, 1.5]}, schema_note())
    with pytest.raises(UserError, match=r"label '0\.5'"):
        parquet_source(path).open("train")


def test_an_unknown_name_in_the_split_column(tmp_path):
    columns = {"image": structs([1, 2]), "label": [0, 1], "split": ["train", "fold3"]}
    with pytest.raises(UserError, match="'fold3' is no split"):
        parquet_source(write(tmp_path / "a.parquet", columns))


def test_shards_without_a_train_split(tmp_path):
    write(tmp_path / "test-0.parquet", {"image": structs([1, 2]), "label": [0, 1]})
    with pytest.raises(UserError, match="no train split"):
        parquet_source(tmp_path)


def test_a_shard_whose_name_says_nothing_beside_those_that_do(tmp_path):
    for name in ("train-0", "strange"):
        write(tmp_path / f"{name}.parquet", {"image": structs([1, 2]), "label": [0, 1]})
    with pytest.raises(UserError, match=r"strange\.parquet does not say its split"):
        parquet_source(tmp_path)


def test_a_shard_with_other_columns(tmp_path):
    write(tmp_path / "train-0.parquet", {"image": structs([1, 2]), "label": [0, 1]})
    write(tmp_path / "train-1.parquet", {"image": structs([1, 2]), "class": [0, 1]})
    with pytest.raises(UserError, match=r"train-1\.parquet has no column 'label'"):
        parquet_source(tmp_path).open("train")


@pytest.mark.parametrize("content", [b"", b"hello", b"PAR1" + b"\xff" * 40 + b"PAR1"])
def test_a_damaged_file(tmp_path, content):
    path = tmp_path / "a.parquet"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"a\.parquet cannot be read as Parquet"):
        parquet_source(path)


def test_hidden_folders_are_not_searched(tmp_path):
    for name in (".cache/a.parquet", "b.parquet", "x/y/c.parquet"):
        write(tmp_path / name, {"label": [1]})
    assert [p.name for p in find_parquet(tmp_path)] == ["b.parquet", "c.parquet"]


def test_without_pyarrow_the_error_says_how_to_get_it(tmp_path, monkeypatch):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name.startswith("pyarrow"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    path = write(tmp_path / "a.parquet", {"label": [1]})
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UserError, match="pip install pyarrow"):
        parquet_source(path)


def test_the_fingerprint_follows_the_bytes(tmp_path):
    first = parquet_source(write(tmp_path / "a.parquet", {"image": structs([1]), "label": [0]}))
    mark = first.fingerprint()
    assert first.open("train").fingerprint() == first.open("train").fingerprint() != mark
    assert (
        parquet_source(write(tmp_path / "a.parquet", {"image": structs([2]), "label": [0]})).fingerprint()
        != mark
    )


def test_cells_and_labels_agree_over_many_row_groups(tmp_path):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 40)
    path = write(
        tmp_path / "a.parquet", {"image": structs(labels * 100), "label": labels}, schema_note(), group=7
    )
    train = parquet_source(path).open("train")
    for i in rng.permutation(40):
        assert train[i][0][0, 0, 0] == 100 * train[i][1]
    assert isinstance(train.cell, ParquetCells)
