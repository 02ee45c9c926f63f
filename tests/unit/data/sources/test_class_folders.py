"""Class folders: every sane layout opens, every other one is explained."""

from __future__ import annotations

import os

import numpy as np
import pytest
from PIL import Image

from convscope.core.contracts import EncodedDataset
from convscope.core.errors import UserError
from convscope.data.sources.class_folders import folder_source


def make(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"not decoded here")
    return root


def names(dataset):
    return [dataset.name(i) for i in range(len(dataset))]


def test_one_folder_a_class(tmp_path):
    source = folder_source(make(tmp_path / "photos", "dog/b.jpg", "cat/a.jpg", "dog/a.JPG"))
    assert (source.name, source.kind, source.split_names, source.notes) == (
        "photos",
        "class folders",
        ("train",),
        (),
    )
    train = source.open("train")
    assert isinstance(train, EncodedDataset)
    assert train.classes == ("cat", "dog")
    assert names(train) == ["cat/a.jpg", "dog/a.JPG", "dog/b.jpg"]
    assert train.labels.tolist() == [0, 1, 1]


@pytest.mark.parametrize("train", ["train", "Training", "TRAIN"])
@pytest.mark.parametrize("validation", ["val", "valid", "Validation", "dev"])
@pytest.mark.parametrize("test", ["test", "Testing"])
def test_every_name_for_a_split(tmp_path, train, validation, test):
    source = folder_source(
        make(tmp_path, *(f"{split}/{c}/a.png" for split in (train, validation, test) for c in ("cat", "dog")))
    )
    assert source.split_names == ("train", "validation", "test")
    assert names(source.open("validation")) == [f"{validation}/cat/a.png", f"{validation}/dog/a.png"]
    assert names(source.open("test")) == [f"{test}/cat/a.png", f"{test}/dog/a.png"]


def test_folders_nest_inside_a_class(tmp_path):
    train = folder_source(make(tmp_path, "cat/2021/05/a.jpg", "cat/b.jpg", "dog/x/c.jpg")).open("train")
    assert names(train) == ["cat/2021/05/a.jpg", "cat/b.jpg", "dog/x/c.jpg"]
    assert train.labels.tolist() == [0, 0, 1]


def test_numbered_classes_come_in_order_of_number(tmp_path):
    assert folder_source(make(tmp_path, "10/a.jpg", "9/a.jpg")).open("train").classes == ("9", "10")


def test_unicode_names_and_spaces(tmp_path):
    classes = ("ein Käfer", "日本 猫", "🐈")
    train = folder_source(make(tmp_path, *(f"{c}/ein bild é.jpg" for c in classes))).open("train")
    assert set(train.classes) == set(classes)
    assert train.encoded(0) == b"not decoded here"


def test_hidden_names_and_other_files_are_ignored_and_mentioned(tmp_path):
    source = folder_source(
        make(
            tmp_path,
            *(
                "cat/a.jpg",
                "dog/a.jpg",
                ".DS_Store",
                "cat/.ipynb_checkpoints/a-checkpoint.jpg",
                "__MACOSX/cat/._a.jpg",
            ),
            *("dog/Thumbs.db", "cat/labels.txt", "README.md"),
        )
    )
    assert len(source.open("train")) == 2
    notes = "\n".join(source.notes)
    assert "4 hidden or system files" in notes
    assert "2 files are no images" in notes


def test_images_beside_the_class_folders_are_mentioned(tmp_path):
    source = folder_source(make(tmp_path, "cat/a.jpg", "dog/a.jpg", "loose.jpg", "loose2.jpg"))
    assert len(source.open("train")) == 2
    assert source.notes == ("2 images lie beside the class folders and were left out: loose.jpg, loose2.jpg",)


def test_a_folder_of_other_files_is_no_class_but_an_empty_one_is(tmp_path):
    make(tmp_path, "cat/a.jpg", "dog/a.jpg", "docs/readme.txt")
    (tmp_path / "empty").mkdir()
    source = folder_source(tmp_path)
    assert source.open("train").classes == ("cat", "dog", "empty")
    assert any("docs holds files but no image" in note for note in source.notes)
    assert any("1 class folders of the train split are empty: empty" in note for note in source.notes)


def test_classes_are_those_of_all_splits_and_differences_are_mentioned(tmp_path):
    source = folder_source(
        make(tmp_path, "train/cat/a.jpg", "train/dog/a.jpg", "test/cat/a.jpg", "test/owl/a.jpg")
    )
    assert source.open("train").classes == source.open("test").classes == ("cat", "dog", "owl")
    assert source.open("test").labels.tolist() == [0, 2]
    assert any("train split has no folder for 1 classes: owl" in note for note in source.notes)
    assert any("test split has no folder for 1 classes: dog" in note for note in source.notes)


def test_a_class_may_be_called_train(tmp_path):
    source = folder_source(make(tmp_path, "train/a.jpg", "plane/a.jpg"))
    assert source.open("train").classes == ("plane", "train")


def test_folders_beside_the_splits_are_mentioned(tmp_path):
    source = folder_source(make(tmp_path, "train/cat/a.jpg", "train/dog/a.jpg", "extra/cat/a.jpg"))
    assert len(source.open("train")) == 2
    assert any("1 folders beside the splits were left out: extra" in note for note in source.notes)


