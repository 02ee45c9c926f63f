"""Walking folders: order, hidden names, links that loop, things that are no files."""

from __future__ import annotations

import os

import pytest

from convscope.core.errors import UserError
from convscope.data.sources.image_walk import (
    Leftovers,
    is_hidden,
    is_image,
    list_folder,
    shortened,
    walk_folders,
    walk_images,
)


def touch(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


@pytest.mark.parametrize("name", ["a.jpg", "a.JPG", "A.JpEg", "x.y.png", "ü n.webp", "a.TIFF"])
def test_image_endings_in_any_case(name):
    assert is_image(name)


@pytest.mark.parametrize("name", ["a.txt", "jpg", ".jpg", "a.jpg.txt", "a.npy", "a", ""])
def test_other_endings(name):
    assert not is_image(name)


@pytest.mark.parametrize(
    "name", [".DS_Store", ".ipynb_checkpoints", "__MACOSX", "Thumbs.db", "desktop.ini", "._a.jpg"]
)
def test_hidden_and_system_names(name):
    assert is_hidden(name)


def test_files_come_sorted_whatever_the_depth(tmp_path):
    for name in ("b/2.jpg", "a.jpg", "b/1.PNG", "b/c/d/0.jpg", "B.jpg"):
        touch(tmp_path / name)
    assert walk_images(tmp_path, Leftovers()) == ["B.jpg", "a.jpg", "b/1.PNG", "b/2.jpg", "b/c/d/0.jpg"]


def test_what_is_passed_over_is_remembered(tmp_path):
    for name in (
        ".DS_Store",
        ".ipynb_checkpoints/a.jpg",
        "sub/Thumbs.db",
        "notes.txt",
        "sub/model.pt",
        "a.jpg",
    ):
        touch(tmp_path / name)
    left = Leftovers()
    assert walk_images(tmp_path, left) == ["a.jpg"]
    assert sorted(left.hidden) == [".DS_Store", ".ipynb_checkpoints", "Thumbs.db"]
    assert sorted(left.others) == ["model.pt", "notes.txt"]
    hidden, others = left.notes()
    assert hidden.startswith("3 hidden")
    assert others.startswith("2 files are no images")


def test_a_link_that_loops_does_not_hang(tmp_path):
    touch(tmp_path / "in" / "a.jpg")
    (tmp_path / "in" / "again").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "self").symlink_to("self")
    left = Leftovers()
    assert walk_images(tmp_path, left) == ["in/a.jpg"]
    assert left.loops == ["in/again"]
    (note,) = [note for note in left.notes() if "link" in note]
    assert "not followed: in/again" in note


def test_a_link_above_the_folder_is_not_followed(tmp_path):
    touch(tmp_path / "other.jpg")
    touch(tmp_path / "here" / "a.jpg")
    (tmp_path / "here" / "up").symlink_to("..")
    left = Leftovers()
    assert walk_images(tmp_path / "here", left) == ["a.jpg"]
    assert left.loops == ["up"]


def test_a_linked_folder_may_be_walked_itself(tmp_path):
    touch(tmp_path / "here" / "sub" / "a.jpg")
    (tmp_path / "link").symlink_to("here")
    assert walk_images(tmp_path / "link", Leftovers()) == ["sub/a.jpg"]


def test_of_several_folders_each_keeps_its_own_images(tmp_path):
    for name in ("a/1.jpg", "b/sub/2.jpg", "b/3.jpg"):
        touch(tmp_path / name)
    (tmp_path / "a" / "link").symlink_to("../b/sub")
    (found_a, left_a), (found_b, left_b) = walk_folders(tmp_path, ["a", "b"])
    assert (found_a, found_b) == (["1.jpg"], ["3.jpg", "sub/2.jpg"])
    assert (left_a.loops, left_b.loops) == (["a/link"], [])


def test_links_to_files_and_folders_elsewhere_are_followed(tmp_path):
    touch(tmp_path / "elsewhere" / "deep" / "a.jpg")
    here = tmp_path / "here"
    here.mkdir()
    (here / "folder").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (here / "b.jpg").symlink_to(tmp_path / "elsewhere" / "deep" / "a.jpg")
    assert walk_images(here, Leftovers()) == ["b.jpg", "folder/deep/a.jpg"]


def test_a_pipe_and_a_broken_link_called_jpg_are_no_images(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "broken.jpg").symlink_to("nowhere.jpg")
    left = Leftovers()
    assert walk_images(tmp_path, left) == []
    assert sorted(left.others) == ["broken.jpg", "pipe.jpg"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may list every folder")
def test_a_closed_folder_is_left_out_with_a_note(tmp_path):
    touch(tmp_path / "shut" / "a.jpg")
    touch(tmp_path / "b.jpg")
    (tmp_path / "shut").chmod(0)
    left = Leftovers()
    try:
        assert walk_images(tmp_path, left) == ["b.jpg"]
    finally:
        (tmp_path / "shut").chmod(0o700)
    assert left.closed == ["shut"]


def test_a_folder_that_cannot_be_listed_is_named(tmp_path):
    with pytest.raises(UserError, match="nowhere cannot be listed"):
        list_folder(tmp_path / "nowhere", Leftovers())


def test_shortened_lists():
    assert shortened(["a"]) == "a"
    assert shortened(["a", "b", "c"]) == "a, b, c"
    assert shortened(["a", "b", "c", "d"], limit=1) == "a, …"
