"""What a network is, before any framework builds it: name, origin, options, input and classes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Literal

from convscope.core.errors import UserError, unknown_name

Shape = tuple[int, int, int]
Option = bool | int | float | str | tuple[int, ...]

LARGEST_SIDE = 4096
"""Pixels of an input's height and width; the activations of one larger image fill a machine's memory."""

LARGEST_NUMBER = 65_536
"""Layers, maps or whatever else an option counts; more of them fill a machine's memory, too."""

RENAMED = {"field": "receptive_field"}
"""Names of version 0.1, which are read in a bundle for ever."""

SMALL_SIDE = 64
"""Up to so many pixels of the shorter side, a network for photographs takes its small form."""


@dataclass(frozen=True)
class ModelSpec:
    """One network: what it is called and comes from, and all that its builder needs to know.

    `input_shape` is (C, H, W), `classes` is K. `parameters`, `macs` (multiply-accumulates an image) and
    `receptive_field` (the receptive field of the last map, in pixels) are exact, in the form the network was
    designed in; None where nobody counted. The paper's own rounded figures stand beside them with their
    place, and `deviations` says where this network is not what the paper wrote. `small_form` says what is
    different for images of up to 64 pixels; empty for networks that were designed small. `rate` is the peak
    learning rate from scratch: a network without batch norm, or with ReLU on its logits, goes silent at the
    usual 0.1. `head` is "own", or "linear" for the standardised mean of each map and one linear layer, which
    is what transfer learning trains. `source` and `source_sha256` name the file of a custom model.

    >>> spec = ModelSpec("tiny", input_shape=(3, 8, 8), classes=2, options={"width": 4})
    >>> spec.with_changes(input_shape=(1, 8, 8), classes=5, options={"width": 8}).options["width"]
    8
    """

    name: str
    title: str = ""
    year: int | None = None
    paper: str = ""
    idea: str = ""
    input_shape: Shape = (3, 32, 32)
    classes: int = 10
    options: Mapping[str, Option] = field(default_factory=dict)
    parameters: int | None = None
    macs: int | None = None
    receptive_field: int | None = None
    published_parameters: float | None = None
    published_macs: float | None = None
    published_in: str = ""
    deviations: str = ""
    small_form: str = ""
    rate: float = 0.1
    head: Literal["own", "linear"] = "own"
    source: str = ""
    source_sha256: str = ""

    def __post_init__(self) -> None:
        check_shape(self.input_shape)
        if isinstance(self.classes, bool) or not isinstance(self.classes, int) or self.classes < 2:
            raise UserError(
                f"{self.name} was given classes={self.classes!r}; a classifier needs an int of 2 or more"
            )

    @property
    def small(self) -> bool:
        """Is the network built in its small form, since the shorter side has up to `SMALL_SIDE` pixels?

        >>> ModelSpec("tiny", input_shape=(3, 32, 32), small_form="no pooling in the stem").small
        True
        """
        return bool(self.small_form) and min(self.input_shape[1:]) <= SMALL_SIDE

    def with_changes(
        self,
        *,
        input_shape: Sequence[int] | None = None,
        classes: int | None = None,
        options: Mapping[str, Any] | None = None,
        head: Literal["own", "linear"] | None = None,
    ) -> ModelSpec:
        """The same network with what is named changed.

        Args:
            input_shape: (C, H, W) of the images.
            classes: K, 2 or more.
            options: those that are to differ, as in `merge_options`.
            head: "own", or "linear" for transfer learning.

        Raises:
            UserError: one of them is not allowed.
        """
        # Options are merged into those that are there, not into the defaults of the list.
        return replace(
            self,
            input_shape=self.input_shape if input_shape is None else check_shape(input_shape),
            classes=self.classes if classes is None else classes,
            options=merge_options(self.name, self.options, options or {}),
            head=self.head if head is None else head,
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; tuples become lists there, and `from_dict` takes both."""
        # asdict copies a mapping as the type that it is; JSON takes a dict alone.
        return {**asdict(self), "options": dict(self.options)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ModelSpec:
        """The spec that `to_dict` wrote, also after a trip through JSON.

        >>> spec = ModelSpec("tiny", options={"widths": (4, 8)})
        >>> ModelSpec.from_dict(spec.to_dict()) == spec
        True
        """
        known = {f.name for f in fields(cls)}
        saved = {RENAMED.get(name, name): value for name, value in values.items()}
        for name in saved:
            if name not in known:
                raise unknown_name("field of a network's spec", name, known)
        saved["input_shape"] = check_shape(saved.get("input_shape", (3, 32, 32)))
        # JSON has no tuples, and a spec whose options are lists would not equal the one that was saved.
        saved["options"] = {name: _frozen(value) for name, value in saved.get("options", {}).items()}
        return cls(**saved)


def check_shape(shape: Sequence[int]) -> Shape:
    """`shape` as (C, H, W); UserError unless C is 1 or 3, and H and W are from 1 to `LARGEST_SIDE`.

    >>> check_shape([3, 32, 32])
    (3, 32, 32)
    """
    # Grey or RGB: a fourth channel, transparency, is dropped when images are prepared.
    if len(shape) != 3 or not all(_is_int(n) and n > 0 for n in shape) or shape[0] not in (1, 3):
        allowed = "channels × height × width with 1 or 3 channels, such as (3, 32, 32)"
        raise UserError(f"input shape {shape!r} is not one; give {allowed}")
    # A slip such as 32000 for 320 would take the machine down before torch says anything.
    if max(shape) > LARGEST_SIDE:
        raise UserError(f"input shape {shape!r} is too large; give sides of up to {LARGEST_SIDE} pixels")
    channels, height, width = shape
    return channels, height, width


def merge_options(name: str, defaults: Mapping[str, Option], changes: Mapping[str, Any]) -> dict[str, Option]:
    """`defaults` with `changes` put in, each value of the kind that its default has.

    Args:
        name: of the network, for errors.
        defaults: all options of the network.
        changes: those that are to differ; lists stand for tuples, an int for a float or for a tuple of one.

    Raises:
        UserError: for an unknown option, and for a value of another kind or out of bounds.

    >>> merge_options("simple_cnn", {"widths": (16, 32), "pooling": "max"}, {"widths": [8]})
    {'widths': (8,), 'pooling': 'max'}
    """
    merged = dict(defaults)
    for option, value in changes.items():
        if option not in defaults:
            if not defaults:
                raise UserError(f"{name} has no options, and {option!r} was given; leave it out")
            raise unknown_name(f"option of {name}", option, defaults)
        merged[option] = _as_kind_of(defaults[option], _frozen(value), f"{name}'s option {option}")
    return merged


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _is_int(value: object) -> bool:
    # For Python True is an int; for a person who counts layers it is not.
    return isinstance(value, int) and not isinstance(value, bool)


def _counts(value: Any) -> bool:
    return _is_int(value) and 0 < value <= LARGEST_NUMBER


def _as_kind_of(default: Option, value: Any, what: str) -> Option:
    """`value` where it is of the default's kind; an int may stand for a float, and for a tuple of one."""
    converted, allowed = _converted(default, value)
    if converted is None:
        shown = list(default) if isinstance(default, tuple) else default
        raise UserError(f"{what} is {value!r}; give {allowed}, such as {shown!r}")
    return converted


def _converted(default: Option, value: Any) -> tuple[Option | None, str]:
    """The value as an option, or None where it cannot be one; and what is allowed, in words."""
    bounds = f"above 0 and up to {LARGEST_NUMBER:,}"
    if isinstance(default, tuple):
        return _as_counts(value), f"one or more whole numbers {bounds}"
    if isinstance(default, float):
        return _as_float(value), "a number"
    if _is_int(default):
        return int(value) if _counts(value) else None, f"a whole number {bounds}"
    kind = "true or false" if isinstance(default, bool) else "a word"
    return value if type(value) is type(default) else None, kind


def _as_counts(value: Any) -> tuple[int, ...] | None:
    several = (value,) if _is_int(value) else value
    sound = isinstance(several, tuple) and several and all(map(_counts, several))
    return several if sound else None


def _as_float(value: Any) -> float | None:
    sound = (_is_int(value) or isinstance(value, float)) and math.isfinite(value)
    return float(value) if sound else None
