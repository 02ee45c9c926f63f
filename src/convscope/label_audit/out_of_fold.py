"""What networks answer for images that they were not trained on: each image is held out once, with its
duplicates.

The images are assigned to k folds. For each fold a network learns from the other folds, as `convscope train`
would have it learn, and answers for this one. A head on trained features costs the features once, and then k
heads of seconds.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import torch
from numpy.typing import NDArray

from convscope.core.atomic import write_bytes
from convscope.core.config import RunConfig
from convscope.core.errors import UserError
from convscope.core.run.display import Display
from convscope.data.preparing.prepared_split import PreparedSplit
from convscope.data.stratified_split import stratified_split
from convscope.inference.predict_split import predict_split
from convscope.models.pytorch.device import seed_everything
from convscope.models.pytorch.predictor import TorchPredictor
from convscope.models.pytorch.shapes import eval_mode
from convscope.training.interrupt import Interrupt
from convscope.training.prepare_data import PreparedData
from convscope.training.pytorch.assemble import Compute
from convscope.training.pytorch.checkpoint import State
from convscope.training.pytorch.features import features_of
from convscope.training.pytorch.linear_probe import assemble_on_features
from convscope.training.pytorch.loop import fit
from convscope.training.pytorch.transfer import Initialisation
from convscope.training.train import build_network, start_or_resume

Indices = NDArray[np.int64]
Logits = NDArray[np.float32]

FOLD_STREAM = 3  # of random numbers; 0 to 2 hold out test, validation and a fraction of the training images


def assign_folds(
    labels: Indices, names: Sequence[str], *, folds: int, seed: int, groups: Mapping[str, int]
) -> Indices:
    """The fold of each of N images, 0 … folds − 1: every class spread evenly, images of one group in one
    fold.

    `groups`: the number of its group for the name of each image that has a double; a double in another fold
    would give the answer away. An image that is alone in its class is held out from networks that know
    nothing of that class. UserError for a number of folds that does not fit.

    >>> assign_folds(np.array([0, 0, 1, 1]), ["a", "b", "c", "d"], folds=2, seed=0, groups={"a": 7, "c": 7}).tolist()
    [0, 1, 0, 1]
    """
    if not 2 <= folds <= len(labels) // 2:
        most = f"give 2 to {len(labels) // 2}" if len(labels) >= 4 else "that takes 4 or more"
        raise UserError(f"{len(labels)} images cannot be divided into {folds} folds; {most}")
    free = 1 + max(groups.values(), default=0)
    units = np.array([groups.get(name, free + place) for place, name in enumerate(names)], np.int64)
    fold_of = np.full(len(labels), folds - 1)
    rest = np.arange(len(labels))
    for fold in range(folds - 1):
        seeds = (seed, FOLD_STREAM, fold)
        kept, taken = stratified_split(
            labels[rest], fraction=1 / (folds - fold), seed=seeds, groups=units[rest]
        )
        fold_of[rest[taken]], rest = fold, rest[kept]
    if len(np.unique(fold_of)) < 2:
        raise UserError(f"nearly all of {len(labels)} images show the same; nothing is left to learn from")
    return fold_of


def out_of_fold(
    config: RunConfig,
    prepared: PreparedData,
    start: Initialisation,
    *,
    fold_of: Indices,
    compute: Compute,
    folder: Path,
    display: Display,
) -> Logits:
    """Logits N×K for the N images of `prepared.train`, each from a network trained on the folds that it is
    not in.

    `config` is settled, `fold_of` N as `assign_folds` gives it. The weights are those of the last epoch:
    choosing the best on the held-out images would be choosing by labels that are in doubt. Each fold's
    answers are written to `folder` as `fold_<number>.npz` in one step, and a fold whose file is there is not
    trained again.
    """
    part = prepared.train
    logits = np.empty((len(part), len(prepared.classes)), np.float32)
    folds = int(fold_of.max()) + 1
    learn: Callable[[_Fold], Logits] | None = None
    for number in range(folds):
        held = np.flatnonzero(fold_of == number)
        place = folder / f"fold_{number + 1}.npz"
        if not held.size:
            continue
        known = _load_cached(place, held)
        if known is None:
            learn = learn or _learner(config, prepared, start, compute=compute, display=display)
            known = learn(
                _Fold(np.flatnonzero(fold_of != number), held, _FoldDisplay(display, number, folds))
            )
            _keep(place, held, known)
        logits[held] = known
    display.clear()
    return logits


@dataclass(frozen=True, eq=False)
class _Fold:
    """Positions of the images to learn from and of those to answer for, and where progress is shown."""

    learnt: Indices
    held: Indices
    display: Display


class _FoldDisplay(Display):
    """Shows the steps of one fold as a part of all of them, and keeps to itself what a run would say."""

    def __init__(self, outer: Display, fold: int, folds: int) -> None:
        super().__init__(quiet=True)
        self._outer, self._fold, self._folds = outer, fold, folds

    def step(self, place: tuple[int, int], whole: tuple[int, int], figures: dict[str, float]) -> None:  # noqa: ARG002
        """Progress over all folds, each as long as this one."""
        (epoch, batch), (epochs, batches) = place, whole
        done = (self._fold * epochs + epoch) * batches + batch
        self._outer.work(f"fold {self._fold + 1}/{self._folds}", done, self._folds * epochs * batches)


def _learner(
    config: RunConfig, prepared: PreparedData, start: Initialisation, *, compute: Compute, display: Display
) -> Callable[[_Fold], Logits]:
    if start.mode == "probe":
        return _probe_learner(config, prepared, start, compute=compute, display=display)
    return lambda fold: _learn_network(config, prepared, start, fold)


def _probe_learner(
    config: RunConfig, prepared: PreparedData, start: Initialisation, *, compute: Compute, display: Display
) -> Callable[[_Fold], Logits]:
    """Learns a head for each fold, always from the same first weights, on features that are computed here,
    once.
    """
    height, width, channels = prepared.preprocess.shape
    seed_everything(config.seed)
    network, _ = build_network(
        config, start, config.model.name or "", shape=(channels, height, width), classes=len(prepared.classes)
    )
    network.to(device=compute.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    head = network.head
    fresh = {name: value.clone() for name, value in head.state_dict().items()}
    features = features_of(
        network,
        prepared.train,
        prepared.preprocess,
        precision=compute.precision,
        progress=lambda done, total: display.work("features", done, total),
    )
    display.clear()

    def learn(fold: _Fold) -> Logits:
        head.load_state_dict(fresh)
        seen, held = features[torch.from_numpy(fold.learnt)], features[torch.from_numpy(fold.held)]
        with tempfile.TemporaryDirectory() as folder:
            job, state = assemble_on_features(
                config,
                _of_fold(prepared, fold),
                head,
                features=(seen, held),
                compute=compute,
                folder=Path(folder),
                display=fold.display,
            )
            fit(job, state, Interrupt())
        with _last_weights(state), eval_mode(head), torch.inference_mode():
            return head(held[:, :, None, None].to(compute.device)).float().cpu().numpy()  # type: ignore[no-any-return]

    return learn


def _learn_network(config: RunConfig, prepared: PreparedData, start: Initialisation, fold: _Fold) -> Logits:
    """Train a whole network, from scratch or from trained weights, and answer with it."""
    training = _of_fold(prepared, fold)
    with tempfile.TemporaryDirectory() as folder:
        session = start_or_resume(config, training, start, folder=Path(folder), display=fold.display)
        fit(session.job, session.state, Interrupt())
    device = next(session.network.parameters()).device
    with _last_weights(session.state):
        predictor = TorchPredictor(session.network, prepared.preprocess, prepared.classes, device)
        return predict_split(predictor, training.validation)


def _of_fold(prepared: PreparedData, fold: _Fold) -> PreparedData:
    def part(positions: Indices) -> PreparedSplit:
        return replace(prepared.train, rows=prepared.train.rows[positions])

    held = part(fold.held)
    return replace(prepared, train=part(fold.learnt), validation=held, test=lambda: held)


def _last_weights(state: State) -> AbstractContextManager[object]:
    return state.ema.swapped(state.network) if state.ema else nullcontext()


def _keep(place: Path, held: Indices, logits: Logits) -> None:
    file = BytesIO()
    np.savez(file, held=held, logits=logits)
    write_bytes(place, file.getvalue())


def _load_cached(place: Path, held: Indices) -> Logits | None:
    """The answers that were kept for these very images; None where there are none that can be read."""
    try:
        with np.load(place, allow_pickle=False) as kept:
            logits: Logits = kept["logits"]
            return logits if np.array_equal(kept["held"], held) else None
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):
        return None
