"""A stratified part of labelled images, as a pure function of the seed."""

from __future__ import annotations

from collections import Counter

import numpy as np
from numpy.typing import ArrayLike, NDArray

from convscope.core.errors import UserError

Indices = NDArray[np.int64]


def stratified_split(
    labels: ArrayLike, *, fraction: float, seed: int | tuple[int, ...], groups: ArrayLike | None = None
) -> tuple[Indices, Indices]:
    """(kept, held_out): ascending indices of two parts, the second with about `fraction` of each class.

    A class of n ≥ 2 images gives round(fraction · n) of them, at least one and never all; a class of one
    stays in kept. Images with the same number in `groups` (duplicates) stay together, even where a class then
    gives fewer, or, if it would give none, more. The same arguments give the same parts on every machine.

    >>> kept, held_out = stratified_split([0, 0, 0, 0, 1, 1], fraction=0.25, seed=0)
    >>> len(kept), np.bincount(np.asarray([0, 0, 0, 0, 1, 1])[held_out]).tolist()
    (4, [1, 1])
    """
    if not 0 < fraction < 1:
        raise UserError(f"a split takes a fraction between 0 and 1 of the images; got {fraction}")
    found = np.asarray(labels, np.int64)
    units = np.arange(len(found)) if groups is None else np.asarray(groups)
    if found.ndim != 1 or units.shape != found.shape:
        raise UserError(
            f"labels and groups must be N whole numbers each; got shapes {found.shape} and {units.shape}"
        )
    counts = np.bincount(found) if len(found) else np.zeros(0, np.int64)
    wanted = np.where(
        counts > 1, np.clip(np.rint(fraction * counts), 1, np.maximum(counts - 1, 1)), 0
    ).astype(np.int64)
    order = np.random.default_rng(seed).permutation(len(found))
    alone = groups is None or len(np.unique(units)) == len(units)
    mask = (
        _carve_images(found[order], wanted)
        if alone
        else _carve_groups(found[order], units[order], wanted, counts)
    )
    chosen = np.zeros(len(found), bool)
    chosen[order] = mask
    return np.flatnonzero(~chosen), np.flatnonzero(chosen)


def _carve_images(labels: Indices, wanted: Indices) -> NDArray[np.bool_]:
    by_class = np.argsort(labels, kind="stable")
    first = np.searchsorted(labels[by_class], np.arange(len(wanted)))
    rank = np.empty(len(labels), np.int64)
    rank[by_class] = np.arange(len(labels)) - first[labels[by_class]]
    return rank < wanted[labels]


def _carve_groups(labels: Indices, units: Indices, wanted: Indices, counts: Indices) -> NDArray[np.bool_]:
    _, first, number = np.unique(units, return_index=True, return_inverse=True)
    number = np.argsort(np.argsort(first))[number]
    classes_of = [Counter[int]() for _ in first]
    for unit, label in zip(number.tolist(), labels.tolist(), strict=True):
        classes_of[unit][label] += 1
    given = [0] * len(wanted)
    chosen = np.zeros(len(first), bool)
    _take(classes_of, given, wanted.tolist(), chosen)
    for label in np.flatnonzero(wanted).tolist():
        if not given[label]:
            _take_smallest(label, classes_of, given, counts.tolist(), chosen)
    return chosen[number]


def _take(
    classes_of: list[Counter[int]], given: list[int], wanted: list[int], chosen: NDArray[np.bool_]
) -> None:
    for unit, classes in enumerate(classes_of):
        if all(given[label] + count <= wanted[label] for label, count in classes.items()):
            chosen[unit] = True
            for label, count in classes.items():
                given[label] += count


def _take_smallest(
    label: int, classes_of: list[Counter[int]], given: list[int], counts: list[int], chosen: NDArray[np.bool_]
) -> None:
    def leaves_some(classes: Counter[int]) -> bool:
        return all(given[other] + count < counts[other] for other, count in classes.items())

    fitting = [unit for unit, classes in enumerate(classes_of) if label in classes and leaves_some(classes)]
    if fitting:
        unit = min(fitting, key=lambda fit: classes_of[fit].total())
        chosen[unit] = True
        for other, count in classes_of[unit].items():
            given[other] += count
