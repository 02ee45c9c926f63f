"""The one place that decides how torch computes: device, number type, threads, memory, random state."""

from __future__ import annotations

import ctypes
import random
import sys
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch

from convscope.core.errors import UserError, unknown_name
from convscope.core.seeds import derive

PRECISIONS = ("float32", "bfloat16", "float16")


@dataclass(frozen=True)
class Device:
    """A device and, in words to print, why it was taken."""

    device: torch.device
    reason: str


def choose_device(wish: str = "auto") -> Device:
    """The device to compute on: MPS, else CUDA, else the CPU, or the `wish`: "cpu", "cuda" or "mps".

    UserError where the device of the wish is not there.

    >>> choose_device("cpu").device
    device(type='cpu')
    """
    # The order is that of `auto`: on a Mac with MPS there is no CUDA, and a CPU is always there.
    there = {"mps": torch.backends.mps.is_available(), "cuda": torch.cuda.is_available(), "cpu": True}
    if wish != "auto" and wish not in there:
        raise unknown_name("device", wish, ("auto", *there))
    present = [name for name, is_there in there.items() if is_there]
    if wish == "auto":
        kind, reason = present[0], _why_first(present)
    elif there[wish]:
        kind, reason = wish, "asked for"
    else:
        raise UserError(
            f"device {wish!r} was asked for and this torch finds none; there is: {', '.join(present)}, "
            "or use auto"
        )
    name = f" ({torch.cuda.get_device_name()})" if kind == "cuda" else ""
    return Device(torch.device(kind), f"{kind}{name}: {reason}")


def _why_first(present: list[str]) -> str:
    if present == ["cpu"]:
        return "no MPS or CUDA device is there"
    return "the first there of MPS, CUDA and CPU"


def choose_precision(wish: str, device: torch.device) -> tuple[str, str]:
    """The number type for the forward pass, and why; "auto" is bfloat16 where the hardware computes in it.

    It depends on the hardware alone and is never timed, so that the same machine always chooses the same.
    bfloat16 with channels-last made a ResNet-20 step 2.6 times as fast as float32 on a CPU with AMX.

    Args:
        wish: "auto", "float32", "bfloat16" or "float16".
        device: to compute on.

    Returns:
        The number type's name, and the reason in words.

    Raises:
        UserError: an unknown number type, or float16 on a CPU.

    >>> choose_precision("float32", torch.device("cpu"))
    ('float32', 'asked for')
    """
    if wish == "auto":
        return _best_precision(device)
    if wish not in PRECISIONS:
        raise unknown_name("precision", wish, ("auto", *PRECISIONS))
    if wish == "float16" and device.type == "cpu":
        raise UserError(
            "float16 was asked for on a CPU, which has no fast one; use bfloat16, float32 or auto"
        )
    return wish, "asked for"


def _best_precision(device: torch.device) -> tuple[str, str]:
    if device.type == "cuda":
        # Ampere, 8.0, is the first with bfloat16; torch emulates it on older cards, at a crawl.
        major, minor = torch.cuda.get_device_capability(device)
        chosen = "bfloat16" if major >= 8 else "float16"
        return chosen, f"CUDA capability {major}.{minor}; bfloat16 begins at 8.0"
    if device.type == "cpu":
        capabilities = torch.cpu.get_capabilities()
        native = [name for name in ("amx_bf16", "avx512_bf16") if capabilities.get(name)]
        if native:
            return "bfloat16", f"this CPU computes in it ({native[0]})"
        return "float32", "this CPU has neither amx_bf16 nor avx512_bf16"
    return "float32", f"the safe choice on {device.type}"


def autocast(precision: str, device: torch.device) -> AbstractContextManager[object]:
    """A context in which convolutions and matrix products compute in `precision`; nothing at all for float32.

    >>> with autocast("bfloat16", torch.device("cpu")):
    ...     (torch.ones(1, 2) @ torch.ones(2, 1)).dtype
    torch.bfloat16
    """
    if precision not in PRECISIONS:
        raise unknown_name("precision", precision, PRECISIONS)
    return (
        nullcontext()
        if precision == "float32"
        else torch.autocast(device.type, dtype=getattr(torch, precision))
    )


def set_threads(count: int | None = None) -> int:
    """Let torch use `count` threads on the CPU, or as many as it wants for None; gives how many it uses now.

    Every thread computes in memory, so this also calls `keep_freed_memory`.
    """
    keep_freed_memory()
    if count is not None:
        if count < 1:
            raise UserError(
                f"threads={count} was given; give 1 or more, or leave it out for torch's own choice"
            )
        torch.set_num_threads(count)
    return torch.get_num_threads()


def keep_freed_memory() -> bool:
    """Let the process keep memory that tensors gave back, ready for the next ones; was that possible?

    A training step allocates the same few large blocks as the step before. By default glibc hands each back
    to the kernel, which then zeroes it page by page for the next step: without that, a step of `small_cnn`
    took 39 ms in place of 62 to 66 (bfloat16, batch 128, 1 thread), at the same peak memory. Only glibc can
    be told so; False elsewhere.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is None:
        return False
    # M_TRIM_THRESHOLD and M_MMAP_THRESHOLD of malloc.h, in bytes: never trim, and map no block apart.
    return bool(mallopt(-1, 2**31 - 1)) and bool(mallopt(-3, 2**31 - 1))


def seed_everything(seed: int) -> None:
    """Set every global random state (Python, NumPy, torch on all devices) from one seed; 0 or more.

    Each gets its own number, derived from the seed, so that no two of them run in step.
    """
    import numpy as np

    if seed < 0:
        raise UserError(f"seed {seed} was given; give 0 or more")
    # A number each: with the same one, NumPy's and torch's draws would be correlated.
    random.seed(derive(seed, "python"))
    np.random.seed(derive(seed, "numpy") % 2**32)  # NumPy's global state takes 32 bits
    torch.manual_seed(derive(seed, "torch"))
