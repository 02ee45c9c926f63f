"""Where a network fails: groups of images that look alike and are answered worse than the rest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convscope.tasks.classification.image_statistics import WORDS

FEWEST = 30
FALSE_ALARMS = 0.05
MOST = 10


@dataclass(frozen=True, eq=False)
class Slice:
    """Images that are answered worse than the `rest`, which is all others, or all others of the same class.

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
    looks: Mapping[str, NDArray[np.floating[Any]]],
    names: Sequence[str] = (),
) -> tuple[Slice, ...]:
    """At most ten slices of N images in which answers are `right` significantly less often, the largest gap
    first.

    Looked at are each class; each folder in `names`; of each number in `looks` (N each, see
    `image_statistics`) the lowest and the highest third, of all images and of each class. A slice has at
    least 30 images, and so has its rest. The test is Fisher's exact one (1935), one-sided; of what is
    reported at most 5 % are false alarms on average, by the correction of Benjamini and Hochberg (1995).

    >>> right = np.arange(200) >= 30
    >>> found = failing_slices(right, np.zeros(200, int), classes=["cat"], looks={"brightness": np.arange(200.0)})
    >>> print(found[0])
    the darkest third of all images: 55% of 67 right, 45 points below the rest
    """
    tested = [
        _measured(right, name, rest, inside=inside, outside=outside)
        for name, rest, inside, outside in _candidates(labels, classes, looks, names)
        if min(len(inside), len(outside)) >= FEWEST
    ]
    p = np.sort([found.p for found in tested])
    passing = np.flatnonzero(p <= FALSE_ALARMS * np.arange(1, len(p) + 1) / max(len(p), 1))
    if not len(passing):
        return ()
    failing = [found for found in tested if found.p <= p[passing[-1]]]
    return tuple(sorted(failing, key=lambda found: -found.gap)[:MOST])


Candidate = tuple[str, str, NDArray[np.int64], NDArray[np.int64]]


def _candidates(
    labels: NDArray[np.int64],
    classes: Sequence[str],
    looks: Mapping[str, NDArray[np.floating[Any]]],
    names: Sequence[str],
) -> Iterator[Candidate]:
    """The name of each slice, that of its rest, and the positions of both."""
    everything = np.arange(len(labels))
    groups = [(name, np.flatnonzero(labels == k)) for k, name in enumerate(classes)]
    for name, inside in groups:
        yield name, "the rest", inside, np.setdiff1d(everything, inside, assume_unique=True)
    for folder, inside in _folders(names, labels):
        yield f"the folder {folder}", "the rest", inside, np.setdiff1d(everything, inside, assume_unique=True)
    for look, values in looks.items():
        yield from _thirds(everything, values, WORDS[look], whole="all images")
        for name, group in groups if len(classes) > 1 else ():
            yield from _thirds(group, values, WORDS[look], whole=name)


def _thirds(
    group: NDArray[np.int64], values: NDArray[np.floating[Any]], words: tuple[str, str], *, whole: str
) -> Iterator[Candidate]:
    if not len(group):
        return
    own = values[group]
    low, high = np.quantile(own, (1 / 3, 2 / 3))
    rest = "the rest" if whole == "all images" else f"the rest of {whole}"
    for word, chosen in zip(words, (own <= low, own >= high), strict=True):
        yield f"the {word} third of {whole}", rest, group[chosen], group[~chosen]


def _folders(names: Sequence[str], labels: NDArray[np.int64]) -> Iterator[tuple[str, NDArray[np.int64]]]:
    """Folders with their images, but for those that hold all images of a class and no others."""
    places: dict[str, list[int]] = {}
    for position, name in enumerate(names):
        folder = name.rpartition("/")[0]
        if folder:
            places.setdefault(folder, []).append(position)
    for folder, listed in places.items():
        inside = np.array(listed)
        there = np.unique(labels[inside])
        if len(there) > 1 or len(inside) < (labels == there[0]).sum():
            yield folder, inside


def _measured(
    right: NDArray[np.bool_], name: str, rest: str, *, inside: NDArray[np.int64], outside: NDArray[np.int64]
) -> Slice:
    errors, others = int((~right[inside]).sum()), int((~right[outside]).sum())
    p = chance_of_errors(errors, others, images=len(inside), rest=len(outside))
    return Slice(name, rest, inside, float(right[inside].mean()), float(right[outside].mean()), p)


def chance_of_errors(errors: int, others: int, *, images: int, rest: int) -> float:
    """How often at least `errors` of all errors + others would fall among `images` of images + rest, by
    chance.

    The upper tail of the hypergeometric distribution, Σ_k C(E, k) · C(M − E, n − k) / C(M, n), in logarithms.

    >>> round(chance_of_errors(2, 0, images=2, rest=2), 4)
    0.1667
    """
    from scipy.special import gammaln

    total, wrong = images + rest, errors + others
    k = np.arange(errors, min(images, wrong) + 1)

    def ways(n: Any, of: Any) -> Any:
        return gammaln(n + 1) - gammaln(of + 1) - gammaln(n - of + 1)

    # Fewer than n − (M − E) errors cannot be among n images; k begins at a number that was seen, so none is.
    logs = ways(wrong, k) + ways(total - wrong, images - k) - ways(total, images)
    return float(min(1.0, np.exp(logs).sum()))
