"""The verb: from a configuration to a run folder with a bundle in it."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from convscope.core.config import RunConfig
from convscope.core.run.folder import (
    ARTIFACTS,
    gone_unless_begun,
    locked,
    new_folder,
    resumable,
    run_name,
    write_config,
)
from convscope.core.run.progress import Lines, Observer, Silent
from convscope.training.engine import DivergedError, Status, TrainingSession
from convscope.training.finalise import Run, finalise, finished_run
from convscope.training.interrupt import Interrupt
from convscope.training.prepare_run import announce, resolve_run, start

if TYPE_CHECKING:
    from torch import nn


def train(
    data: str | Path | None = None,
    model: str | nn.Module | None = None,
    *,
    config: RunConfig | None = None,
    epochs: int | None = None,
    seed: int | None = None,
    out: str | Path | None = None,
    resume: bool = False,
    quiet: bool = False,
) -> Run:
    """Train a network on `data` and return the run: its folder, its figures and the network that predicts.

    Args:
        data: a name (fashion_mnist, mnist, cifar10, cifar100) or a path (class folders, CSV, IDX, NPZ,
            Parquet).
        model: a name from `convscope summary`, "my_net.py:Net", or an nn.Module.
        config: everything else; `data`, `model`, `epochs` and `seed` go over it.
        epochs: how often every training image is seen.
        seed: decides every random choice.
        out: the run folder, else `artifacts/<engine>_<model>_<data>`; an existing run is never overwritten.
        resume: go on with the newest run of the same settings, or start it.
        quiet: print nothing.

    Raises:
        UserError: for what cannot be done as asked.
        DivergedError: for a loss that is NaN or infinite.

    >>> run = train(epochs=1)  # doctest: +SKIP
    >>> run.metrics["test"]["top1"]  # doctest: +SKIP
    0.89
    """
    named = isinstance(model, str)
    changes: dict[str, Any] = {
        "data": {} if data is None else {"source": str(data)},
        "model": {"name": model} if named else {},
        "train": {} if epochs is None else {"epochs": epochs},
    } | ({} if seed is None else {"seed": seed})
    return train_run(
        (config or RunConfig()).merge(changes),
        model=None if named else model,
        out=out,
        resume=resume,
        observer=Silent() if quiet else Lines(),
    )


def train_run(
    config: RunConfig,
    *,
    model: object = None,
    out: str | Path | None = None,
    resume: bool = False,
    series: bool = False,
    observer: Observer | None = None,
) -> Run:
    """`train` for a whole configuration. Before and after the training itself, Ctrl-C stops at once.

    Args:
        config: data, network and everything else.
        model: a module in place of the network that the configuration names.
        out: as in `train`.
        resume: as in `train`.
        series: a run that differs in the seed alone is another of a series, and is not gone on with.
        observer: is told how it goes; lines on standard output by default.

    Raises:
        UserError: for what cannot be done as asked.
        DivergedError: for a loss that is NaN or infinite.
    """
    with observer or Lines() as watching:
        run = resolve_run(config, observer=watching, model=model)
        announce(run, watching)
        # A path before the colon, as in nets/my_net.py:Net, makes a poor name of a folder.
        name = run.config.model.name.rpartition(":")[2]
        base = Path(out) if out else ARTIFACTS / run_name(run.config.engine, name, run.source.name)
        earlier = resumable(base, run.config, series=series) if resume else None
        folder = earlier or new_folder(base)
        # The same words typed twice train once.
        if done := finished_run(folder):
            watching.say(f"{folder} is finished already; nothing was trained")
            return done
        # Two processes in one folder would write one checkpoint and one history.
        with locked(folder):
            # A folder without a checkpoint would be in the way of the next run, one with it must not go.
            with nullcontext() if earlier else gone_unless_begun(folder):
                # Before the long work: after a kill, --resume knows the run by this file.
                write_config(folder, run.config)
                session = start(run, folder, watching)
            watching.say(f"the run goes to {folder}")
            return fit_and_finalise(session)


def fit_and_finalise(session: TrainingSession) -> Run:
    """Train, then write what the run is remembered by; a run that diverges keeps what was best before."""
    plan = session.plan
    try:
        with Interrupt() as interrupt:
            status: Status = session.fit(interrupt)
    except DivergedError as problem:
        if session.outcome().weights is None:
            raise  # there is nothing to keep
        finalise(session, "diverged")
        raise DivergedError(f"{problem}; the best weights before it are kept in {plan.folder}") from None
    if status != "interrupted" and session.outcome().best_epoch == 0:
        plan.observer.say(
            "note: no epoch did better on validation than the head before fine-tuning; that one is kept"
        )
    return finalise(session, status)
