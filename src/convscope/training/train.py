"""The verb: from a configuration to a run folder with a bundle in it."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from convscope.core.config import RunConfig
from convscope.core.errors import UserError
from convscope.core.run.display import Display
from convscope.core.run.folder import (
    ARTIFACTS,
    gone_unless_begun,
    locked,
    new_folder,
    resumable,
    run_name,
    write_config,
)
from convscope.data.pytorch.augmentation.policies import policy
from convscope.data.source import Source, open_source
from convscope.models.pytorch.build import build
from convscope.models.pytorch.custom_model import is_custom_model
from convscope.models.pytorch.device import seed_everything
from convscope.models.pytorch.load_weights import LoadReport
from convscope.models.pytorch.network import Network
from convscope.models.pytorch.pretrained import describe
from convscope.models.pytorch.zoo import networks
from convscope.training.defaults import Defaults, choose_defaults, settle
from convscope.training.finalise import Run, finalise, finished_run
from convscope.training.interrupt import Interrupt
from convscope.training.prepare_data import PreparedData, prepare_data
from convscope.training.pytorch.assemble import assemble, choose_compute
from convscope.training.pytorch.checkpoint import State, load_checkpoint, read_progress
from convscope.training.pytorch.linear_probe import assemble_head, seed_best, train_head_first, whole_state
from convscope.training.pytorch.loop import Job, fit
from convscope.training.pytorch.meter import DivergedError
from convscope.training.pytorch.tensorboard import check_tensorboard
from convscope.training.pytorch.transfer import Initialisation, without_effect

WITHOUT_EFFECT = {
    "probe": "a head learns from features that are computed once; for fine-tuning add --mode finetune",
    "scratch": "training starts from nothing; for fine-tuning add --mode finetune",
}


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
    """Train a network on `data` and return the run: its folder, its figures and the network that answers.

    `data`: a name (fashion_mnist, mnist, cifar10, cifar100) or a path (class folders, CSV, IDX, NPZ,
    Parquet). `model`: a name from `convscope summary`, "my_net.py:Net", or an nn.Module. `config` holds
    everything else; `data`, `model`, `epochs` and `seed` go over it. `out`: the run folder, else
    `artifacts/<engine>_<model>_<data>`; an existing run is never overwritten. `resume`: go on with the newest
    run of the same settings, or start it. `quiet`: print nothing.

    Raises UserError for what cannot be done as asked, and DivergedError for a loss that is not a number.

    >>> run = train(epochs=1)  # doctest: +SKIP
    >>> run.metrics["test"]["top1"]  # doctest: +SKIP
    0.89
    """
    if not (model is None or isinstance(model, str | nn.Module)):
        raise UserError(f"model is {model!r}; it must be a name, 'my_net.py:Net' or a module, such as Net()")
    module = model if isinstance(model, nn.Module) else None
    changes: dict[str, Any] = {
        "data": {} if data is None else {"source": str(data)},
        "model": {"name": model} if isinstance(model, str) else {},
        "train": {} if epochs is None else {"epochs": epochs},
    } | ({} if seed is None else {"seed": seed})
    config = (config or RunConfig()).merge(changes)
    return train_run(config, module=module, out=out, resume=resume, display=Display(quiet=quiet))


def train_run(
    config: RunConfig,
    *,
    module: nn.Module | None = None,
    out: str | Path | None = None,
    resume: bool = False,
    series: bool = False,
    display: Display | None = None,
) -> Run:
    """`train` for a whole configuration. `module` stands in for a network by name; `series` is as in
    `resumable`.

    Before and after the training itself, Ctrl-C stops at once: there is nothing to lose.
    """
    display = display or Display()
    with display:
        source, choice = open_data(config, display, module=module)
        config = settle(config, choice, source)
        model = choice.model if module is None else module
        name = model.rpartition(":")[2] if isinstance(model, str) else type(model).__name__
        base = Path(out) if out else ARTIFACTS / run_name("torch", name, source.name)
        earlier = resumable(base, config, series=series) if resume else None
        folder = earlier or new_folder(base)
        if done := finished_run(folder):
            display.say(f"{folder} is finished already; nothing was trained")
            return done
        with locked(folder):
            with nullcontext() if earlier else gone_unless_begun(folder):
                write_config(folder, config)
                prepared = prepare_data(
                    source, choice, config.data, seed=config.seed, folder=folder, display=display
                )
                session = start_or_resume(
                    config, prepared, choice.start, module=module, folder=folder, display=display
                )
            display.say(f"the run goes to {folder}")
            return fit_and_finalise(config, prepared, session)


@dataclass(frozen=True)
class TrainingSession:
    """A run that can go on: the network that it will end with, and the job and state of what is trained of
    it.
    """

    network: Network
    job: Job
    state: State


def fit_and_finalise(config: RunConfig, prepared: PreparedData, session: TrainingSession) -> Run:
    """Train, then write what the run is remembered by; a run whose loss is no number keeps what was best
    before.
    """
    job, state = session.job, session.state
    folder, display = job.folder, job.display

    def close(status: str) -> Run:
        whole = state if state.network is session.network else whole_state(session.network, state)
        return finalise(
            config, prepared, whole, network=session.network, status=status, folder=folder, display=display
        )

    try:
        with Interrupt() as interrupt:
            status = fit(job, state, interrupt)
    except DivergedError as problem:
        display.clear()
        if not state.best:
            raise
        close("diverged")
        raise DivergedError(f"{problem}; the best weights before it are kept in {folder}") from None
    if status != "interrupted" and state.progress.best_epoch == 0:
        display.say(
            "note: no epoch did better on validation than the head before fine-tuning; that one is kept"
        )
    return close(status)


def open_data(
    config: RunConfig, display: Display, *, module: nn.Module | None = None
) -> tuple[Source, Defaults]:
    """Open the data and let it decide what the configuration leaves open; says what was chosen.

    The network is built once on trial: what is wrong with it is said before an hour goes into looking at
    images.
    """
    check_names(config)
    source = open_source(
        config.data.source, progress=lambda done, total: display.work("download", done, total)
    )
    for note in source.notes:
        display.say(f"note: {note}")
    train_split = source.open("train")
    choice = choose_defaults(config, train_split, own=type(module).__name__ if module is not None else None)
    shape, classes = (choice.channels, choice.height, choice.width), len(train_split.classes)
    fit = build_network(config, choice.start, module or choice.model, shape=shape, classes=classes)[1]
    display.clear()
    display.say(f"network: {choice.reason}")
    if fit:
        display.say(f"weights: {describe(fit)}")
    if idle := without_effect(config, choice.start.mode):
        display.say(f"note: nothing comes of {', '.join(idle)}, since {WITHOUT_EFFECT[choice.start.mode]}")
    return source, choice


def check_names(config: RunConfig) -> None:
    """Raise UserError for a misspelt augmentation, network or option, before an hour goes into looking at
    images.
    """
    if config.augment.policy:
        policy(config.augment.policy)
    if config.train.tensorboard:
        check_tensorboard()
    name = config.model.name
    if name and not is_custom_model(name):
        networks[name].spec.with_changes(options=config.model.options)


def build_network(
    config: RunConfig,
    start: Initialisation,
    model: str | nn.Module,
    *,
    shape: tuple[int, int, int],
    classes: int,
) -> tuple[Network, LoadReport | None]:
    """The network with fresh weights, or with trained ones and how they fitted."""
    if start.weights and start.mode != "scratch":
        return start.weights.build(input_shape=shape, classes=classes)
    options = start.weights.options if start.weights else config.model.options
    return build(model, input_shape=shape, classes=classes, options=options), None


def start_or_resume(
    config: RunConfig,
    prepared: PreparedData,
    start: Initialisation,
    *,
    module: nn.Module | None = None,
    folder: Path,
    display: Display,
) -> TrainingSession:
    """The run, fresh from the seed or as the checkpoint in `folder` has it. `config` is settled."""
    earlier = read_progress(folder)
    compute = choose_compute(config, earlier, display)
    seed_everything(config.seed)
    height, width, channels = prepared.preprocess.shape
    model = module or config.model.name or ""
    network, _ = build_network(
        config, start, model, shape=(channels, height, width), classes=len(prepared.classes)
    )
    around: dict[str, Any] = {"compute": compute, "display": display}
    if start.mode == "probe":
        job, state = assemble_head(config, prepared, network, folder=folder, **around)
    else:
        tuned = start.mode == "finetune" and not earlier
        if tuned:
            train_head_first(config, prepared, network, **around)
        job, state = assemble(config, prepared, network, folder=folder, **around)
        if tuned:
            seed_best(job, state)
    if earlier:
        load_checkpoint(folder, state)
        display.say(f"resumed at epoch {earlier.epoch + 1}, batch {earlier.batch + 1} of {len(job.loader)}")
    display.say(
        f"{len(prepared.train):,} training and {len(prepared.validation):,} validation images, "
        f"{len(prepared.classes)} classes"
    )
    return TrainingSession(network, job, state)
