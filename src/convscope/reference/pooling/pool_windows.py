"""Where the windows of max and average pooling lie, with ceil mode and padding.

Along one axis, a window of k pixels, d apart, in steps of s over H pixels with p added on each side has

    ⌊(H + 2p − d(k−1) − 1)/s⌋ + 1 positions,

and with ceil mode one more where pixels are left over: ⌈ ⌉ in place of ⌊ ⌋. That last window hangs over the
end. It is dropped again where it would begin behind the image, (positions − 1)·s ≥ H + p, since it would see
nothing but padding. This is PyTorch's rule: https://pytorch.org/docs/stable/generated/torch.nn.MaxPool2d.html
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from convscope.reference.arrays import Array, ShapeError, check_maps
from convscope.reference.shapes import Pair, output_size, pad_images, pair

Place = tuple[slice, slice, slice, slice]


def pooled_size(
    size: int, kernel: int, *, stride: int, padding: int = 0, dilation: int = 1, ceil_mode: bool = False
) -> int:
    """Count the positions of a pooling window along one axis; the formula stands at the top of this file.

    Args:
        size: H, pixels along the axis, at least 1.
        kernel: k, pixels of the window, at least 1.
        stride: s, pixels from one position to the next, at least 1.
        padding: p, pixels added on each side, at most half the kernel.
        dilation: d, pixels from one pixel of the window to the next, at least 1.
        ceil_mode: count a last window that hangs over the end.

    Returns:
        The number of positions, at least 1.

    Raises:
        ShapeError: no position, or too much padding.

    >>> pooled_size(6, 3, stride=2), pooled_size(6, 3, stride=2, ceil_mode=True)
    (2, 3)
    """
    # With p above k/2 more than half of the first window would be padding.
    if 2 * padding > kernel:
        raise ShapeError(
            f"padding is {padding} and the kernel {kernel}; padding is at most half the kernel, "
            f"{kernel // 2}, or the first window would see little else"
        )
    if not ceil_mode:
        return output_size(size, kernel, stride=stride, padding=padding, dilation=dilation)
    # ⌈a/s⌉ = ⌊(a + s − 1)/s⌋. Where not even a window that hangs over fits, the plain formula says why.
    positions = (size + 2 * padding - dilation * (kernel - 1) - 1 + stride - 1) // stride + 1
    if positions < 1:
        return output_size(size, kernel, stride=stride, padding=padding, dilation=dilation)
    return positions - 1 if (positions - 1) * stride >= size + padding else positions


@dataclass(frozen=True)
class Windows:
    """All windows of one pooling; each field is (rows, columns).

    `size` is that of the image, `positions` that of the result, both at least 1.
    """

    size: tuple[int, int]
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]
    positions: tuple[int, int]

    def pad(self, x: Array, value: float) -> Array:
        """Put a border around the maps, at the end as wide as the last window hangs over.

        Args:
            x: maps, N×C×H×W.
            value: of the border: −∞ for a maximum, 0 for a sum.

        Returns:
            The padded maps; x itself where nothing is added.
        """
        last = [
            self.stride[a] * (self.positions[a] - 1) + self.dilation[a] * (self.kernel[a] - 1) + 1
            for a in (0, 1)
        ]
        # Where s does not divide the rest, the last window ends inside the image: nothing is added then.
        behind = [max(last[a] - self.size[a] - self.padding[a], 0) for a in (0, 1)]
        return pad_images(x, ((self.padding[0], behind[0]), (self.padding[1], behind[1])), value=value)

    def crop(self, padded: Array) -> Array:
        """The image inside the result of `pad`, as a view."""
        (top, left), (h, w) = self.padding, self.size
        return padded[:, :, top : top + h, left : left + w]

    def pixels(self) -> Iterator[Place]:
        """For each of the kH·kW pixels of a window, row by row: its place in all windows of the padded image.

        Such a place cuts an N×C×H_out×W_out view out of the padded image. So a loop over the few pixels of a
        window replaces one over its many positions: 4 steps for a 2×2 window on an image of any size.
        """
        everything = slice(None)
        for i in range(self.kernel[0]):
            for j in range(self.kernel[1]):
                rows, columns = self._every(0, i), self._every(1, j)
                yield everything, everything, rows, columns

    def _every(self, axis: int, pixel: int) -> slice:
        """Where one pixel of the window lies along an axis, over all positions."""
        start, step = pixel * self.dilation[axis], self.stride[axis]
        # The + 1 ends the slice right behind the last position, or another window's pixel could follow.
        return slice(start, start + (self.positions[axis] - 1) * step + 1, step)


def windows(
    x: Array, kernel: Pair, *, stride: Pair | None, padding: Pair, dilation: Pair = 1, ceil_mode: bool
) -> Windows:
    """Lay the windows of one pooling over an image.

    Args:
        x: maps, N×C×H×W.
        kernel: k, size of the window in pixels, at least 1; an integer or two.
        stride: s, at least 1; None lays the windows side by side, s = k.
        padding: p, pixels added on each side, at most half the kernel.
        dilation: d, at least 1.
        ceil_mode: keep a last window that hangs over the end.

    Returns:
        The windows, each of which sees at least one pixel of the image.

    Raises:
        ShapeError: x is no batch of maps, or a size does not fit it.
    """
    check_maps(x)
    k = pair(kernel, name="kernel", at_least=1)
    # Side by side is the usual case: 2×2 windows quarter the number of pixels.
    s = k if stride is None else pair(stride, name="stride", at_least=1)
    p, d = pair(padding, name="padding"), pair(dilation, name="dilation", at_least=1)
    h, w = x.shape[2:]
    rows, columns = (
        pooled_size(size, k[a], stride=s[a], padding=p[a], dilation=d[a], ceil_mode=ceil_mode)
        for a, size in enumerate((h, w))
    )
    where = Windows((h, w), k, s, p, d, (rows, columns))
    for axis in (0, 1):
        _check_sight(where, axis)
    return where


def _check_sight(where: Windows, axis: int) -> None:
    """Refuse windows that see no pixel, such as a dilated kernel that straddles a small image."""
    # A maximum over padding alone would be −∞ and a mean 0/0: neither is a feature of the image.
    k, s, p, d, size = (
        v[axis] for v in (where.kernel, where.stride, where.padding, where.dilation, where.size)
    )
    # Row i: the pixels that window i looks at, negative in front of the image.
    seen = np.arange(where.positions[axis])[:, None] * s - p + np.arange(k) * d
    blind = ~((seen >= 0) & (seen < size)).any(axis=1)
    if blind.any():
        raise ShapeError(
            f"window {blind.argmax()} looks at {seen[blind][0].tolist()}, i*s - p + a*d for a < {k}, and the "
            f"image has pixels 0 to {size - 1}: it would see padding alone; give less padding or dilation"
        )
