"""CSV: columns, separators, splits, and the ways in which tables arrive broken."""

from __future__ import annotations

import pytest

from convscope.core.errors import UserError
from convscope.data.sources.csv_table import csv_source


def table(tmp_path, text: str | bytes, *files: str, name: str = "labels.csv"):
    for file in files or ("a.jpg", "b.jpg", "c.jpg"):
        path = tmp_path / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def rows(dataset):
    return [(dataset.name(i), dataset.classes[dataset.labels[i]]) for i in range(len(dataset))]


PLAIN = [("a.jpg", "cat"), ("b.jpg", "dog")]


@pytest.mark.parametrize(
    "text",
    [
        "a.jpg,cat\nb.jpg,dog\n",
        "path,label\na.jpg,cat\nb.jpg,dog",
        "Filename,Class\r\na.jpg,cat\r\nb.jpg,dog\r\n",
        "\ufeffpath,label\na.jpg,cat\nb.jpg,dog\n",
        "a.jpg;cat\nb.jpg;dog\n",
        "a.jpg\tcat\nb.jpg\tdog\n",
        "\n\na.jpg,cat\n\n  \n,,\nb.jpg,dog\n\n",
        '"a.jpg","cat"\n"b.jpg","dog"\n',
        " a.jpg , cat \n b.jpg,dog\n",
        "id,label,image\n1,cat,a.jpg\n2,dog,b.jpg\n",
        "a.jpg,cat,\nb.jpg,dog,train\n",
    ],
)
def test_every_way_to_write_the_same_table(tmp_path, text):
    source = csv_source(table(tmp_path, text))
    assert source.split_names == ("train",)
    assert rows(source.open("train")) == PLAIN
    assert (source.name, source.kind, source.notes) == ("labels", "CSV", ())


def test_quotes_hold_separators_spaces_and_unicode(tmp_path):
    text = '"my, image.jpg","cat, black"\n"ü ñ.jpg","日本 犬"\n'
    source = csv_source(table(tmp_path, text, "my, image.jpg", "ü ñ.jpg"))
    assert rows(source.open("train")) == [("my, image.jpg", "cat, black"), ("ü ñ.jpg", "日本 犬")]


def test_the_split_column(tmp_path):
    text = "path,label,split\na.jpg,cat,train\nb.jpg,dog,VAL\nc.jpg,dog,testing\n"
    source = csv_source(table(tmp_path, text))
    assert source.split_names == ("train", "validation", "test")
    assert rows(source.open("validation")) == [("b.jpg", "dog")]
    assert rows(source.open("test")) == [("c.jpg", "dog")]
    assert source.open("train").classes == ("cat", "dog")


def test_numbers_as_labels_come_in_order_of_size(tmp_path):
    source = csv_source(table(tmp_path, "a.jpg,10\nb.jpg,9\nc.jpg,10\n"))
    assert source.open("train").classes == ("9", "10")
    assert source.open("train").labels.tolist() == [1, 0, 1]


def test_paths_in_folders_are_relative_to_the_table(tmp_path):
    source = csv_source(table(tmp_path, "x/a.jpg,cat\nx/b.jpg,dog\n", "x/a.jpg", "x/b.jpg"))
    assert source.open("train").encoded(0) == b"x"


def test_paths_that_lead_outside_are_taken_and_mentioned(tmp_path):
    inner = tmp_path / "inner"
    inner.mkdir()
    (tmp_path / "out.jpg").write_bytes(b"o")
    source = csv_source(table(inner, f"../out.jpg,cat\n{tmp_path}/out.jpg,dog\na.jpg,dog\n"))
    train = source.open("train")
    assert train.encoded(0) == train.encoded(1) == b"o"
    assert any("2 paths lead outside" in note for note in source.notes)


def test_missing_files_are_left_out_and_mentioned(tmp_path):
    source = csv_source(table(tmp_path, "a.jpg,cat\nnowhere.jpg,dog\nb.jpg,dog\n"))
    assert rows(source.open("train")) == PLAIN
    assert source.notes == ("1 of 3 rows name missing files and were left out: nowhere.jpg (line 2)",)


def test_a_table_of_missing_files_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"none of its 2 files is there, x\.jpg \(line 1\) first"):
        csv_source(table(tmp_path, "x.jpg,cat\ny.jpg,dog\n"))


