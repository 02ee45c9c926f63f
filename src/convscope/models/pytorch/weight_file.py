"""Tensors by name from a safetensors, npz or state_dict file. Nothing in a file is ever run."""

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
from convscope.models.references import is_there

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
    # A flipped bit in a zip or a pickle fails in a dozen ways, from zlib.error to KeyError.
    except Exception as problem:
        raise _damaged(file, problem) from None
    if not tensors:
        raise UserError(f"{file} holds no tensors by name; give a file with a network's weights")
    return tensors


def tensor_bytes(value: Tensor) -> memoryview:
    """The bytes of a tensor of any type, row after row."""
    # NumPy has no bfloat16, so a tensor is read as bytes before it becomes an array.
    return value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data


def _safetensors(file: Path) -> dict[str, Tensor]:
    from safetensors.torch import load_file

    return load_file(file)


def _npz(file: Path) -> dict[str, Tensor]:
    with file.open("rb") as opened, np.load(opened, allow_pickle=False) as stored:
        return {name: torch.from_numpy(stored[name]) for name in stored.files}


def _state_dict(file: Path) -> dict[str, Tensor]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the error says what torch warns of
            content: Any = torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise UserError(
            f"{file} holds more than tensors, and reading it would run its code, or it is damaged; "
            "where you trust it, save its state_dict alone: torch.save(net.state_dict(), path)"
        ) from None
    for key in WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if not isinstance(content, Mapping):
        raise UserError(
            f"{file} holds a {type(content).__name__}; save the state_dict of the network instead"
        )
    return {str(name): value for name, value in content.items() if isinstance(value, Tensor)}


def _damaged(file: Path, problem: Exception) -> UserError:
    reason = (str(problem).strip().splitlines() or [type(problem).__name__])[0]
    return UserError(
        f"{file} cannot be read ({reason}); it is damaged or not what its name says: copy it again"
    )
