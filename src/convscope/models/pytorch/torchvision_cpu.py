"""Make torchvision importable beside a CPU build of torch.

The registry's torchvision is linked to CUDA. Beside a CPU torch its compiled extension does not load, its
operators are never defined, and `import torchvision` dies with "operator torchvision::nms does not exist"
while registering shape rules for two of them. Declaring those two operators, without an implementation, is
all that is missing: the networks, weights and transforms are plain Python. (Its own JPEG decoder and
non-maximum suppression stay unavailable.)
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from types import ModuleType

import torch

from convscope.core.errors import UserError

SCHEMAS = {
    "nms": "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms": "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
}

# torchvision loads its extension first and these next, so that when one is looked for the extension has had
# its chance.
AFTER_THE_EXTENSION = ("torchvision._autograd_registrations", "torchvision._meta_registrations")

# An operator lives as long as the Library that declared it.
_declared: list[torch.library.Library] = []


class _Declarer(MetaPathFinder):
    """Finds nothing; it waits for the moment between torchvision's extension and what depends on it."""

    def find_spec(
        self, fullname: str, _path: Sequence[str] | None, _target: ModuleType | None = None
    ) -> None:
        if fullname in AFTER_THE_EXTENSION:
            declare_missing()


_declarer = _Declarer()


def declare_missing() -> list[str]:
    """Declare those of the two operators that do not exist; returns their names, none where all is well."""
    missing = [name for name in SCHEMAS if not hasattr(torch.ops.torchvision, name)]
    if missing:
        library = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
        for name in missing:
            library.define(SCHEMAS[name])  # type: ignore[no-untyped-call]
        _declared.append(library)
    return missing


def allow_torchvision() -> None:
    """Let every later `import torchvision`, also one inside timm or a custom model, work beside a CPU torch.

    It costs nothing until torchvision is imported, changes nothing where the extension loads, and may be
    called twice.

    >>> allow_torchvision()
    """
    if _declarer not in sys.meta_path:
        sys.meta_path.insert(0, _declarer)


def import_torchvision() -> ModuleType:
    """The torchvision module, also beside a CPU torch; a UserError where it is not installed.

    It takes about a second, since torchvision wakes torch._dynamo: call it only where it is used.
    """
    allow_torchvision()
    try:
        return importlib.import_module("torchvision")
    except ModuleNotFoundError as error:
        if error.name != "torchvision":
            raise
        raise UserError(
            f"torchvision is not installed, and this needs it; install the release made for torch "
            f"{torch.__version__} with: pip install torchvision"
        ) from error
