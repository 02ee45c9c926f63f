"""Out-of-fold predictions: each image is predicted by a network that saw neither it nor a duplicate of it.

The images are assigned to k folds. For each fold a network is trained on the others, as `convscope train`
would train it, and predicts this one. A linear probe needs the features of all images once, and then k probes
of seconds.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from convscope.core.atomic import write_bytes
from convscope.core.errors import UserError
from convscope.core.run.progress import Observer, Silent
from convscope.data.prepare_data import PreparedData
from convscope.data.preparing.prepared_split import PreparedSplit
from convscope.data.stratified_split import stratified_split
from convscope.training.engine import Plan, TrainingEngine, TrainingSession
from convscope.training.interrupt import Interrupt

Indices = NDArray[np.int64]
Logits = NDArray[np.float32]

FOLD_STREAM = 3  # of random numbers; 0 to 2 hold out test, validation and a fraction of the training images


def assign_folds(
    labels: Indices, names: Sequence[str], *, folds: int, seed: int, groups: Mapping[str, int]
) -> Indices:
    """Stratified group k-fold: every class is in all folds alike, and images of one group are in one fold.

    An image that is alone in its class is held out from networks that know nothing of that class.

    Args:
        labels: class indices of N images.
        names: of the N images.
        folds: how many, from 2 to half as many as images.
        seed: decides which image is in which fold.
        groups: the number of its group for the name of each image that has a duplicate, which in another
            fold would give the label away.

    Returns:
        The fold of each image, 0 … folds − 1.

    Raises:
        UserError: for a number of folds that does not fit.

    >>> labels, groups = np.array([0, 0, 1, 1]), {"a": 7, "c": 7}
    >>> assign_folds(labels, ["a", "b", "c", "d"], folds=2, seed=0, groups=groups).tolist()
    [0, 1, 0, 1]
    """
    if not 2 <= folds <= len(labels) // 2:
        most = f"give 2 to {len(labels) // 2}" if len(labels) >= 4 else "that takes 4 or more"
        raise UserError(f"{len(labels)} images cannot be divided into {folds} folds; {most}")
    # Above all group numbers: an image without duplicates is a group of its own.
    free = 1 + max(groups.values(), default=0)
    units = np.array([groups.get(name, free + i) for i, name in enumerate(names)], np.int64)
    # The last fold is what the others leave, images alone in their class included.
    fold_of = np.full(len(labels), folds - 1)
    rest = np.arange(len(labels))
    for fold in range(folds - 1):
        seeds = (seed, FOLD_STREAM, fold)
        # 1/5, 1/4, 1/3, 1/2 of what is left are five folds of equal size.
        fraction = 1 / (folds - fold)
        kept, held = stratified_split(labels[rest], fraction=fraction, seed=seeds, groups=units[rest])
        fold_of[rest[held]], rest = fold, rest[kept]
    if len(np.unique(fold_of)) < 2:
        raise UserError(f"nearly all of {len(labels)} images show the same; nothing is left to learn from")
    return fold_of


def out_of_fold(plan: Plan, engine: TrainingEngine, fold_of: Indices) -> Logits:
    """Predict each image with a network trained on the folds that it is not in.

    The weights are those of the last epoch: the best epoch would be chosen by the very labels that are
    checked. The logits of each fold are written to the plan's folder as `fold_<number>.npz`
    in one step, and a fold whose file is there is not trained again.

    Args:
        plan: `data.train` are the N images; the rest of the data is not read.
        engine: trains, and computes once what the folds share.
        fold_of: N, as `assign_folds` gives it.

    Returns:
        Logits N×K in the order of the images.
    """
    data, observer = plan.data, plan.observer
    logits = np.empty((len(data.train), len(data.names)), np.float32)
    folds = int(fold_of.max()) + 1
    start: Callable[[Plan], TrainingSession] | None = None
    for number in range(folds):
        held = np.flatnonzero(fold_of == number)
        file = plan.folder / f"fold_{number + 1}.npz"
        # A large group of duplicates may leave a fold empty.
        if not held.size:
            continue
        known = _load_cached(file, held)
        if known is None:
            # Not before a fold is missing: for a linear probe this passes all images through the network.
            start = start or engine.sessions(plan)
            kept = np.flatnonzero(fold_of != number)
            own = _FoldObserver(observer, number, folds)
            known = _predict(replace(plan, data=_of_fold(data, kept, held), observer=own), start)
            _save(file, held, known)
        logits[held] = known
    return logits


def _predict(plan: Plan, start: Callable[[Plan], TrainingSession]) -> Logits:
    """Train on the training images of a fold, and predict those that were held out."""
    # Only the logits are kept: the checkpoints of k networks would fill the disk to no use.
    with tempfile.TemporaryDirectory() as folder:
        session = start(replace(plan, folder=Path(folder)))
        # Not entered, so that Ctrl-C raises at once: half a fold is of no use.
        session.fit(Interrupt())
        return session.predict_validation()


class _FoldObserver(Silent):
    """Shows the steps of one fold as a part of all of them, and nothing of what a run says."""

    def __init__(self, outer: Observer, fold: int, folds: int) -> None:
        self._outer, self._fold, self._folds = outer, fold, folds

    def step(self, place: tuple[int, int], whole: tuple[int, int], figures: Mapping[str, float]) -> None:  # noqa: ARG002
        """Progress over all folds, each as long as this one."""
        (epoch, batch), (epochs, batches) = place, whole
        done = (self._fold * epochs + epoch) * batches + batch
        self._outer.progress(f"fold {self._fold + 1}/{self._folds}", done, self._folds * epochs * batches)


def _of_fold(data: PreparedData, kept: Indices, held: Indices) -> PreparedData:
    """The images at the positions `kept` to train on, and those at `held` as validation and test."""

    def part(positions: Indices) -> PreparedSplit:
        return replace(data.train, rows=data.train.rows[positions])

    held_out = part(held)
    return replace(data, train=part(kept), validation=held_out, test=lambda: held_out)


def _save(path: Path, held: Indices, logits: Logits) -> None:
    # In memory first: the file is there whole or not at all.
    file = BytesIO()
    # The positions too: a file from other folds must not pass for this fold.
    np.savez(file, held=held, logits=logits)
    write_bytes(path, file.getvalue())


def _load_cached(path: Path, held: Indices) -> Logits | None:
    """The logits of these very images; None where the file is missing, damaged or of other images."""
    try:
        # A pickled array could run code when it is read.
        with np.load(path, allow_pickle=False) as arrays:
            logits: Logits = arrays["logits"]
            return logits if np.array_equal(arrays["held"], held) else None
    # An empty file gives EOFError, a truncated one BadZipFile; in both cases the fold is trained again.
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):
        return None
