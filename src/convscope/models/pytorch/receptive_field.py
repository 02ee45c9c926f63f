"""How much of the image one place of a map sees, and how far apart in the image two neighbouring places look.

Layer by layer, for a window of k pixels with stride s and dilation d, and for each axis on its own:

    field ← field + (k − 1) · d · stride        stride ← stride · s

starting from 1 and 1 for the image itself (Araujo, Norris & Sim, Computing Receptive Fields of Convolutional
Neural Networks, 2019). Where branches meet, the larger one counts. This is the field in theory: what is
inside it can count, what is outside it cannot. It is followed through torch's operations and not through
modules, so a network that calls functions or adds branches by hand is followed too.

A gate (squeeze-and-excite) multiplies whole maps with numbers that come from a global average, so in theory
every place sees everything behind it. It is left out: the field is that of the convolutions. CBAM's gate of
places is a convolution and counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

Pair = tuple[int, int]

REDUCTIONS = ("mean", "sum", "amax")


@dataclass(frozen=True)
class Field:
    """Of one place of a map: the pixels it sees, and the step in pixels to its neighbour; each as (height,
    width).
    """

    size: Pair = (1, 1)
    stride: Pair = (1, 1)

    def through(self, kernel: Pair, stride: Pair, dilation: Pair = (1, 1)) -> Field:
        """The field after a window slides over the map.

        >>> Field().through((3, 3), (2, 2)).through((3, 3), (1, 1))
        Field(size=(7, 7), stride=(2, 2))
        """
        grown = [self.size[i] + (kernel[i] - 1) * dilation[i] * self.stride[i] for i in (0, 1)]
        return Field((grown[0], grown[1]), (self.stride[0] * stride[0], self.stride[1] * stride[1]))


def meet(fields: Iterable[Field | None]) -> Field | None:
    """The field where branches come together: the larger on each axis; None, the whole image, outdoes every
    other.
    """
    met = Field()
    for field in fields:
        if field is None:
            return None
        size = (max(met.size[0], field.size[0]), max(met.size[1], field.size[1]))
        met = Field(size, (max(met.stride[0], field.stride[0]), max(met.stride[1], field.stride[1])))
    return met


class FieldTracer(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """While it is active, remembers the field of every tensor that comes from `image`.

    >>> import torch
    >>> image = torch.zeros(1, 3, 8, 8)
    >>> with torch.no_grad(), FieldTracer(image) as tracer:
    ...     pooled = torch.nn.functional.avg_pool2d(image, 2)
    >>> tracer.field(pooled)
    Field(size=(2, 2), stride=(2, 2))
    """

    def __init__(self, image: Tensor) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        # Tensors are kept beside their fields, so that no later one can be given the address of one that was
        # freed.
        self._known: dict[int, tuple[Tensor, Field | None]] = {id(image): (image, Field())}

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """False spares the import of torch's compiler, which takes a second and has nothing to do here."""
        return False

    def field(self, tensor: Tensor) -> Field | None:
        """The field of a tensor N×C×H×W; None means that each of its values may depend on the whole image."""
        return self._known[id(tensor)][1] if id(tensor) in self._known else None

    def __torch_dispatch__(
        self, func: Any, _types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run the operation, then write down what its results see."""
        results = func(*args, **(kwargs or {}))
        sources = [t for t in tree_leaves(args) if isinstance(t, Tensor) and id(t) in self._known]
        if func.overloadpacket.__name__ == "mul":
            sources = [t for t in sources if not _is_gate(t, results)]
        if sources:
            field = _after(func.overloadpacket.__name__, args, meet(self.field(s) for s in sources))
            for result in tree_leaves(results):
                if isinstance(result, Tensor):
                    self._known[id(result)] = (result, field if result.ndim == 4 else None)
        return results


def _after(operation: str, args: tuple[Any, ...], field: Field | None) -> Field | None:
    if operation in REDUCTIONS and list(args[1:2]) in ([[1]], [[-3]]):
        return field  # over the maps, place by place
    if field is None or operation in (*REDUCTIONS, "native_group_norm") or "adaptive" in operation:
        return None
    if operation == "native_layer_norm" and len(args[1]) > 1:
        return None  # over one axis it standardises the maps of each place, over more it mixes places
    if operation == "convolution":
        return field.through(_pair(args[1].shape[2:]), _pair(args[3]), _pair(args[5]))
    if operation in ("max_pool2d_with_indices", "avg_pool2d"):
        kernel = _pair(args[1])
        stride = _pair(args[2]) if len(args) > 2 and args[2] else kernel
        dilated = operation == "max_pool2d_with_indices" and len(args) > 4
        return field.through(kernel, stride, _pair(args[4]) if dilated else (1, 1))
    return field


def _is_gate(factor: Tensor, product: Tensor) -> bool:
    """Is it one number a map, for maps that have more?"""
    return factor.ndim == 4 and factor.shape[2:] == (1, 1) and product.shape[2:] != (1, 1)


def _pair(numbers: Sequence[int]) -> Pair:
    return int(numbers[0]), int(numbers[-1])
