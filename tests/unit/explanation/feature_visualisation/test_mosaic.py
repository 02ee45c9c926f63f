import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convscope.core.plotting import new_figure
from convscope.explanation.feature_visualisation.mosaic import columns_for, draw_mosaic, mosaic, stretched


@given(
    st.integers(0, 9),
    st.integers(1, 4),
    st.integers(1, 5),
    st.integers(1, 5),
    st.integers(0, 3),
    st.booleans(),
)
def test_every_tile_is_found_again_and_the_rest_is_empty(count, columns, height, width, gap, coloured):
    shape = (count, height, width, *([3] if coloured else []))
    tiles = np.random.default_rng(0).random(shape)
    page = mosaic(tiles, columns, gap=gap)
    assert np.isfinite(page).sum() == tiles.size
    for number in range(count):
        top, left = number // columns * (height + gap), number % columns * (width + gap)
        assert np.array_equal(page[top : top + height, left : left + width], tiles[number])


@given(st.integers(0, 300))
def test_a_grid_has_room_for_all(count):
    columns = columns_for(count)
    assert 1 <= columns <= max(1, count)


def test_stretching_goes_from_0_to_1_and_leaves_constants_at_0():
    found = stretched(np.random.default_rng(0).normal(size=(5, 3, 4)))
    assert found.min(axis=(1, 2)).tolist() == [0] * 5 and found.max(axis=(1, 2)).tolist() == [1] * 5
    assert not stretched(np.full((1, 2, 2), 7.0)).any()


@pytest.mark.parametrize("labels", [(), ("0", "1", "2")])
def test_labels_stand_inside_the_axes(labels):
    figure = new_figure(4, 3)
    axes = figure.subplots()
    draw_mosaic(axes, np.random.default_rng(0).random((3, 4, 4)), columns=2, labels=labels)
    figure.draw_without_rendering()
    box = axes.get_window_extent()
    assert len(axes.texts) == len(labels)
    assert all(text.get_window_extent().y1 <= box.y1 + 1 for text in axes.texts)


def test_between_tiles_of_colour_lies_the_paper():
    axes = new_figure(4, 3).subplots()
    draw_mosaic(axes, np.ones((3, 4, 4, 3)), columns=2)
    drawn = axes.images[0].get_array()
    assert drawn.shape == (9, 9, 4)
    assert drawn[..., 3].sum() == 3 * 16 and not drawn[4].any() and not drawn[5:, 5:].any()
