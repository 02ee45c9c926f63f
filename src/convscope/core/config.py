"""What a run is made from: frozen dataclasses, filled from defaults, a recipe, a TOML file and `--set`.

Every value is checked for its type and range, and an unknown name is an error with the nearest right one.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, TypeAlias, get_args

from annotated_types import Ge, Gt, Le, Lt

from convscope.core.config_keys import explain_problem, with_current_names

Mode: TypeAlias = Literal["probe", "finetune", "scratch"]
Score: TypeAlias = Literal["probability", "energy"]
SCORES: tuple[Score, ...] = get_args(Score)

# A mistyped key would train with the default, and an infinite rate passes `Gt(0)`.
STRICT = {"extra": "forbid", "allow_inf_nan": False}


@dataclass(frozen=True)
class DataConfig:
    """Which images, and how they reach the network.

    `size`: pixels a side, None for the images' own (128 for photographs), or for what trained weights expect.
    `channels`: 1 or 3, None for the images' own. `normalise`: "statistics" of the training split, "symmetric"
    to [−1, 1], or "weights" for what trained weights expect; None for "weights" where there are some, else
    "statistics". `validation` and `test`: the fraction to hold out where the source has no such split;
    validation None for a tenth, but no more than 2,500 images. `train_fraction`: how much of the training
    images is used, stratified, to see what fewer would have done. `quarantine`: "auto" leaves out what a scan
    finds harmful, "none" keeps every image that can be decoded.
    """

    __pydantic_config__ = STRICT
    source: str = "fashion_mnist"
    # Prepared pixels of 1024×1024×3 take 3 MB an image, 30 GB for 10,000.
    size: Annotated[int, Ge(8), Le(1024)] | None = None
    channels: Literal[1, 3] | None = None
    resize: Literal["crop", "stretch", "pad"] = "crop"
    normalise: Literal["statistics", "symmetric", "weights"] | None = None
    validation: Annotated[float, Gt(0), Lt(1)] | None = None
    test: Annotated[float, Gt(0), Lt(1)] = 0.15
    train_fraction: Annotated[float, Gt(0), Le(1)] = 1.0
    quarantine: Literal["auto", "none"] = "auto"


@dataclass(frozen=True)
class ModelConfig:
    """Which network. `name` None lets the data choose; `options` are its own, see `convscope summary`."""

    __pydantic_config__ = STRICT
    name: str | None = None
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class TransferConfig:
    """Starting from trained weights.

    `pretrained`: a network of `convscope summary`, torchvision:NAME, timm:NAME, a run, a bundle or a weight
    file; None for SqueezeNet 1.0, which is in the package, where images are photographs and no network is
    named, else for no weights. `mode`: "probe" trains a linear layer on features that are computed once,
    "finetune" trains everything after that, "scratch" takes the network and leaves the weights; None for
    probe where there are weights. In fine-tuning, `layer_decay`: the learning rate of a stage is that of the
    next one times this. `unfreeze_every`: epochs until one stage more is trained, from the last to the first;
    0 trains all from the start. `freeze_norms`: batch norms keep the statistics that they came with.
    `weights_fingerprint`: of the weights, which training fills in; other weights are refused then.
    """

    __pydantic_config__ = STRICT
    pretrained: str | None = None
    mode: Mode | None = None
    # Rates by stage, gradual unfreezing: Howard and Ruder 2018, arXiv 1801.06146 (they divide by 2.6).
    layer_decay: Annotated[float, Gt(0), Le(1)] = 0.8
    unfreeze_every: Annotated[int, Ge(0)] = 0
    freeze_norms: bool = True
    weights_fingerprint: str | None = None


@dataclass(frozen=True)
class AugmentConfig:
    """Random changes to training images.

    `policy`: none, basic, strong, auto, one operation such as cutout, or several joined by +; None for basic,
    or flip where images are small and grey. `flip`: may an image be mirrored? None for yes, except with
    mnist; digits and text of one's own need false. `mix`: mixup, cutmix, both (one of the two for each batch)
    or none.
    """

    __pydantic_config__ = STRICT
    policy: str | None = None
    flip: bool | None = None
    # mixup: Zhang and others 2017, arXiv 1710.09412; CutMix: Yun and others 2019, arXiv 1905.04899.
    mix: Literal["none", "mixup", "cutmix", "both"] = "none"


@dataclass(frozen=True)
class TrainConfig:
    """How the weights are found.

    `epochs`: None for 12, 40 of a linear probe, 8 of fine-tuning. `lr`: the peak rate, None for 0.1 (0.01 for
    networks without batch norm), 0.02 and 0.001. `batch_size`: None for 128, or 32 where images are larger
    than 64 pixels a side and memory would run out. `warmup`: fraction of all steps in which the rate rises.
    `milestones`: fractions of the other steps, after which the schedule "step" drops the rate. `drop`: what
    "step" and "plateau" multiply it by. `plateau_patience`: epochs without a lower validation loss before
    "plateau" drops it. `focal_gamma`: the exponent of the focal loss. `clip`: largest gradient norm, 0 for no
    limit. `accumulate`: batches added up before a step. `ema`: decay of the averaged weights, 0 for none.
    `patience`: epochs without a better validation score before the run stops, 0 for never.
    `checkpoint_seconds`: time between checkpoints within an epoch; there is one at the end of each epoch in
    any case. `gradient_norms`: write the last gradient's norm of every parameter into each row of
    history.jsonl. `tensorboard`: draw the rows in TensorBoard, too.
    """

    __pydantic_config__ = STRICT
    epochs: Annotated[int, Ge(1)] | None = None
    batch_size: Annotated[int, Ge(1)] | None = None
    optimizer: Literal["sgd", "adam", "adamw"] = "sgd"
    lr: Annotated[float, Gt(0)] | None = None
    # Nesterov, 0.9 and a decay of 5e-4: Zagoruyko and Komodakis 2016, arXiv 1605.07146.
    momentum: Annotated[float, Ge(0), Lt(1)] = 0.9
    nesterov: bool = True
    weight_decay: Annotated[float, Ge(0)] = 5e-4
    schedule: Literal["constant", "step", "cosine", "one_cycle", "plateau"] = "one_cycle"
    warmup: Annotated[float, Ge(0), Le(1)] = 0.2
    milestones: tuple[Annotated[float, Ge(0), Le(1)], ...] = (0.5, 0.75)
    drop: Annotated[float, Gt(0), Le(1)] = 0.1
    plateau_patience: Annotated[int, Ge(0)] = 5
    # Szegedy and others 2015, arXiv 1512.00567, section 7, take 0.1.
    label_smoothing: Annotated[float, Ge(0), Lt(1)] = 0.0
    imbalance: Literal["none", "weights", "sampler", "focal"] = "none"
    # 2 was best for Lin and others 2017, arXiv 1708.02002.
    focal_gamma: Annotated[float, Ge(0)] = 2.0
    clip: Annotated[float, Ge(0)] = 0.0
    accumulate: Annotated[int, Ge(1)] = 1
    ema: Annotated[float, Ge(0), Lt(1)] = 0.0
    patience: Annotated[int, Ge(0)] = 0
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    threads: Annotated[int, Ge(1)] | None = None
    # A kill costs about a minute of training.
    checkpoint_seconds: Annotated[float, Ge(0)] = 60.0
    gradient_norms: bool = False
    tensorboard: bool = False


@dataclass(frozen=True)
class DecisionConfig:
    """When the trained network predicts *unknown*.

    `coverage`: the fraction of validation images that keep their prediction; the threshold is the score that
    so many of them reach, and 1 gives none. `score`: the confidence of a prediction, which is the largest
    probability or the energy.
    """

    __pydantic_config__ = STRICT
    coverage: Annotated[float, Gt(0), Le(1)] = 0.95
    score: Score = "probability"


@dataclass(frozen=True)
class RunConfig:
    """Everything that decides a run: equal RunConfigs on one machine give equal weights on a CPU.

    `engine`: the framework that holds and trains the network. `task`: what is asked of it.
    """

    __pydantic_config__ = STRICT
    engine: str = "torch"
    task: str = "classification"
    data: DataConfig = field(default_factory=DataConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    transfer: TransferConfig = field(default_factory=TransferConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    decision: DecisionConfig = field(default_factory=DecisionConfig)
    seed: Annotated[int, Ge(0)] = 0

    def to_dict(self) -> dict[str, Any]:
        """Nested plain values of JSON, as `from_dict` takes them."""
        values = {f.name: getattr(self, f.name) for f in dataclasses.fields(RunConfig)}
        return {name: _plain_section(value) for name, value in values.items()}

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> RunConfig:
        """A checked configuration; keys that are left out keep their defaults.

        >>> RunConfig.from_dict({"train": {"lr": 0.05}}).train.lr
        0.05
        """
        from pydantic import TypeAdapter, ValidationError

        try:
            return TypeAdapter(cls).validate_python(with_current_names(value)[0])
        except ValidationError as error:
            # One line is read; the next problem shows on the next try.
            raise explain_problem(error.errors()[0], _sections()) from None

    def merge(self, changes: dict[str, Any]) -> RunConfig:
        """The configuration with nested `changes` applied over it and checked."""
        return RunConfig.from_dict(_merged(self.to_dict(), with_current_names(changes)[0]))


def _plain_section(value: Any) -> Any:
    if not dataclasses.is_dataclass(value):
        return value
    section = dataclasses.asdict(value)  # type: ignore[arg-type]  # a value, never a class
    # JSON and TOML have no tuples: a list is equal to what is read back.
    return {key: list(item) if isinstance(item, tuple) else item for key, item in section.items()}


def _merged(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    result = dict(base)
    for key, value in changes.items():
        below = result.get(key)
        result[key] = _merged(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return result


def _sections() -> dict[str, list[str]]:
    """The keys of each section; of the keys outside all sections none."""
    made = {f.name: getattr(RunConfig(), f.name) for f in dataclasses.fields(RunConfig)}
    return {
        name: [f.name for f in dataclasses.fields(section)] if dataclasses.is_dataclass(section) else []
        for name, section in made.items()
    }
