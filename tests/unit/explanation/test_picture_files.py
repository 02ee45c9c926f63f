"""Names of pictures: the image's own, never over the picture of another image, and possible on every disk."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from convscope.explanation.picture_files import LONGEST, PictureFiles


def figure() -> Figure:
    return Figure(figsize=(0.5, 0.5))


def test_the_same_stem_gets_a_number_and_the_same_image_its_own_picture(tmp_path):
    names = ["a/cat.jpg", "b/cat.jpg", "cat.png", "a/CAT.jpg", "a/cat.jpg"]
    first = PictureFiles(tmp_path)
    assert [first.save(figure(), name).name for name in names] == [
        *("cat.png", "cat-2.png", "cat-3.png", "CAT-4.png", "cat.png")
    ]
    # A later call knows whose picture is whose.
    later = PictureFiles(tmp_path)
    assert [later.save(figure(), name).name for name in ("cat.png", "c/cat.gif", "b/cat.jpg")] == [
        *("cat-3.png", "cat-4.png", "cat-2.png")
    ]


def test_a_picture_of_somebody_else_stays(tmp_path):
    Image.fromarray(np.zeros((2, 2), np.uint8)).save(tmp_path / "filters.png")
    (tmp_path / "notes.png").write_text("no image")
    files = PictureFiles(tmp_path)
    assert files.save(figure(), "filters.jpg").name == "filters-2.png"
    assert files.save(figure(), "notes.jpg").name == "notes-2.png"
    assert (tmp_path / "notes.png").read_text() == "no image"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("image 1", "image_1.png"),
        ("a/..hidden.png", "hidden.png"),
        ("/tmp/a b\n<c>|d.png", "a_b_c_d.png"),
        ("größe.png", "größe.png"),
        ("\udce9.png", "xe9.png"),
        ("", "image.png"),
        ("x" * 300 + ".png", "x" * LONGEST + ".png"),
    ],
)
def test_hostile_names(tmp_path, name, expected):
    path = PictureFiles(tmp_path).save(figure(), name)
    assert path == tmp_path / expected and path.is_file()
    assert PictureFiles(tmp_path).place(name) == path
