"""Images that occur twice: equal in every pixel, or the same image saved, scaled, lit or coloured anew.

Two tests find near duplicates among thumbnails, both on values from which mean and contrast are removed:

    distance  d(a, b) = ‖a − b‖ of the 16×16 pixels       the same layout of light and dark
    detail    e(a, b) = ⟨∇a, ∇b⟩ of the 32×32 pixels      the same edges, in −1 … 1

Layout alone takes two sheets of paper for one; edges tell them apart. How close is suspicious depends on the
data: 28×28 silhouettes of trousers resemble each other, photographs do not. So d counts as a fraction of what
is usual, the median distance to the tenth nearest image. Difference hashes are not used: in flat regions
chance decides their bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_SIDE = 32  # pixels of a thumbnail
_FRACTION, _CAP = 0.2, 0.2  # the largest distance, of what is usual and at all
_DETAIL, _CERTAIN_DETAIL = 0.8, 0.98
_NEIGHBOURS = 8
_AXES = 12  # principal components; in many dimensions a k-d tree visits nearly every point
_CHUNK = 2048
_FLAT = 4.0  # grey levels of standard deviation; below it there is nothing to compare


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

    Candidates come from a k-d tree over the 12 principal components of the layout. These never lie further
    apart than the images themselves, so no pair within the distance is overlooked, and time grows as N log N.

    >>> near_pairs(np.zeros((2, 32, 32), np.uint8))
    []
    """
    where = _not_flat(thumbnails)
    if len(where) < 2:
        return []
    parts = [where[start : start + _CHUNK] for start in range(0, len(where), _CHUNK)]
    axes = _principal_axes(_layout(thumbnails[where[:: max(1, len(where) // _CHUNK)]]))
    points = np.concatenate([_layout(thumbnails[part]) @ axes for part in parts])
    limit = min(_CAP, _FRACTION * _usual_distance(thumbnails, where, parts))
    first, second = (where[side] for side in _neighbours(points, limit))
    pairs = []
    for start in range(0, len(first), _CHUNK):
        a, b = first[start : start + _CHUNK], second[start : start + _CHUNK]
        distance = np.linalg.norm(_layout(thumbnails[a]) - _layout(thumbnails[b]), axis=1)
        detail = (_edges(thumbnails[a]) * _edges(thumbnails[b])).sum(axis=1)
        certain = (distance <= limit / 4) & (detail >= _CERTAIN_DETAIL)
        alike = np.flatnonzero((distance <= limit) & (detail >= _DETAIL))
        pairs += [NearPair(int(a[k]), int(b[k]), bool(certain[k])) for k in alike]
    return pairs


def _not_flat(thumbnails: NDArray[np.uint8]) -> NDArray[np.int64]:
    """The indices of images with some contrast."""
    # A chunk at a time: all in float32 would take four times the memory of the thumbnails again.
    chunks = [thumbnails[start : start + _CHUNK] for start in range(0, len(thumbnails), _CHUNK)]
    deviations = [chunk.std(axis=(1, 2), dtype=np.float32) for chunk in chunks]
    return np.flatnonzero(np.concatenate([np.zeros(0, np.float32), *deviations]) >= _FLAT)


def _unit(images: NDArray[np.float32]) -> NDArray[np.float32]:
    """Vectors N×D of mean 0 and length 1 (0 where there is no contrast), made in the memory of `images`."""
    flat = images.reshape(len(images), -1)
    flat -= flat.mean(axis=1, keepdims=True)
    flat /= np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-3)
    return flat


def _layout(thumbnails: NDArray[np.uint8]) -> NDArray[np.float32]:
    half = _SIDE // 2
    return _unit(thumbnails.reshape(-1, half, 2, half, 2).mean(axis=(2, 4), dtype=np.float32))


def _edges(thumbnails: NDArray[np.uint8]) -> NDArray[np.float32]:
    grey = thumbnails.astype(np.float32)
    down, across = grey[:, 1:, 1:] - grey[:, :-1, 1:], grey[:, 1:, 1:] - grey[:, 1:, :-1]
    return _unit(np.stack([down, across], axis=1))


def _principal_axes(sample: NDArray[np.float32]) -> NDArray[np.float32]:
    _, axes = np.linalg.eigh(np.cov(sample, rowvar=False))
    return axes[:, -_AXES:].astype(np.float32)


def _usual_distance(
    thumbnails: NDArray[np.uint8], where: NDArray[np.int64], parts: list[NDArray[np.int64]]
) -> float:
    """The median, over 128 images, of the distance to the tenth nearest; 1 where there are too few to say."""
    if len(where) < 32:
        return 1.0
    sample = _layout(thumbnails[where[np.linspace(0, len(where) - 1, 128).astype(int)]])
    nearest = np.full((128, 11), 4, np.float32)  # squared; the first is the image itself
    for part in parts:
        squared = 2 - 2 * (sample @ _layout(thumbnails[part]).T)
        nearest = np.partition(np.concatenate([nearest, squared], axis=1), 10, axis=1)[:, :11]
    return float(np.sqrt(max(0.0, float(np.median(nearest.max(axis=1))))))


def _neighbours(points: NDArray[np.float32], limit: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The pairs, each once, of points no further apart than `limit`; at most the 8 nearest of each point."""
    from scipy.spatial import cKDTree

    # The tree works in float64 on rounded points, so the bound gets a little air.
    bound = limit * 1.001 + 1e-6
    # Each point is its own nearest, and a neighbour that is not there has the index N.
    _, nearest = cKDTree(points).query(points, k=_NEIGHBOURS + 1, distance_upper_bound=bound, workers=-1)
    first = np.repeat(np.arange(len(points)), _NEIGHBOURS + 1)
    second = nearest.ravel()
    real = (second < len(points)) & (first != second)
    pairs = np.unique(np.sort(np.stack([first[real], second[real]], axis=1), axis=1), axis=0)
    return pairs[:, 0], pairs[:, 1]
