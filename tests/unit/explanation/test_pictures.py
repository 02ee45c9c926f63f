"""The picture: colours, scales, small and large images, refusals, and names that nobody thought of."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from matplotlib.figure import Figure
from PIL import Image

from convscope.explanation.pictures import (
    LONGEST,
    Panel,
    PictureFiles,
    explanation_figure,
    overlay,
    strength,
)


def drawn(figure) -> np.ndarray:
    png = BytesIO()
    figure.savefig(png, format="png", dpi=40)
    return np.asarray(Image.open(png).convert("RGB"))


@given(arrays(np.float64, (4, 6), elements=st.floats(-1e6, 1e6)), st.booleans())
def test_strengths_stay_in_their_range_and_keep_the_order(map, signed):
    found = strength(map, signed=signed)
    assert found.shape == map.shape and found.min() >= (-1 if signed else 0) and found.max() <= 1
    order = np.argsort(map.ravel(), kind="stable")
    assert (np.diff(found.ravel()[order]) >= 0).all()


def test_zero_is_the_middle_of_a_signed_map():
    found = strength(np.array([[-8.0, 0.0, 2.0]]), signed=True)
    assert found[0, 1] == 0 and found[0, 0] == pytest.approx(-1, abs=0.05) and 0.2 < found[0, 2] < 0.3


def test_one_pixel_does_not_hide_all_others():
    map = np.full((20, 20), 0.5)
    map[:, :10], map[0, 0] = 0, 1000
    assert strength(map, signed=False)[5, 15] == 1


@pytest.mark.parametrize("signed", [True, False])
def test_a_flat_map_and_nan_are_drawn(signed):
    flat = overlay(np.zeros((3, 3, 1), np.uint8), np.ones((3, 3)), signed=signed)
    assert len(np.unique(flat.reshape(-1, 3), axis=0)) == 1
    assert overlay(
        np.zeros((2, 2, 3), np.uint8), np.array([[np.nan, 1], [0, np.inf]]), signed=signed
    ).shape == (
        2,
        2,
        3,
    )


@pytest.mark.parametrize("channels", [1, 3])
def test_red_speaks_for_and_blue_against(channels):
    image = np.full((1, 3, channels), 128, np.uint8)
    ((against, neither, speaks),) = overlay(image, np.array([[-1.0, 0.0, 1.0]]), signed=True).astype(int)
    assert against[2] > against[0] + 50 and speaks[0] > speaks[2] + 50 and np.ptp(neither) <= 3


def test_the_image_shines_through_in_grey():
    image = np.array([[[0, 0, 0], [255, 255, 255]], [[255, 0, 0], [0, 0, 255]]], np.uint8)
    found = overlay(image, np.ones((2, 2)), signed=False).sum(axis=2)
    assert found[0, 0] < found[1, 1] < found[1, 0] < found[0, 1]
    assert overlay(image, np.ones((2, 2)), signed=False).dtype == np.uint8


@pytest.mark.slow
@pytest.mark.parametrize(
    ("shape", "count"),
    [((28, 28, 1), 13), ((64, 64, 3), 4), ((20, 90, 3), 1), ((90, 20, 1), 4), ((9, 9, 1), 0)],
)
def test_any_number_of_methods_on_any_shape(shape, count):
    image = np.random.default_rng(0).integers(0, 255, shape, dtype=np.uint8)
    panels = [
        Panel(f"m{k}", np.random.default_rng(k).normal(size=shape[:2]), signed=k % 2 == 0)
        for k in range(count)
    ]
    figure = explanation_figure(image, "cat 90 %", panels, label="cat")
    above = figure.subfigs[0]
    titles = [axes.get_title() for axes in above.axes if axes.get_title()]
    assert titles == ["cat 90 %", *(f"m{k}" for k in range(count))]
    assert drawn(figure).std() > 0


def test_a_refusal_stands_where_the_map_would():
    figure = explanation_figure(
        np.zeros((8, 8, 1), np.uint8),
        "a",
        [Panel("CAM", np.zeros((1, 1)), refused="every $place$ is 0")],
        label="a",
    )
    texts = [text.get_text() for axes in figure.subfigs[0].axes for text in axes.texts]
    assert any("every \\$place\\$ is 0" in text for text in texts)
    assert not figure.subfigs[1].axes  # no map, so no colours to explain
    drawn(figure)


def test_the_best_has_a_star_and_the_colours_their_words():
    panels = [Panel("A", np.eye(8), best=True, numbers="insertion 1"), Panel("B", -np.eye(8), signed=True)]
    figure = explanation_figure(np.zeros((8, 8, 1), np.uint8), "a", panels, label="cat")
    assert [axes.get_title() for axes in figure.subfigs[0].axes][1:3] == ["A ★", "B"]
    texts = {text.get_text() for axes in figure.subfigs[1].axes for text in axes.texts}
    assert {"counts least", "counts most", "against cat", "neither", "for cat"} <= texts


def test_bad_names_are_drawn():
    name = "$x^{ <b>&=" + "long " * 40
    panels = [Panel("A", np.eye(8), signed=True, numbers="a\nb")]
    drawn(explanation_figure(np.zeros((8, 8, 3), np.uint8), "x", panels, label=name))


def test_pixels_of_small_images_stay_squares():
    figure = explanation_figure(np.zeros((4, 4, 1), np.uint8), "a", [Panel("A", np.eye(4))], label="a")
    pictures = [image for axes in figure.subfigs[0].axes for image in axes.get_images()]
    assert [image.get_interpolation() for image in pictures] == ["nearest"] * 2


def empty_figure() -> Figure:
    return Figure(figsize=(0.5, 0.5))


def test_the_same_stem_gets_a_number_and_the_same_image_its_own_picture(tmp_path):
    names = ["a/cat.jpg", "b/cat.jpg", "cat.png", "a/CAT.jpg", "a/cat.jpg"]
    first = PictureFiles(tmp_path)
    assert [first.save(empty_figure(), name).name for name in names] == [
        *("cat.png", "cat-2.png", "cat-3.png", "CAT-4.png", "cat.png")
    ]
    # A later call knows whose picture is whose.
    later = PictureFiles(tmp_path)
    assert [later.save(empty_figure(), name).name for name in ("cat.png", "c/cat.gif", "b/cat.jpg")] == [
        *("cat-3.png", "cat-4.png", "cat-2.png")
    ]


def test_a_picture_of_somebody_else_stays(tmp_path):
    Image.fromarray(np.zeros((2, 2), np.uint8)).save(tmp_path / "filters.png")
    (tmp_path / "notes.png").write_text("no image")
    files = PictureFiles(tmp_path)
    assert files.save(empty_figure(), "filters.jpg").name == "filters-2.png"
    assert files.save(empty_figure(), "notes.jpg").name == "notes-2.png"
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
def test_bad_names_become_files(tmp_path, name, expected):
    path = PictureFiles(tmp_path).save(empty_figure(), name)
    assert path == tmp_path / expected and path.is_file()
    assert PictureFiles(tmp_path).place(name) == path