def test_a_row_that_is_repeated_counts_once(tmp_path):
    source = csv_source(table(tmp_path, "a.jpg,cat\na.jpg,cat\nb.jpg,dog\na.jpg,cat\n"))
    assert rows(source.open("train")) == PLAIN
    assert source.notes == ("2 rows repeat an earlier row and were left out",)


@pytest.mark.parametrize(
    "contrary", ["c.jpg,cat\nc.jpg,dog\nc.jpg,dog\n", "c.jpg,cat,train\nc.jpg,cat,test\n"]
)
def test_rows_that_contradict_each_other_are_all_left_out(tmp_path, contrary):
    source = csv_source(table(tmp_path, f"a.jpg,cat\n{contrary}b.jpg,dog\n"))
    assert rows(source.open("train")) == PLAIN
    assert source.notes == ("1 files stand in rows of different label or split and were left out: c.jpg",)


def test_a_table_of_contradictions_is_refused(tmp_path):
    with pytest.raises(UserError, match="only rows that contradict each other"):
        csv_source(table(tmp_path, "a.jpg,cat\na.jpg,dog\n"))


def test_paths_written_on_windows(tmp_path):
    source = csv_source(table(tmp_path, "x\\a.jpg,cat\nx\\b.jpg,dog\n", "x/a.jpg", "x/b.jpg"))
    assert rows(source.open("train")) == [("x/a.jpg", "cat"), ("x/b.jpg", "dog")]


@pytest.mark.parametrize("text", ["", "\n\n", "path,label\n", "\ufeff"])
def test_an_empty_table_is_refused(tmp_path, text):
    with pytest.raises(UserError, match="has no rows"):
        csv_source(table(tmp_path, text))


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16"])
def test_a_table_that_is_not_utf8_is_refused_with_the_byte(tmp_path, encoding):
    with pytest.raises(UserError, match=r"not UTF-8 \(byte \d+\); save it as CSV UTF-8"):
        csv_source(table(tmp_path, "a.jpg,käfer\nb.jpg,dog\n".encode(encoding)))


@pytest.mark.parametrize(
    ("text", "line"), [("a.jpg,cat\nb.jpg\n", 2), ("a.jpg,\nb.jpg,dog\n", 1), ("a.jpg,cat\n\n,dog\n", 3)]
)
def test_a_row_without_path_or_label_is_refused_with_its_line(tmp_path, text, line):
    with pytest.raises(UserError, match=f"line {line}: .* has no path and label"):
        csv_source(table(tmp_path, text))


def test_an_unknown_split_is_refused_with_its_line(tmp_path):
    with pytest.raises(UserError, match=r"line 2: 'holdout' is no split; allowed: train"):
        csv_source(table(tmp_path, "a.jpg,cat,train\nb.jpg,dog,holdout\n"))


def test_a_table_without_train_is_refused(tmp_path):
    with pytest.raises(UserError, match="no row of the train split"):
        csv_source(table(tmp_path, "a.jpg,cat,test\nb.jpg,dog,test\n"))


def test_one_class_is_refused(tmp_path):
    with pytest.raises(UserError, match="one class, 'cat'"):
        csv_source(table(tmp_path, "a.jpg,cat\nb.jpg,cat\n"))


def test_a_quote_that_never_closes_is_refused(tmp_path):
    with pytest.raises(UserError, match="line"):
        csv_source(table(tmp_path, 'a.jpg,cat\n"b.jpg,dog\n'))


def test_a_folder_in_the_place_of_an_image_counts_as_missing(tmp_path):
    (tmp_path / "d.jpg").mkdir()
    source = csv_source(table(tmp_path, "a.jpg,cat\nd.jpg,dog\nb.jpg,dog\n"))
    assert len(source.open("train")) == 2


def test_a_directory_is_no_table(tmp_path):
    with pytest.raises(UserError, match="cannot be read"):
        csv_source(tmp_path)


def test_the_fingerprint_follows_table_and_images(tmp_path):
    path = table(tmp_path, "a.jpg,cat\nb.jpg,dog\n")
    first = csv_source(path).fingerprint()
    assert csv_source(path).fingerprint() == first
    (tmp_path / "a.jpg").write_bytes(b"longer")
    assert csv_source(path).fingerprint() != first
