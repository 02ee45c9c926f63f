"""Tensors by name from a file: safetensors, NumPy's npz, or a PyTorch state_dict. Nothing in a file is ever
run.
"""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from convscope.core.errors import UserError

SUFFIXES = (".safetensors", ".npz", ".pth", ".pt", ".bin")
WRAPPERS = ("state_dict", "model_state_dict", "model")
"""Keys under which training scripts save the state_dict beside other things."""


def read_tensors(path: Path | str) -> dict[str, Tensor]:
    """The tensors of a weight file by name, on the CPU.

    A `.pth` is read with `weights_only=True`: tensors and plain containers, no code. Where it holds a
    dictionary with a state_dict in it, that is taken. Raises UserError for a missing, unknown, damaged or
    unsafe file.

    >>> from importlib.resources import files
    >>> weights = read_tensors(files("convscope.models.pytorch") / "shipped" / "squeezenet1_0.npz")
    >>> tuple(weights["features.0.weight"].shape), len(weights)
    ((96, 3, 7, 7), 52)
    """
    file = Path(path)
    if not is_there(file) or not file.is_file():
        raise UserError(f"there is no weight file at {file}; give a path to one of {', '.join(SUFFIXES)}")
    readers = {".safetensors": _safetensors, ".npz": _npz}
    if file.suffix.lower() not in SUFFIXES:
        raise UserError(f"{file} is no weight file by its name; known are {', '.join(SUFFIXES)}")
    try:
        tensors = readers.get(file.suffix.lower(), _state_dict)(file)
    except UserError:
        raise
    except (
        Exception
    ) as problem:  # a flipped bit in a zip or a pickle fails in a dozen ways, from zlib.error to KeyError
        raise _damaged(file, problem) from None
    if not tensors:
        raise UserError(f"{file} holds no tensors by name; give a file with a network's weights")
    return tensors


def is_there(path: Path) -> bool:
    """Is there a file or a folder? A name that no file system takes, because it is too long, names none.

    >>> is_there(Path("a" * 10_000))
    False
    """
    try:
        return path.exists()
    except OSError:
        return False


def _safetensors(file: Path) -> dict[str, Tensor]:
    from safetensors.torch import load_file

    return load_file(file)


def _npz(file: Path) -> dict[str, Tensor]:
    with file.open("rb") as opened, np.load(opened, allow_pickle=False) as stored:
        return {name: torch.from_numpy(stored[name]) for name in stored.files}


def _state_dict(file: Path) -> dict[str, Tensor]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what torch remarks on a damaged pickle is said in the error
            found: Any = torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise UserError(
            f"{file} holds more than tensors, and reading it would run its code, or it is damaged; "
            "where you trust it, save its state_dict alone: torch.save(net.state_dict(), path)"
        ) from None
    for key in WRAPPERS:
        if isinstance(found, Mapping) and isinstance(found.get(key), Mapping):
            found = found[key]
    if not isinstance(found, Mapping):
        raise UserError(f"{file} holds a {type(found).__name__}; save the state_dict of the network instead")
    return {str(name): value for name, value in found.items() if isinstance(value, Tensor)}


def _damaged(file: Path, problem: Exception) -> UserError:
    reason = (str(problem).strip().splitlines() or [type(problem).__name__])[0]
    return UserError(
        f"{file} cannot be read ({reason}); it is damaged or not what its name says: copy it again"
    )
