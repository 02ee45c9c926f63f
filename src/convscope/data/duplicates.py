"""Images that occur twice: equal in every pixel, or the same picture saved, scaled, lit or coloured another way.

Two tests find near duplicates among thumbnails, both on values from which mean and contrast are removed:

    distance  d(a, b) = ‖a − b‖ of the 16×16 pixels       the same layout of light and dark
    detail    e(a, b) = ⟨∇a, ∇b⟩ of the 32×32 pixels      the same edges, in −1 … 1

Layout alone takes two sheets of paper for one; edges tell them apart. How close is suspicious depends on the data:
28×28 silhouettes of trousers resemble each other, photographs do not. So d counts as a fraction of what is usual, the
median distance to the tenth nearest image. Difference hashes are not used: in flat regions chance decides their bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_SIDE = 32
_FRACTION, _CAP = 0.2, 0.2
_DETAIL, _CERTAIN_DETAIL = 0.8, 0.98
_NEIGHBOURS = 8
_FLAT = 4.0  # grey levels of standard deviation; below it there is no picture to compare


@dataclass(frozen=True)
class NearPair:
    """The indices of two images that show the same; `certain` when only compression or light differs."""

    first: int
    second: int
    certain: bool


def exact_groups(digests: Sequence[bytes]) -> list[list[int]]:
    """The indices that share a digest, for each digest that occurs twice or more.

    >>> exact_groups([b"a", b"b", b"a"])
    [[0, 2]]
    """
    groups: dict[bytes, list[int]] = {}
    for index, digest in enumerate(digests):
        groups.setdefault(digest, []).append(index)
    return [group for group in groups.values() if len(group) > 1]


def near_pairs(thumbnails: NDArray[np.uint8]) -> list[NearPair]:
    """Pairs of near duplicates among grey thumbnails, uint8 N×32×32, at most 8 an image; none of them flat.

    Candidates come from a k-d tree over the 12 principal components of the layout, which never lie further apart than
    the images themselves, so that time grows as N log N and no pair within the distance is overlooked.

    >>> near_pairs(np.zeros((2, 32, 32), np.uint8))
    []
    """
    pooled = thumbnails.reshape(-1, _SIDE // 2, 2, _SIDE // 2, 2).mean(axis=(2, 4), dtype=np.float32)
    where = np.flatnonzero(pooled.std(axis=(1, 2)) >= _FLAT)
    if len(where) < 2:
        return []
    layout = _unit(pooled[where])
    reach = min(_CAP, _FRACTION * _usual_distance(layout))
    first, second = _candidates(layout, reach)
    distance = np.linalg.norm(layout[first] - layout[second], axis=1)
    first, second, distance = (a[distance <= reach] for a in (first, second, distance))
    first, second = where[first], where[second]
    detail = _detail(thumbnails, first, second)
    certain = (distance <= reach / 4) & (detail >= _CERTAIN_DETAIL)
    alike = np.flatnonzero(detail >= _DETAIL)
    return [NearPair(int(first[k]), int(second[k]), bool(certain[k])) for k in alike]


def _unit(images: NDArray[np.float32]) -> NDArray[np.float32]:
    """Vectors N×D of mean 0 and length 1 (0 where there is no contrast), made in the memory of `images`."""
    flat = images.reshape(len(images), -1)
    flat -= flat.mean(axis=1, keepdims=True)
    flat /= np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-3)
    return flat


def _usual_distance(layout: NDArray[np.float32]) -> float:
    """The median, over 128 images, of the distance to the tenth nearest; 1 where there are too few to tell."""
    if len(layout) < 32:
        return 1.0
    sample = layout[np.linspace(0, len(layout) - 1, 128).astype(int)]
    blocks = [np.partition(2 - 2 * (part @ layout.T), 10, axis=1)[:, 10] for part in np.split(sample, 8)]
    return float(np.sqrt(max(0.0, float(np.median(np.concatenate(blocks))))))


def _candidates(layout: NDArray[np.float32], reach: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    from scipy.spatial import cKDTree

    sample = layout[:: max(1, len(layout) // 5000)]
    _, axes = np.linalg.eigh(np.cov(sample, rowvar=False))
    points = layout @ axes[:, -12:].astype(np.float32)
    # The tree works in float64 on rounded points, so the bound gets a little air.
    _, found = cKDTree(points).query(points, k=_NEIGHBOURS + 1, distance_upper_bound=reach * 1.001 + 1e-6, workers=-1)
    first = np.repeat(np.arange(len(points)), _NEIGHBOURS + 1)
    second = found.ravel()
    real = (second < len(points)) & (first != second)
    pairs = np.unique(np.sort(np.stack([first[real], second[real]], axis=1), axis=1), axis=0)
    return pairs[:, 0], pairs[:, 1]


def _detail(thumbnails: NDArray[np.uint8], first: NDArray[np.int64], second: NDArray[np.int64]) -> NDArray[np.float32]:
    pieces = [np.zeros(0, np.float32)]
    for start in range(0, len(first), 4096):
        a, b = (_unit(_edges(thumbnails[side[start : start + 4096]])) for side in (first, second))
        pieces.append((a * b).sum(axis=1))
    return np.concatenate(pieces)


def _edges(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    grey = images.astype(np.float32)
    down, across = grey[:, 1:, 1:] - grey[:, :-1, 1:], grey[:, 1:, 1:] - grey[:, 1:, :-1]
    return np.stack([down, across], axis=1)
