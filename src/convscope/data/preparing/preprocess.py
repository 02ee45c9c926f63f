"""How an image becomes a network's input: the one definition for training, prediction, export and server."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from convscope.core.errors import UserError, unknown_name
from convscope.data.preparing.decode import ImageLike, decode

Resize: TypeAlias = Literal["crop", "stretch", "pad"]


@dataclass(frozen=True)
class Preprocess:
    """From any image to uint8 H×W×C (`prepare`), and from there to a normalised float batch (`normalise`).

    `channels` is 1 or 3, `height` and `width` are in pixels. `resize` is one of

    * "crop": the image is scaled until it just covers the size, and the middle is cut out;
    * "stretch": both sides are scaled on their own, the proportions change;
    * "pad": the image is scaled until it just fits, on black. (Black and not the mean colour, because the
      mean is measured on prepared images.)

    Scaling is bilinear with antialiasing. `mean` and `std` hold one number a channel, on the scale 0..1.
    A value that makes no sense is a UserError.

    >>> Preprocess(1, 28, 28, "crop", (0.5,), (0.25,)).prepare(np.zeros((40, 30), np.uint8)).shape
    (28, 28, 1)
    """

    channels: int
    height: int
    width: int
    resize: Resize = "crop"
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        """Fill an absent mean with 0 and an absent std with 1, and refuse what makes no sense."""
        if self.channels not in (1, 3):
            raise UserError(f"preprocessing with {self.channels!r} channels; allowed: 1 (grey) or 3 (RGB)")
        if min(self.height, self.width) < 1:
            raise UserError(
                f"preprocessing to {self.height}×{self.width} pixels; both sides must be at least 1"
            )
        if self.resize not in get_args(Resize):
            raise unknown_name("way to resize", str(self.resize), get_args(Resize))
        object.__setattr__(self, "mean", tuple(map(float, self.mean)) or (0.0,) * self.channels)
        object.__setattr__(self, "std", tuple(map(float, self.std)) or (1.0,) * self.channels)
        allowed = f"{self.channels} finite number(s), on the scale 0..1"
        if not self._one_finite_a_channel(self.mean):
            raise UserError(f"preprocessing with mean {self.mean}; allowed: {allowed}")
        if not (self._one_finite_a_channel(self.std) and min(self.std) > 0):
            raise UserError(f"preprocessing with std {self.std}; allowed: {allowed}, above 0")

    def _one_finite_a_channel(self, numbers: tuple[float, ...]) -> bool:
        return len(numbers) == self.channels and all(map(math.isfinite, numbers))

    @classmethod
    def symmetric(cls, channels: int, height: int, width: int, *, resize: Resize = "crop") -> Preprocess:
        """Normalisation to [−1, 1], for data whose statistics are not to be measured: mean 0.5, std 0.5.

        Args:
            channels: 1 or 3.
            height: pixels.
            width: pixels.
            resize: as for the class.

        >>> float(Preprocess.symmetric(1, 1, 1).normalise(np.full((1, 1, 1, 1), 255, np.uint8))[0, 0, 0, 0])
        1.0
        """
        return cls(channels, height, width, resize, (0.5,) * channels, (0.5,) * channels)

    def prepare(self, image: ImageLike, *, name: str | None = None) -> NDArray[np.uint8]:
        """One image at this size.

        An image that has the size already passes untouched, bit for bit. A JPEG of twice the size or more is
        decoded at a reduced scale first.

        Args:
            image: whatever `decode` takes.
            name: what errors call it; they are those of `decode`.

        Returns:
            uint8 H×W×C.

        >>> Preprocess(3, 2, 2).prepare(np.full((5, 9), 200, np.uint8)).max()
        np.uint8(200)
        """
        size = (self.height, self.width)
        # Decoded at no less than twice this size, so that the filter below still has more than it gives.
        pixels = decode(image, self.channels, at_least=size, name=name)
        return pixels if pixels.shape[:2] == size else self._resized(pixels)

    def normalise(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(x / 255 − mean) / std: prepared images, uint8 N×H×W×C, as a float32 batch N×C×H×W.

        >>> Preprocess(1, 1, 2).normalise(np.array([[[[0], [51]]]], np.uint8)).tolist()
        [[[[0.0, 0.20000000298023224]]]]
        """
        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1:] != self.shape:
            raise UserError(
                f"cannot normalise an array of shape {images.shape} and type {images.dtype}; "
                f"needed: prepared images, uint8 N×{self.height}×{self.width}×{self.channels}; "
                "call prepare first"
            )
        batch = np.empty((len(images), self.channels, self.height, self.width), np.float32)
        levels = np.arange(256) / 255
        for channel, (mean, std) in enumerate(zip(self.mean, self.std, strict=True)):
            # Only 256 values exist: computed in float64 and rounded once, then looked up.
            np.take(((levels - mean) / std).astype(np.float32), images[..., channel], out=batch[:, channel])
        return batch

    @property
    def shape(self) -> tuple[int, int, int]:
        """H×W×C of a prepared image."""
        return self.height, self.width, self.channels

    def geometry(self) -> dict[str, Any]:
        """The part that decides the pixels of `prepare`, and so what a cache of prepared images depends on.

        >>> Preprocess(1, 28, 28).geometry()
        {'channels': 1, 'height': 28, 'width': 28, 'resize': 'crop'}
        """
        return {name: value for name, value in self.to_dict().items() if name not in ("mean", "std")}

    def to_dict(self) -> dict[str, Any]:
        """Every field, ready for JSON or TOML; floats come back exactly.

        >>> p = Preprocess(1, 28, 28, "crop", (0.1,), (1 / 3,))
        >>> Preprocess.from_dict(p.to_dict()) == p
        True
        """
        return {name: list(v) if isinstance(v, tuple) else v for name, v in asdict(self).items()}

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> Preprocess:
        """What `to_dict` saved. Unknown and missing names are errors: a guess would change predictions."""
        known = [field.name for field in fields(cls)]
        # Newer versions may write more: ignoring a setting would prepare images otherwise than training did.
        for name in saved:
            if name not in known:
                raise unknown_name("preprocessing setting", str(name), known)
        missing = [name for name in known if name not in saved]
        if missing:
            raise UserError(f"saved preprocessing lacks {', '.join(missing)}; needed: {', '.join(known)}")
        values: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in saved.items()}
        try:
            return cls(**values)
        except (TypeError, ValueError) as error:
            raise UserError(
                f"saved preprocessing is damaged ({error}); take the file from where it was made"
            ) from None

    def _resized(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        height, width = pixels.shape[:2]
        image = Image.fromarray(pixels if self.channels == 3 else pixels[:, :, 0])
        if self.resize == "pad":
            inner, corner = _fitted(height, width, self.height, self.width)
            page = Image.new(image.mode, (self.width, self.height))
            page.paste(image.resize(inner, Image.Resampling.BILINEAR), corner)
            image = page
        else:
            box = None if self.resize == "stretch" else _covering(height, width, self.height, self.width)
            # Pillow resizes a box without copying it, and its bilinear filter widens when it shrinks.
            image = image.resize((self.width, self.height), Image.Resampling.BILINEAR, box=box)
        # Pillow gives H×W for grey.
        return np.array(image, dtype=np.uint8).reshape(self.shape)


def _covering(height: int, width: int, to_height: int, to_width: int) -> tuple[float, float, float, float]:
    """The box that ends up in the middle: resizing only that costs no memory for a 1×100,000 strip."""
    scale = max(to_height / height, to_width / width)
    # Whole pixels, rounded down, are what resizing everything and cropping afterwards would give.
    full_height = max(to_height, int(height * scale + 1e-6))
    full_width = max(to_width, int(width * scale + 1e-6))
    top, left = round((full_height - to_height) / 2), round((full_width - to_width) / 2)
    down, across = height / full_height, width / full_width
    return (
        left * across,
        top * down,
        min(width, (left + to_width) * across),
        min(height, (top + to_height) * down),
    )


def _fitted(
    height: int, width: int, to_height: int, to_width: int
) -> tuple[tuple[int, int], tuple[int, int]]:
    """Width and height of the image inside the frame, and its upper left corner (x, y)."""
    scale = min(to_height / height, to_width / width)
    # At least one pixel: a 1×100,000 strip would round to none.
    inner_height = min(to_height, max(1, round(height * scale)))
    inner_width = min(to_width, max(1, round(width * scale)))
    return (inner_width, inner_height), ((to_width - inner_width) // 2, (to_height - inner_height) // 2)
