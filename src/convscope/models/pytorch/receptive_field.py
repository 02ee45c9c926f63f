"""The receptive field of every tensor that comes from an image, followed through torch's operations.

It is followed through operations and not through modules, so a network that calls functions or adds branches
by hand is followed, too.

A gate (squeeze-and-excite) multiplies whole maps with numbers that come from a global average, so in theory
every position sees everything behind it. It is left out: the field is that of the convolutions. CBAM's gate
of positions is a convolution and counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from convscope.models.receptive_field import Field, Pair, meet

REDUCTIONS = ("mean", "sum", "amax")


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
        # Tensors are kept beside their fields: a freed one would leave its id to a later one.
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
        operation = func.overloadpacket.__name__
        sources = [t for t in _tensors(args) if id(t) in self._known and not _is_gate(operation, t, results)]
        if sources:
            field = _after(operation, args, meet(self.field(source) for source in sources))
            for result in _tensors(results):
                self._known[id(result)] = (result, field if result.ndim == 4 else None)
        return results


def _tensors(values: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(values) if isinstance(leaf, Tensor)]


def _after(operation: str, args: tuple[Any, ...], field: Field | None) -> Field | None:
    """The field behind an operation of ATen, from its arguments as ATen's schema orders them."""
    if field is None or _mixes_positions(operation, args):
        return None
    if operation == "convolution":
        _, weight, _, stride, _, dilation, *_ = args
        return field.through(_pair(weight.shape[2:]), _pair(stride), _pair(dilation))
    if operation in ("max_pool2d_with_indices", "avg_pool2d"):
        return _after_pooling(operation, args, field)
    return field


def _mixes_positions(operation: str, args: tuple[Any, ...]) -> bool:
    """Does each result depend on all positions?"""
    if operation in REDUCTIONS:
        return list(args[1:2]) not in ([[1]], [[-3]])  # over the maps alone, position by position
    if operation == "native_layer_norm":
        return len(args[1]) > 1  # over one axis it standardises the maps of each position
    return operation == "native_group_norm" or "adaptive" in operation


def _after_pooling(operation: str, args: tuple[Any, ...], field: Field) -> Field:
    kernel = _pair(args[1])
    # Without a stride, windows do not overlap.
    stride = _pair(args[2]) if len(args) > 2 and args[2] else kernel
    dilated = operation == "max_pool2d_with_indices" and len(args) > 4
    return field.through(kernel, stride, _pair(args[4]) if dilated else (1, 1))


def _is_gate(operation: str, factor: Tensor, product: Any) -> bool:
    """Is it multiplied as one number a map with maps that have more?"""
    if operation != "mul" or factor.ndim != 4:
        return False
    return factor.shape[2:] == (1, 1) and product.shape[2:] != (1, 1)


def _pair(numbers: Sequence[int]) -> Pair:
    return int(numbers[0]), int(numbers[-1])
