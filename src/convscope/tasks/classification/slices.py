"""Where a network fails: groups of images that look alike and are predicted worse than the rest."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

FEWEST = 30
"""Images of a slice; among fewer only a very large gap is more than chance."""
FALSE_ALARMS = 0.05
MOST = 10
EXTREMES = {
    "brightness": ("darkest", "brightest"),
    "contrast": ("flattest", "most contrasting"),
    "sharpness": ("softest", "sharpest"),
    "colourfulness": ("palest", "most colourful"),
}
"""What to call the images with the least and the most of each statistic."""
# Weights of red, green and blue in luma, ITU-R BT.601 (1982).
LUMA = (np.float32(0.299), np.float32(0.587), np.float32(0.114))
PIXELS = 65_536
"""So many at a time stay in the processor's cache; photographs are then done in a third of the time."""

Statistics: TypeAlias = Mapping[str, NDArray[np.floating[Any]]]
Candidate: TypeAlias = tuple[str, str, NDArray[np.int64], NDArray[np.int64]]


@dataclass(frozen=True, eq=False)
class Slice:
    """Images that are predicted worse than the `rest`: than all others, or all others of the same class.

    `name`: such as "the darkest third of Shirt". `positions`: of its images. `accuracy` and `rest_accuracy`
    in [0, 1]. `p`: how often chance alone would put so many errors into it.
    """

    name: str
    rest: str
    positions: NDArray[np.int64]
    accuracy: float
    rest_accuracy: float
    p: float

    @property
    def gap(self) -> float:
        """By how much its accuracy lies below that of the rest."""
        return self.rest_accuracy - self.accuracy

    def __str__(self) -> str:
        """One line in words."""
        below = f"{100 * self.gap:.0f} points below {self.rest}"
        return f"{self.name}: {self.accuracy:.0%} of {len(self.positions):,} right, {below}"

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types, with the number of images in place of their positions."""
        figures = {"accuracy": self.accuracy, "rest_accuracy": self.rest_accuracy, "p": self.p}
        return {"name": self.name, "rest": self.rest, "images": len(self.positions), **figures}


def failing_slices(
    right: NDArray[np.bool_],
    labels: NDArray[np.int64],
    *,
    classes: Sequence[str],
    statistics: Statistics,
    names: Sequence[str] = (),
) -> tuple[Slice, ...]:
    """At most ten slices in which predictions are right significantly less often, the largest gap first.

    A slice has at least 30 images, and so has its rest. The test is Fisher's exact one (1935), one-sided; of
    what is reported at most 5 % are false alarms on average, by the correction of Benjamini and Hochberg
    (1995).

    Args:
        right: N, whether each prediction is right.
        labels: N class indices; each class is a candidate.
        classes: the K names.
        statistics: N numbers each, by the names of `EXTREMES`; the lowest and the highest third are
            candidates, of all images and of each class.
        names: of the N images; each folder in them is a candidate.

    >>> right = np.arange(200) >= 30
    >>> bright = {"brightness": np.arange(200.0)}
    >>> print(failing_slices(right, np.zeros(200, int), classes=["cat"], statistics=bright)[0])
    the darkest third of all images: 55% of 67 right, 45 points below the rest
    """
    tested = [
        _measured(right, name, rest, inside=inside, outside=outside)
        for name, rest, inside, outside in _candidates(labels, classes, statistics, names)
        if min(len(inside), len(outside)) >= FEWEST
    ]
    # Benjamini and Hochberg: the largest p that lies below its rank's part of 5 %, and all smaller ones.
    p = np.sort([candidate.p for candidate in tested])
    passing = np.flatnonzero(p <= FALSE_ALARMS * np.arange(1, len(p) + 1) / max(len(p), 1))
    if not len(passing):
        return ()
    failing = [candidate for candidate in tested if candidate.p <= p[passing[-1]]]
    return tuple(sorted(failing, key=lambda candidate: -candidate.gap)[:MOST])


def _candidates(
    labels: NDArray[np.int64], classes: Sequence[str], statistics: Statistics, names: Sequence[str]
) -> Iterator[Candidate]:
    """The name of each slice, that of its rest, and the positions of both."""
    everything = np.arange(len(labels))
    groups = [(name, np.flatnonzero(labels == k)) for k, name in enumerate(classes)]
    for name, inside in groups:
        # A candidate beside all other images: is this class worse than the others?
        yield name, "the rest", inside, np.setdiff1d(everything, inside, assume_unique=True)
    for folder, inside in _folders(names, labels):
        yield f"the folder {folder}", "the rest", inside, np.setdiff1d(everything, inside, assume_unique=True)
    for statistic, values in statistics.items():
        yield from _thirds(everything, values, EXTREMES[statistic], whole="all images")
        for name, group in groups if len(classes) > 1 else ():
            yield from _thirds(group, values, EXTREMES[statistic], whole=name)


def _thirds(
    group: NDArray[np.int64], values: NDArray[np.floating[Any]], extremes: tuple[str, str], *, whole: str
) -> Iterator[Candidate]:
    if not len(group):
        return
    own = values[group]
    # Thirds: halves hide what only the darkest do, and tenths of a class are too few images.
    low, high = np.quantile(own, (1 / 3, 2 / 3))
    rest = "the rest" if whole == "all images" else f"the rest of {whole}"
    for extreme, inside in zip(extremes, (own <= low, own >= high), strict=True):
        yield f"the {extreme} third of {whole}", rest, group[inside], group[~inside]


def _folders(names: Sequence[str], labels: NDArray[np.int64]) -> Iterator[tuple[str, NDArray[np.int64]]]:
    """Folders with their images, except those that hold all images of a class and no others."""
    folders: dict[str, list[int]] = {}
    for position, name in enumerate(names):
        folder = name.rpartition("/")[0]
        if folder:
            folders.setdefault(folder, []).append(position)
    for folder, positions in folders.items():
        inside = np.array(positions)
        present = np.unique(labels[inside])
        # Such a folder is the class itself, which is a candidate already.
        if len(present) > 1 or len(inside) < (labels == present[0]).sum():
            yield folder, inside


def _measured(
    right: NDArray[np.bool_], name: str, rest: str, *, inside: NDArray[np.int64], outside: NDArray[np.int64]
) -> Slice:
    errors, others = int((~right[inside]).sum()), int((~right[outside]).sum())
    p = chance_of_errors(errors, others, images=len(inside), rest=len(outside))
    return Slice(name, rest, inside, float(right[inside].mean()), float(right[outside].mean()), p)


def chance_of_errors(errors: int, others: int, *, images: int, rest: int) -> float:
    """How often chance alone would put at least `errors` of all errors among `images` of all images.

    The upper tail of the hypergeometric distribution, Σ_k C(E, k) · C(M − E, n − k) / C(M, n), with E errors
    of M images, in logarithms.

    Args:
        errors: in the slice.
        others: errors in the rest.
        images: n, those of the slice.
        rest: images of the rest; M = n + rest.

    >>> round(chance_of_errors(2, 0, images=2, rest=2), 4)
    0.1667
    """
    from scipy.special import gammaln

    total, wrong = images + rest, errors + others
    k = np.arange(errors, min(images, wrong) + 1)

    def ways(n: Any, of: Any) -> Any:
        return gammaln(n + 1) - gammaln(of + 1) - gammaln(n - of + 1)

    # Fewer than n − (M − E) errors cannot be among n images; k begins at a number that occurred, so none is.
    logs = ways(wrong, k) + ways(total - wrong, images - k) - ways(total, images)
    return float(min(1.0, np.exp(logs).sum()))


def image_statistics(batches: Iterable[NDArray[np.uint8]]) -> dict[str, NDArray[np.float32]]:
    """How N images look, in numbers N each; `batches` are uint8 n×H×W×C.

    brightness: the mean grey level, 0 to 255. contrast: its standard deviation. sharpness: the mean
    difference of neighbouring pixels, over the contrast, so that a faint image may be sharp. colourfulness:
    that of Hasler and Süsstrunk (2003, "Measuring colourfulness in natural images"); with one channel there
    is no such entry.

    >>> two = np.array([0, 255], np.uint8).reshape(2, 1, 1, 1) * np.ones((2, 4, 4, 1), np.uint8)
    >>> statistics = image_statistics([two])
    >>> statistics["brightness"].tolist(), list(statistics)
    ([0.0, 255.0], ['brightness', 'contrast', 'sharpness'])
    """
    rows = [_statistics(block) for images in batches for block in _blocks(images)]
    names = rows[0] if rows else {}
    return {name: np.concatenate([row[name] for row in rows]) for name in names}


def _blocks(images: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    size = max(1, PIXELS // (images.shape[1] * images.shape[2]))
    return [images[start : start + size] for start in range(0, len(images), size)]


def _statistics(images: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
    planes = [np.ascontiguousarray(images[..., c]).astype(np.float32) for c in range(images.shape[3])]
    grey = planes[0] if len(planes) == 1 else LUMA[0] * planes[0] + LUMA[1] * planes[1] + LUMA[2] * planes[2]
    # Of the whole image: the contrast of a texture shows in sharpness.
    contrast = grey.std(axis=(1, 2))
    edges = (_mean_step(grey, 1) + _mean_step(grey, 2)) / 2
    # One grey level more, so that a blank image is not divided by 0.
    row = {"brightness": grey.mean(axis=(1, 2)), "contrast": contrast, "sharpness": edges / (contrast + 1)}
    if len(planes) == 3:
        red, green, blue = planes
        opponents = (red - green, (red + green) / 2 - blue)
        deviation = np.sqrt(sum(opponent.var(axis=(1, 2)) for opponent in opponents))
        middle = np.sqrt(sum(opponent.mean(axis=(1, 2)) ** 2 for opponent in opponents))
        row["colourfulness"] = deviation + 0.3 * middle
    return row


def _mean_step(grey: NDArray[np.float32], axis: int) -> NDArray[np.float32]:
    if grey.shape[axis] < 2:
        return np.zeros(len(grey), np.float32)
    mean: NDArray[np.float32] = np.abs(np.diff(grey, axis=axis)).mean(axis=(1, 2))
    return mean
