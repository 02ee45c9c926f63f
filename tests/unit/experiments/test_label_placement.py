from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convscope.experiments.label_placement import place_labels

FRAME = (0.0, 0.0, 900.0, 700.0)
WIDTH, HEIGHT = 120.0, 18.0

inside = st.tuples(st.floats(20, 880), st.floats(20, 680))


def overlap(a, b):
    return max(0.0, min(a[2], b[2]) - max(a[0], b[0])) * max(0.0, min(a[3], b[3]) - max(a[1], b[1]))


def places(points, radius=6.0, marks=()):
    sizes = [(WIDTH, HEIGHT)] * len(points)
    return place_labels(points, [radius] * len(points), sizes, marks=marks, frame=FRAME)


@pytest.mark.slow
@given(st.lists(inside, max_size=12))
def test_no_name_covers_another_or_leaves_the_frame(points):
    boxes = places(points)
    assert all(overlap(a, b) == 0 for a, b in combinations(boxes, 2))
    assert all(b[0] >= -1e-6 and b[1] >= -1e-6 and b[2] <= 900 + 1e-6 and b[3] <= 700 + 1e-6 for b in boxes)


@pytest.mark.slow
@given(inside, st.integers(2, 10))
def test_networks_at_one_and_the_same_point_all_have_a_name(point, count):
    assert all(overlap(a, b) == 0 for a, b in combinations(places([point] * count), 2))


@pytest.mark.slow
@given(st.lists(inside, min_size=1, max_size=12), st.floats(1, 30))
def test_a_name_keeps_its_size_and_stays_off_its_own_disc(points, radius):
    for (x, y), box in zip(points, places(points, radius), strict=True):
        assert abs(box[2] - box[0] - WIDTH) < 1e-6 and abs(box[3] - box[1] - HEIGHT) < 1e-6
        away = max(box[0] - x, x - box[2]), max(box[1] - y, y - box[3])
        assert max(away) > 0 and sum(max(side, 0) ** 2 for side in away) ** 0.5 >= radius - 1e-6


def test_a_name_stands_at_the_right_of_its_point_where_nothing_is_in_the_way():
    assert places([(100, 100)]) == [(110.0, 91.0, 230.0, 109.0)]


def test_a_name_at_the_right_edge_goes_to_the_left():
    ((left, _, right, _),) = places([(880, 100)])
    assert right == 870 and left == 750


def test_a_name_makes_room_for_an_error_bar():
    bar = (130.0, 50.0, 140.0, 150.0)
    (box,) = places([(100, 100)], marks=[bar])
    assert overlap(box, bar) == 0


@pytest.mark.slow
def test_the_same_points_have_the_same_places():
    points = [(50.0 * n % 800 + 20, 37.0 * n % 600 + 20) for n in range(40)]
    assert places(points) == places(list(points))


def test_nothing_to_name():
    assert places([]) == []
