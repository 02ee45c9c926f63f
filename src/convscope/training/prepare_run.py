"""The one order of steps from a configuration to a training: open, resolve, prepare, start or resume."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from convscope.core.config import RunConfig, TransferConfig
from convscope.core.resolved_config import ResolvedConfig
from convscope.core.run.progress import Observer
from convscope.data.prepare_data import PreparedData, input_preprocess, prepare_data
from convscope.data.preparing.preprocess import Preprocess
from convscope.data.source import Source, open_source
from convscope.models.references import is_custom_model
from convscope.models.spec import ModelSpec
from convscope.models.variants.registry import variants
from convscope.tasks.task import Task, task_named
from convscope.training.engine import Initialisation, Plan, TrainingEngine, TrainingSession, training_engine
from convscope.training.resolve import (
    ImageSample,
    are_photographs,
    choose_network,
    describe,
    inspect_images,
    resolve,
)

WITHOUT_EFFECT = {
    "probe": "a head learns from features that are computed once; for fine-tuning add --mode finetune",
    "scratch": "training starts from nothing; for fine-tuning add --mode finetune",
}


@dataclass(frozen=True, eq=False)
class ResolvedRun:
    """A run of which everything is decided, before an image of it is prepared.

    `asked`: the configuration of a person. `images`: a sample of the training split. `names`: what the
    outputs of the network stand for. `model`: a custom model, or None.
    """

    asked: RunConfig
    config: ResolvedConfig
    source: Source
    images: ImageSample
    initialisation: Initialisation
    spec: ModelSpec
    names: tuple[str, ...]
    task: Task
    engine: TrainingEngine
    model: object = None

    @property
    def preprocess(self) -> Preprocess:
        """The preprocessing, before any training image is measured."""
        statistics = self.initialisation.statistics
        channels = self.config.data.channels
        return input_preprocess(
            self.config.data, self.config.input_shape, statistics(channels) if statistics else None
        )

    def prepare_data(self, folder: Path, observer: Observer) -> PreparedData:
        """The prepared splits of the run that lies in `folder`."""
        return prepare_data(
            self.source,
            self.config.data,
            self.preprocess,
            seed=self.config.seed,
            folder=folder,
            targets=self.task.targets,
            progress=observer.progress,
            say=observer.say,
        )

    def plan(self, data: PreparedData, folder: Path, observer: Observer) -> Plan:
        """The plan of a training on these data, with checkpoint and history in `folder`."""
        return Plan(
            config=self.config,
            task=self.task,
            data=data,
            spec=self.spec,
            initialisation=self.initialisation,
            folder=folder,
            observer=observer,
            model=self.model,
        )


def prepare_run(
    config: RunConfig, folder: Path, *, observer: Observer, model: object = None
) -> TrainingSession:
    """A training that is ready for its first step, or for the one after its checkpoint.

    Args:
        config: what a person asked for.
        folder: of the run; it exists. What is in it of an earlier start is gone on with.
        observer: is told what is chosen and how the work goes.
        model: a module in place of the network that the configuration names.

    Raises:
        UserError: for what cannot be done as asked.
    """
    run = resolve_run(config, observer=observer, model=model)
    announce(run, observer)
    return start(run, folder, observer)


def resolve_run(config: RunConfig, *, observer: Observer, model: object = None) -> ResolvedRun:
    """Open the data, look at a sample of the images, and decide what the configuration leaves open.

    The arguments and errors are those of `prepare_run`.
    """
    engine, task = training_engine(config.engine), task_named(config.task)
    # Headers are read here and no image is decoded: what is wrong shows in a second.
    source = open_source(config.data.source, progress=observer.progress)
    train = source.open("train")
    images = inspect_images(train)
    named = config.model.name
    custom = named if model is None and named and is_custom_model(named) else model
    # Weights may fix network and size, so that they come before both.
    initialisation = engine.initialise(
        config, photographs=are_photographs(config, images), custom=custom is not None
    )
    name = config.model.name if model is None else type(model).__name__
    spec = spec_named(name or "" if custom is not None else choose_network(config, images, initialisation))
    resolved = resolve(config, images, initialisation, source=source, spec=spec)
    names = task.targets(train).names
    # Weights fix the form of their network; a head on them is linear, since theirs is for other classes.
    spec = spec.with_changes(
        input_shape=resolved.input_shape,
        options=initialisation.options or config.model.options,
        head="own" if initialisation.mode == "scratch" else "linear",
    )
    return ResolvedRun(
        asked=config,
        config=resolved,
        source=source,
        images=images,
        initialisation=initialisation,
        spec=task.head(spec, names),
        names=names,
        task=task,
        engine=engine,
        model=custom,
    )


def announce(run: ResolvedRun, observer: Observer) -> None:
    """Say what was chosen. The network is built once on trial: its faults show before images are prepared."""
    for note in run.source.notes:
        observer.say(f"note: {note}")
    # A scan and the decoding of many images may take an hour; a network that does not fit shows here.
    _, weights = run.engine.build(run.spec, run.initialisation, run.model)
    observer.say(f"network: {describe(run.config, run.images, run.initialisation)}")
    if weights:
        observer.say(f"weights: {weights}")
    mode = run.config.transfer.mode
    # A setting that is dropped in silence is taken for one that has no effect.
    if idle := settings_without_effect(run.asked, mode):
        verb = "has" if len(idle) == 1 else "have"
        observer.say(f"note: {', '.join(idle)} {verb} no effect, since {WITHOUT_EFFECT[mode]}")


def start(run: ResolvedRun, folder: Path, observer: Observer) -> TrainingSession:
    """Prepare the data and start, or go on with what `folder` holds."""
    data = run.prepare_data(folder, observer)
    session = run.engine.start(run.plan(data, folder, observer))
    observer.say(
        f"{len(data.train):,} training and {len(data.validation):,} validation images, "
        f"{len(data.names)} classes"
    )
    return session


def settings_without_effect(config: RunConfig, mode: str) -> list[str]:
    """The settings that a person asked for and that this way of training has no use for.

    >>> asked = {"augment": {"policy": "strong"}, "transfer": {"unfreeze_every": 1}}
    >>> settings_without_effect(RunConfig.from_dict(asked), "probe")
    ['augment.policy', 'transfer.unfreeze_every']
    """
    default, asked = TransferConfig(), config.transfer
    tuning = ("layer_decay", "unfreeze_every", "freeze_norms") if mode != "finetune" else ()
    idle = [f"transfer.{name}" for name in tuning if getattr(asked, name) != getattr(default, name)]
    return ["augment.policy"] * (mode == "probe" and config.augment.policy not in (None, "none")) + idle


def spec_named(name: str) -> ModelSpec:
    """The spec of a network on the list; of any other, which an engine may have of its own, just its name."""
    # A name that no table has may be a network of the engine alone, which refuses what it does not know.
    return variants[name].spec if name in variants else ModelSpec(name)
