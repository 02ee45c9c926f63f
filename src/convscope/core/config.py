"""What a run is made from: frozen dataclasses, filled from defaults, a recipe, a TOML file and `--set`, in
that order.

Every value is checked for its type and range, and an unknown name is an error that says the nearest right
one.
"""

from __future__ import annotations

import dataclasses
import tomllib
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Annotated, Any, Literal, TypeAlias, get_args

from annotated_types import Ge, Gt, Le, Lt

from convscope.core.errors import UserError, nearest

Score: TypeAlias = Literal["probability", "energy"]
SCORES: tuple[Score, ...] = get_args(Score)

STRICT = {"extra": "forbid", "allow_inf_nan": False}
RENAMED_KEYS = {
    "data.share": "data.train_fraction",
    "transfer.thaw": "transfer.unfreeze_every",
    "transfer.weights_digest": "transfer.weights_fingerprint",
}
RENAMED_VALUES = {("transfer.mode", "head"): "probe"}
"""Keys and values of version 0.1, which are read (never written) until 0.3."""
NONE_IS_A_VALUE = {"augment.policy"}
"""Keys whose value none says: do nothing; elsewhere it leaves the choice open."""


@dataclass(frozen=True)
class DataConfig:
    """Which images, and how they reach the network.

    `size`: pixels a side, None for the images' own (128 for photographs), or for what trained weights expect.
    `channels`: 1 or 3, None for the images' own. `normalise`: "statistics" of the training split, "symmetric"
    to [−1, 1], or "weights" for what trained weights expect; None for "weights" where there are some, else
    "statistics". `validation` and `test`: the share to stratified_split where the source has no such split;
    validation None for a tenth, but no more than 2,500 images. `train_fraction`: how much of the training
    images is used, stratified, to see what fewer would have done. `quarantine`: "auto" leaves out what a scan
    finds harmful, "none" keeps every image that can be decoded.
    """

    __pydantic_config__ = STRICT
    source: str = "fashion_mnist"
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
    """Which network. `name` None lets the data choose; `options` are those of the network, see `convscope
    summary`.
    """

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
    mode: Literal["probe", "finetune", "scratch"] | None = None
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
    mix: Literal["none", "mixup", "cutmix", "both"] = "none"


@dataclass(frozen=True)
class TrainConfig:
    """How the weights are found.

    `epochs`: None for 12, 40 of a head, 8 of fine-tuning. `lr`: the peak rate, None for 0.1 (0.01 for
    networks without batch norm), 0.02 and 0.001. `batch_size`: None for 128, or 32 where images are larger
    than 64 pixels a side and memory would run out. `warmup`: share of all steps in which the rate rises.
    `clip`: largest gradient norm, 0 for no limit. `accumulate`: batches added up before a step. `ema`: decay
    of the averaged weights, 0 for none. `patience`: epochs without a better validation accuracy before the
    run stops, 0 for never. `checkpoint_seconds`: time between checkpoints within an epoch; there is one at
    the end of each epoch in any case. `gradient_norms`: write the last gradient's norm of every parameter
    into each row of history.jsonl. `tensorboard`: draw the rows in TensorBoard, too.
    """

    __pydantic_config__ = STRICT
    epochs: Annotated[int, Ge(1)] | None = None
    batch_size: Annotated[int, Ge(1)] | None = None
    optimizer: Literal["sgd", "adam", "adamw"] = "sgd"
    lr: Annotated[float, Gt(0)] | None = None
    momentum: Annotated[float, Ge(0), Lt(1)] = 0.9
    nesterov: bool = True
    weight_decay: Annotated[float, Ge(0)] = 5e-4
    schedule: Literal["constant", "step", "cosine", "one_cycle", "plateau"] = "one_cycle"
    warmup: Annotated[float, Ge(0), Le(1)] = 0.2
    label_smoothing: Annotated[float, Ge(0), Lt(1)] = 0.0
    imbalance: Literal["none", "weights", "sampler", "focal"] = "none"
    clip: Annotated[float, Ge(0)] = 0.0
    accumulate: Annotated[int, Ge(1)] = 1
    ema: Annotated[float, Ge(0), Lt(1)] = 0.0
    patience: Annotated[int, Ge(0)] = 0
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    threads: Annotated[int, Ge(1)] | None = None
    checkpoint_seconds: Annotated[float, Ge(0)] = 60.0
    gradient_norms: bool = False
    tensorboard: bool = False

    def settled(self) -> SettledTrain:
        """The same, once data and way of training have decided everything that was left open."""
        return SettledTrain(**{f.name: getattr(self, f.name) for f in dataclasses.fields(self)})


