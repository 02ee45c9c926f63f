"""Where names go beside the points of a picture, so that they cover neither each other nor the points."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

Box = tuple[float, float, float, float]
Point = tuple[float, float]
Size = tuple[float, float]

GAPS = (4.0, 14.0, 28.0, 46.0, 70.0, 100.0, 140.0, 190.0, 250.0, 320.0, 400.0)
# Right of the point first, then left, above and below, then between them: in degrees against the clock.
DIRECTIONS = (0, 180, 90, 270, 45, 315, 135, 225, 20, 340, 160, 200, 65, 295, 115, 245)
# What a pixel of overlap costs: with another name or beyond the frame, with a mark, with a disc; and a pixel
# of way.
NAME, MARK, DISC, WAY = 50.0, 3.0, 0.2, 0.7


def place_labels(
    points: Sequence[Point],
    radii: Sequence[float],
    sizes: Sequence[Size],
    *,
    marks: Sequence[Box],
    frame: Box,
) -> list[Box]:
    """A box (left, bottom, right, top) for each name, in its order, all in pixels.

    `points`: (x, y) of the n points; `radii` of the discs drawn around them; `sizes`: (width, height) of the
    n names; `marks`: boxes that names should leave open, such as error bars; `frame`: the box that all should
    lie in. One name after the other takes the place that costs least beside what is there already: near its
    point is cheap, over another name very dear. The same input gives the same places.

    >>> place_labels([(50, 50)], [10], [(20, 8)], marks=[], frame=(0, 0, 100, 100))
    [(64.0, 46.0, 84.0, 54.0)]
    """
    discs = [_square(point, radius) for point, radius in zip(points, radii, strict=True)]
    placed: list[Box] = []

    def cost(candidate: tuple[float, Box]) -> float:
        gap, box = candidate
        outside = _area(box) - _overlap(box, frame)
        names = sum(_overlap(box, other) for other in placed)
        on_marks = sum(_overlap(box, mark) for mark in marks)
        on_discs = sum(_overlap(box, disc) for disc in discs)
        return NAME * (outside + names) + MARK * on_marks + DISC * on_discs + WAY * gap

    for point, radius, size in zip(points, radii, sizes, strict=True):
        placed.append(min(_candidates(point, radius, size), key=cost)[1])
    return placed


def _candidates(point: Point, radius: float, size: Size) -> Iterator[tuple[float, Box]]:
    """Places around a point, the nearest first: the side or corner of the box that faces the point is `gap`
    from it.
    """
    (x, y), (width, height) = point, size
    for gap in GAPS:
        for degrees in DIRECTIONS:
            cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
            left = x + (radius + gap) * cosine + width / 2 * (_sign(cosine) - 1)
            bottom = y + (radius + gap) * sine + height / 2 * (_sign(sine) - 1)
            yield gap, (left, bottom, left + width, bottom + height)


def _sign(value: float) -> int:
    return 0 if abs(value) < 1e-9 else (1 if value > 0 else -1)


def _square(point: Point, radius: float) -> Box:
    return (point[0] - radius, point[1] - radius, point[0] + radius, point[1] + radius)


def _area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def _overlap(a: Box, b: Box) -> float:
    """The area in square pixels that two boxes share."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    return max(0.0, width) * max(0.0, height)
