"""A network that was trained before, and how its weights fitted: values that no framework is needed for."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from convscope.models.spec_text import format_shape

# Channel means and deviations of ImageNet's training images, as nearly every published network uses them.
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def array_bytes(value: Any) -> memoryview:
    """The bytes of an array, row after row."""
    return np.ascontiguousarray(value).data


@dataclass(frozen=True)
class Pretrained:
    """Weights with what their use needs: the network's name and options, and the preprocessing they expect.

    `origin` tells people where they are from. `tensors`: by name, as the engine that opened them holds them;
    `tensor_bytes` gives the bytes of one. `size` is (height, width) in pixels; `mean` and `std` hold one
    number a channel on the scale 0..1.
    """

    name: str
    origin: str
    tensors: Mapping[str, Any] = field(repr=False)
    size: tuple[int, int]
    # What nearly all published networks expect, unless whoever publishes them says otherwise.
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    options: Mapping[str, Any] = field(default_factory=dict)
    tensor_bytes: Callable[[Any], memoryview] = field(default=array_bytes, repr=False, compare=False)

    def statistics(self, channels: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Mean and deviation for images of `channels`: for grey ones the average over the colours, and back.

        >>> Pretrained("vgg11", "a file", {}, (32, 32), mean=(0.25, 0.5, 0.75), std=(0.5,) * 3).statistics(1)
        ((0.5,), (0.5,))
        """
        if len(self.mean) == channels:
            return self.mean, self.std
        mean, std = sum(self.mean) / len(self.mean), sum(self.std) / len(self.std)
        return (mean,) * channels, (std,) * channels

    def fingerprint(self) -> str:
        """Twelve hexadecimal digits that tell these weights from others, over names, shapes and bytes."""
        digest = hashlib.blake2b(digest_size=6)  # 48 bits tell files apart; nobody forges them
        # Sorted: a file of another order holds the same weights.
        for name in sorted(self.tensors):
            digest.update(f"{name}{tuple(self.tensors[name].shape)}".encode())
            digest.update(self.tensor_bytes(self.tensors[name]))
        return digest.hexdigest()


@dataclass(frozen=True)
class LoadReport:
    """How weights fitted, by the network's own names where it has them, else by those of the weights.

    `key_map`: the program whose names they are. `loaded` went in as they are, `adapted` after the colours of
    a first layer were added up. `missing`: what the network has and the weights have not; `unexpected`: the
    reverse; `reshaped`: (name, shape of the weights, shape needed), left as they were in the network.
    """

    key_map: str
    loaded: tuple[str, ...]
    adapted: tuple[str, ...]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    reshaped: tuple[tuple[str, tuple[int, ...], tuple[int, ...]], ...]

    @property
    def whole(self) -> bool:
        """Did every weight of the network get a value, and was none left over?"""
        return not (self.missing or self.unexpected or self.reshaped)

    def mismatches(self) -> list[str]:
        """Each of `reshaped` in words."""
        return [f"{name} is {format_shape(a)}, needs {format_shape(b)}" for name, a, b in self.reshaped]

    def body_line(self) -> str:
        """How a body's weights fitted, for a person who did not ask.

        >>> LoadReport("timm", ("body.stem.0.bias",), (), (), ("fc.bias",), ()).body_line()
        'all 1 tensors of the body (timm names); the head is new'
        """
        grey = "; colours added up for grey images" if self.adapted else ""
        count = len(self.loaded) + len(self.adapted)
        return f"all {count} tensors of the body ({self.key_map} names{grey}); the head is new"

    def __str__(self) -> str:
        parts = [f"{len(self.loaded) + len(self.adapted)} tensors loaded ({self.key_map} names)"]
        parts += [f"{name}: colours added up" for name in self.adapted]
        for what, names in (("missing", self.missing), ("unexpected", self.unexpected)):
            if names:
                parts.append(f"{what}: {shorten(names)}")
        if self.reshaped:
            parts.append("reshaped: " + shorten(self.mismatches()))
        return "; ".join(parts)


def shorten(names: Sequence[str], limit: int = 4) -> str:
    """The first few names, and how many more there are.

    >>> shorten(["a", "b", "c", "d", "e", "f"])
    'a, b, c, d and 2 more'
    """
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more
