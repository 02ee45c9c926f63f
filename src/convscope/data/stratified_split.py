"""A stratified split of labelled images, as a pure function of the seed."""

from __future__ import annotations

from collections import Counter

import numpy as np
from numpy.typing import ArrayLike, NDArray

from convscope.core.errors import UserError

Indices = NDArray[np.int64]


def stratified_split(
    strata: ArrayLike, *, fraction: float, seed: int | tuple[int, ...], groups: ArrayLike | None = None
) -> tuple[Indices, Indices]:
    """Split N images in two, the second part with about `fraction` of each stratum.

    A stratum of n ≥ 2 images gives round(fraction · n) of them, at least one and never all; a stratum of one
    stays in the first part. The same arguments give the same parts on every machine.

    Args:
        strata: N whole numbers from 0, such as class labels.
        fraction: above 0, below 1.
        seed: one number or several.
        groups: N numbers; images with the same one (duplicates) stay together, even where a stratum then
            gives fewer, or, if it would give none, more.

    Returns:
        (kept, held_out): ascending indices of the two parts, int64.

    Raises:
        UserError: the fraction is not between 0 and 1, or the arrays are not N whole numbers each.

    >>> kept, held_out = stratified_split([0, 0, 0, 0, 1, 1], fraction=0.25, seed=0)
    >>> len(kept), np.bincount(np.asarray([0, 0, 0, 0, 1, 1])[held_out]).tolist()
    (4, [1, 1])
    """
    if not 0 < fraction < 1:
        raise UserError(f"a split takes a fraction between 0 and 1 of the images; got {fraction}")
    labels = np.asarray(strata, np.int64)
    units = np.arange(len(labels)) if groups is None else np.asarray(groups)
    if labels.ndim != 1 or units.shape != labels.shape:
        raise UserError(
            f"labels and groups must be N whole numbers each; got shapes {labels.shape} and {units.shape}"
        )
    counts = np.bincount(labels) if len(labels) else np.zeros(0, np.int64)
    wanted = _wanted(counts, fraction)
    # One permutation decides for all strata: with more images of one, the others keep their order.
    order = np.random.default_rng(seed).permutation(len(labels))
    held_out = np.zeros(len(labels), bool)
    if groups is None or len(np.unique(units)) == len(units):
        held_out[order] = _hold_out_images(labels[order], wanted)
    else:
        held_out[order] = _hold_out_groups(labels[order], units[order], wanted, counts)
    return np.flatnonzero(~held_out), np.flatnonzero(held_out)


def _wanted(counts: Indices, fraction: float) -> Indices:
    """How many images each stratum gives to the second part."""
    # At least one and never all: of four images a fraction of 0.1 still takes one.
    between = np.clip(np.rint(fraction * counts), 1, np.maximum(counts - 1, 1))
    return np.where(counts > 1, between, 0).astype(np.int64)


def _hold_out_images(labels: Indices, wanted: Indices) -> NDArray[np.bool_]:
    # Stable, so that the order within a stratum is that of the permutation.
    by_class = np.argsort(labels, kind="stable")
    first = np.searchsorted(labels[by_class], np.arange(len(wanted)))
    rank = np.empty(len(labels), np.int64)
    rank[by_class] = np.arange(len(labels)) - first[labels[by_class]]
    return rank < wanted[labels]


def _hold_out_groups(labels: Indices, units: Indices, wanted: Indices, counts: Indices) -> NDArray[np.bool_]:
    _, first, number = np.unique(units, return_index=True, return_inverse=True)
    # Groups are numbered as they come in the permutation, not by their number in `units`.
    number = np.argsort(np.argsort(first))[number]
    # One group may hold images of several strata: an image that stands under two labels.
    classes_of = [Counter[int]() for _ in first]
    for unit, label in zip(number.tolist(), labels.tolist(), strict=True):
        classes_of[unit][label] += 1
    taken = [0] * len(wanted)
    chosen = np.zeros(len(first), bool)
    _take_fitting(classes_of, taken, wanted.tolist(), chosen)
    # Greedy: an exact choice is subset sum, and duplicates are few.
    for label in np.flatnonzero(wanted).tolist():
        if not taken[label]:
            _take_smallest(label, classes_of, taken, counts.tolist(), chosen)
    return chosen[number]


def _take_fitting(
    classes_of: list[Counter[int]], taken: list[int], wanted: list[int], chosen: NDArray[np.bool_]
) -> None:
    """Choose each group that takes no stratum above what it is to give."""
    for unit, classes in enumerate(classes_of):
        if all(taken[label] + count <= wanted[label] for label, count in classes.items()):
            chosen[unit] = True
            for label, count in classes.items():
                taken[label] += count


def _take_smallest(
    label: int, classes_of: list[Counter[int]], taken: list[int], counts: list[int], chosen: NDArray[np.bool_]
) -> None:
    """Choose the smallest group with `label` that leaves some of each of its strata, if there is one."""

    def leaves_some(classes: Counter[int]) -> bool:
        return all(taken[other] + count < counts[other] for other, count in classes.items())

    fitting = [unit for unit, classes in enumerate(classes_of) if label in classes and leaves_some(classes)]
    if fitting:
        # The smallest distorts the fractions of the other strata least.
        unit = min(fitting, key=lambda fit: classes_of[fit].total())
        chosen[unit] = True
        for other, count in classes_of[unit].items():
            taken[other] += count