@pytest.mark.parametrize(("prefix", "depth"), [("photos/", 1), ("a/photos/", 2)])
@pytest.mark.parametrize("inner", ["", "train/"])
def test_a_wrapping_folder_is_unwrapped(tmp_path, prefix, depth, inner):
    source = folder_source(
        make(tmp_path, f"{prefix}{inner}cat/a.jpg", f"{prefix}{inner}dog/a.jpg", "__MACOSX/x")
    )
    train = source.open("train")
    assert names(train) == [f"{prefix}{inner}cat/a.jpg", f"{prefix}{inner}dog/a.jpg"]
    assert train.classes == ("cat", "dog")
    assert train.encoded(1)
    assert any(f"{depth} down, in {prefix[:-1]}" in note for note in source.notes)


def test_the_test_images_are_not_read(tmp_path, monkeypatch):
    make(tmp_path, "train/cat/a.jpg", "train/dog/a.jpg", "test/cat/a.jpg")
    source = folder_source(tmp_path)
    (tmp_path / "test/cat/a.jpg").unlink()
    assert len(source.open("train")) == 2
    assert len(source.fingerprint()) == 64


def test_the_fingerprint_follows_the_files(tmp_path):
    make(tmp_path, "cat/a.jpg", "dog/a.jpg")
    first = folder_source(tmp_path).fingerprint()
    assert folder_source(tmp_path).fingerprint() == first
    make(tmp_path, "dog/b.jpg")
    assert folder_source(tmp_path).fingerprint() != first


def test_images_are_decoded_when_asked_for(tmp_path):
    make(tmp_path, "cat/a.png", "dog/a.png")
    Image.new("L", (7, 5), 9).save(tmp_path / "dog" / "a.png")
    image, label = folder_source(tmp_path).open("train")[1]
    assert image.shape == (5, 7, 3)
    assert np.all(image == 9)
    assert label == 1


def test_flat_images_get_the_layout_explained(tmp_path):
    with pytest.raises(UserError, match=r"holds 2 images but no class folder.*one folder a class"):
        folder_source(make(tmp_path, "a.jpg", "b.jpg"))


def test_flat_images_inside_train_get_it_explained_too(tmp_path):
    make(tmp_path, "train/a.jpg", "test/b.jpg")
    (tmp_path / "train" / "cat").mkdir()
    with pytest.raises(UserError, match="no class folder with images"):
        folder_source(tmp_path)


def test_one_class_is_refused(tmp_path):
    with pytest.raises(UserError, match="one class, 'cat'"):
        folder_source(make(tmp_path, "cat/a.jpg", "cat/b.jpg"))


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(UserError, match="holds no image; expected one folder a class"):
        folder_source(tmp_path)


def test_a_table_in_an_imageless_folder_is_pointed_at(tmp_path):
    with pytest.raises(UserError, match=r"there is a labels\.csv in it"):
        folder_source(make(tmp_path, "labels.csv"))


def test_empty_class_folders_hold_no_image(tmp_path):
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
    with pytest.raises(UserError, match="holds no image"):
        folder_source(tmp_path)


def test_test_without_train_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"test and val but no train|val.*no train folder"):
        folder_source(make(tmp_path, "test/cat/a.jpg", "val/cat/a.jpg"))


def test_two_folders_for_one_split_are_refused(tmp_path):
    with pytest.raises(UserError, match="two folders for the validation split, val and valid"):
        folder_source(make(tmp_path, "train/cat/a.jpg", "val/cat/a.jpg", "valid/cat/a.jpg"))


@pytest.mark.parametrize("name", [os.fsdecode(b"caf\xe9"), "two\nlines"])
def test_a_class_name_that_no_image_can_show_is_refused_at_once(tmp_path, name):
    for folder in ("ant", name):
        try:
            (tmp_path / folder).mkdir()
        except OSError:
            pytest.skip("this file system takes no such name")
        Image.new("RGB", (8, 8)).save(tmp_path / folder / "a.png")
    with pytest.raises(UserError, match="rename it"):
        folder_source(tmp_path)


@pytest.mark.parametrize(
    ("link", "target"), [("cat/loop", ".."), ("cat/loop", "../dog"), ("kitty", "cat"), ("me", ".")]
)
def test_a_link_brings_no_images_of_another_class(tmp_path, link, target):
    make(tmp_path, "cat/a.jpg", "dog/a.jpg")
    (tmp_path / link).symlink_to(target, target_is_directory=True)
    source = folder_source(tmp_path)
    assert names(source.open("train")) == ["cat/a.jpg", "dog/a.jpg"]
    assert source.open("train").classes == ("cat", "dog")
    assert any(f"not followed: {link}" in note for note in source.notes)


def test_a_link_brings_no_images_of_the_test_split_into_training(tmp_path):
    make(tmp_path, "train/cat/a.jpg", "train/dog/a.jpg", "test/cat/b.jpg", "test/dog/b.jpg")
    (tmp_path / "train" / "cat" / "more").symlink_to("../../test/cat", target_is_directory=True)
    source = folder_source(tmp_path)
    assert names(source.open("train")) == ["train/cat/a.jpg", "train/dog/a.jpg"]
    assert names(source.open("test")) == ["test/cat/b.jpg", "test/dog/b.jpg"]


def test_classes_may_be_links_to_folders_kept_elsewhere(tmp_path):
    make(tmp_path, "all/cat/a.jpg", "all/dog/a.jpg")
    for name in ("cat", "dog"):
        (tmp_path / "photos" / "train").mkdir(parents=True, exist_ok=True)
        (tmp_path / "photos" / "train" / name).symlink_to(tmp_path / "all" / name, target_is_directory=True)
    assert names(folder_source(tmp_path / "photos").open("train")) == ["train/cat/a.jpg", "train/dog/a.jpg"]