@dataclass(frozen=True)
class SettledTrain(TrainConfig):
    """A TrainConfig that leaves neither epochs nor rate open: what the loop is given."""

    epochs: int = 12
    lr: float = 0.1


@dataclass(frozen=True)
class DecisionConfig:
    """When the trained network answers *unknown*.

    `coverage`: share of validation images that keep their answer; the threshold is the score that so many of
    them reach, and 1 gives none. `score`: what tells how sure an answer is, the largest probability or the
    energy.
    """

    __pydantic_config__ = STRICT
    coverage: Annotated[float, Gt(0), Le(1)] = 0.95
    score: Score = "probability"


@dataclass(frozen=True)
class RunConfig:
    """Everything that decides a run. Two runs with equal RunConfigs on one machine give equal weights on a
    CPU.
    """

    __pydantic_config__ = STRICT
    data: DataConfig = field(default_factory=DataConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    transfer: TransferConfig = field(default_factory=TransferConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    decision: DecisionConfig = field(default_factory=DecisionConfig)
    seed: Annotated[int, Ge(0)] = 0

    def to_dict(self) -> dict[str, Any]:
        """Nested plain values, as `from_dict` takes them."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> RunConfig:
        """A checked configuration; keys that are not given keep their defaults.

        >>> RunConfig.from_dict({"train": {"lr": 0.05}}).train.lr
        0.05
        """
        from pydantic import TypeAdapter, ValidationError

        try:
            return TypeAdapter(cls).validate_python(with_current_names(value)[0])
        except ValidationError as error:
            raise _explain(error.errors()[0]) from None

    def merge(self, changes: dict[str, Any]) -> RunConfig:
        """The configuration with nested `changes` applied over it and checked."""
        return RunConfig.from_dict(_merged(self.to_dict(), with_current_names(changes)[0]))


def with_current_names(values: Any) -> tuple[Any, list[str]]:
    """Nested values under the names of this version, and a line for each name of an earlier one.

    Raises UserError where a value is given under both names.

    >>> with_current_names({"transfer": {"mode": "head", "thaw": 2}})
    ({'transfer': {'mode': 'probe', 'unfreeze_every': 2}}, ['transfer.thaw is now transfer.unfreeze_every', \
'transfer.mode=head is now transfer.mode=probe'])
    """
    if not isinstance(values, dict):
        return values, []  # validation says what is wrong with it
    current = {name: dict(part) if isinstance(part, dict) else part for name, part in values.items()}
    notes = []
    for old, new in RENAMED_KEYS.items():
        section, _, key = old.partition(".")
        part, name = current.get(section), new.partition(".")[2]
        if isinstance(part, dict) and key in part:
            if name in part:
                raise UserError(f"{old} and {new} were both given, and mean the same; leave {old} out")
            part[name] = part.pop(key)
            notes.append(f"{old} is now {new}")
    for (dotted, value), word in RENAMED_VALUES.items():
        section, _, key = dotted.partition(".")
        part = current.get(section)
        if isinstance(part, dict) and part.get(key) == value:
            part[key] = word
            notes.append(f"{dotted}={value} is now {dotted}={word}")
    return current, notes


def current_settings(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings with dotted keys under the names of this version: what a run or a comparison once wrote down.

    >>> current_settings({"data.share": 1.0, "transfer.mode": "head"})
    {'data.train_fraction': 1.0, 'transfer.mode': 'probe'}
    """
    return {
        RENAMED_KEYS.get(key, key): RENAMED_VALUES.get((key, value), value)
        if isinstance(value, str)
        else value
        for key, value in settings.items()
    }


def parse_settings(settings: list[str]) -> dict[str, Any]:
    """`["train.lr=0.1", "augment.policy=strong"]` as nested values; a value is read as TOML, else as text.

    The word none leaves open what can be left open, such as data.size.

    >>> parse_settings(["train.lr=0.1", "augment.policy=strong"])
    {'train': {'lr': 0.1}, 'augment': {'policy': 'strong'}}
    """
    result: dict[str, Any] = {}
    unset = {key for key, default in flat(RunConfig().to_dict()).items() if default is None} - NONE_IS_A_VALUE
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals or not key.strip():
            raise UserError(f"--set got {setting!r}; it takes KEY=VALUE, such as --set train.lr=0.1")
        *parents, last = key.strip().split(".")
        place = result
        for parent in parents:
            place = place.setdefault(parent, {})
            if not isinstance(place, dict):
                raise UserError(f"--set gives {parent!r} both a value and keys below it")
        place[last] = None if text.strip() == "none" and key.strip() in unset else _value(text.strip())
    return result


def read_toml(path: Path | str) -> dict[str, Any]:
    """The nested values of a TOML file; a missing or broken file is a UserError with the line."""
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"there is no configuration file at {path}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise UserError(f"{path} is not a TOML file that can be read: {error}") from None


def differences(a: RunConfig, b: RunConfig) -> dict[str, tuple[Any, Any]]:
    """The dotted keys in which two configurations differ, with both values.

    >>> differences(RunConfig(), RunConfig(seed=3))
    {'seed': (0, 3)}

    One path in two spellings, such as photos and ./photos/, is no difference.
    """
    left, right = flat(a.to_dict()), flat(b.to_dict())
    changed = {k: (left.get(k), right.get(k)) for k in left | right if left.get(k) != right.get(k)}
    if PurePath(a.data.source) == PurePath(b.data.source):
        changed.pop("data.source", None)
    return changed


def flat(value: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested values with dotted keys.

    >>> flat({"train": {"lr": 0.1}, "seed": 0})
    {'train.lr': 0.1, 'seed': 0}
    """
    result: dict[str, Any] = {}
    for key, item in value.items():
        result |= (
            flat(item, f"{prefix}{key}.") if isinstance(item, dict) and item else {f"{prefix}{key}": item}
        )
    return result


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"v = {text}")["v"]
    except tomllib.TOMLDecodeError:
        return {"True": True, "False": False}.get(text, text)


def _merged(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    result = dict(base)
    for key, value in changes.items():
        below = result.get(key)
        result[key] = _merged(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return result


def _keys(cls: Any) -> list[str]:
    return [f.name for f in dataclasses.fields(cls)]


def _explain(problem: Any) -> UserError:
    """One teaching line from the first problem that validation found."""
    path = [str(part) for part in problem["loc"]]
    sections = {f.name: f.default_factory for f in dataclasses.fields(RunConfig) if f.name != "seed"}
    dotted = ".".join(
        p for p in path if not p.startswith(("constrained", "function-", "literal", "int", "none"))
    )
    if problem["type"] in {"unexpected_keyword_argument", "extra_forbidden"}:
        if len(path) > 1:
            allowed = [f"{path[0]}.{key}" for key in _keys(sections[path[0]])]
        else:
            allowed = [*sections, "seed"]
            everything = [f"{name}.{key}" for name, section in sections.items() for key in _keys(section)]
            owner = next((full for full in everything if full.split(".")[1] == path[-1]), None)
            if owner:
                return UserError(f"there is no configuration key {dotted!r}; did you mean {owner!r}?")
        guess = nearest(dotted, allowed)
        hint = f"did you mean {guess!r}? " if guess else ""
        return UserError(f"there is no configuration key {dotted!r}; {hint}allowed: {', '.join(allowed)}")
    if problem["type"] == "dataclass_type":
        example = f"{dotted}.{_keys(sections[dotted])[0]}" if dotted in sections else "train.lr"
        given = problem["input"]
        return UserError(f"{dotted} is a section and was given {given!r}; set a key in it, such as {example}")
    message = problem["msg"].removeprefix("Input should be ").replace("'", '"')
    return UserError(f"{dotted} was given {problem['input']!r}; it must be {message}")
