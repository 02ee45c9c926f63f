"""The state of a run, written so that the run can go on bit for bit after a kill at any moment.

One safetensors file: the tensors of network, optimiser, averaged weights and best weights under their own
prefixes, and one JSON document with the position in the epoch and everything that is a number. Random states
need no place in it: every random choice is a function of the seed and the step (`core/seeds.py`).
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from convscope.core.atomic import write_bytes
from convscope.core.errors import UserError

if TYPE_CHECKING:
    from convscope.training.pytorch.ema import Ema

FILE_NAME = "checkpoint.safetensors"


@dataclass
class Progress:
    """Where a run is. Everything here is plain JSON.

    `epoch`, `batch`: the next batch to train on. `loss_sum`, `score_sum`, `seen`: sums over the images of
    this epoch so far, and `epoch_seconds` its time. `best_score`, `best_epoch`: the best validation score
    yet, None before there is one, and when it was reached. `losses`: validation losses, one an epoch.
    `seconds`: spent on finished epochs. `environment`: what must be equal for a bit-for-bit continuation.
    `scaler`: the float16 loss scale.
    """

    epoch: int = 0
    batch: int = 0
    loss_sum: float = 0.0
    score_sum: float = 0.0
    seen: int = 0
    best_score: float | None = None
    best_epoch: int = 0
    losses: list[float] = field(default_factory=list)
    epoch_seconds: float = 0.0
    seconds: float = 0.0
    environment: dict[str, Any] = field(default_factory=dict)
    scaler: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Progress:
        """The progress that a checkpoint holds, also one of version 0.1, whose score was the accuracy.

        >>> Progress.from_dict({"correct": 61.0, "best_score": -1.0}) == Progress(score_sum=61.0)
        True
        """
        current = {**values}
        if "correct" in current:
            current["score_sum"] = current.pop("correct")
            # An accuracy is never negative: -1 stood for none yet.
            current["best_score"] = None if current["best_score"] < 0 else current["best_score"]
        return cls(**current)


@dataclass
class State:
    """The moving parts of a run: what a checkpoint holds.

    `network`: what is trained, which is a head alone where the rest is not. `best`: its best weights so far,
    by name.
    """

    network: nn.Module
    optimizer: torch.optim.Optimizer
    ema: Ema | None
    scaler: torch.amp.GradScaler
    progress: Progress = field(default_factory=Progress)
    best: dict[str, Tensor] = field(default_factory=dict)


def save_checkpoint(folder: Path, state: State) -> None:
    """Write `folder/checkpoint.safetensors` in one atomic step; a full disk leaves the previous one whole."""
    from safetensors.torch import save

    state.progress.scaler = state.scaler.state_dict()
    tensors = {f"network/{name}": tensor for name, tensor in state.network.state_dict().items()}
    tensors |= {f"best/{name}": tensor for name, tensor in state.best.items()}
    tensors |= {f"ema/{name}": tensor for name, tensor in (state.ema.state() if state.ema else {}).items()}
    # By the number of a parameter: an optimiser knows no names.
    for number, parameter in enumerate(_parameters(state.optimizer)):
        for key, value in state.optimizer.state[parameter].items():
            if value is not None:  # SGD without momentum has an empty buffer
                tensors[f"optimizer/{number}/{key}"] = torch.as_tensor(value)
    # Beside the tensors in one file: one rename puts all of it in place, or none.
    document = json.dumps(asdict(state.progress))
    # safetensors takes dense memory only, and channels-last weights are laid out otherwise.
    flat = {name: tensor.detach().contiguous().cpu() for name, tensor in tensors.items()}
    write_bytes(folder / FILE_NAME, save(flat, metadata={"progress": document}))


def read_progress(folder: Path) -> Progress | None:
    """Where the checkpoint of `folder` stands, without its tensors; None when there is no checkpoint."""
    # The header alone, since the tensors of a large network are gigabytes.
    return _read(folder / FILE_NAME, tensors=False)[0] if (folder / FILE_NAME).is_file() else None


def load_checkpoint(folder: Path, state: State) -> None:
    """Put the checkpoint of `folder` into `state`, in place.

    Raises UserError when it is damaged or of another network.
    """
    progress, tensors = _read(folder / FILE_NAME, tensors=True)
    state.progress = progress
    try:
        state.network.load_state_dict(_under("network/", tensors))
    except RuntimeError:
        raise UserError(
            f"{folder / FILE_NAME} holds weights of another network than the one that is built now; "
            "give back the file it was made from, or train without --resume to start a new run"
        ) from None
    # Weights are read into the network in place, the best ones lie beside it.
    device = next(state.network.parameters()).device
    state.best = {name: tensor.to(device) for name, tensor in _under("best/", tensors).items()}
    if state.ema:
        state.ema.restore(_under("ema/", tensors))
    # A scaler that is off has an empty state, and refuses it.
    if state.scaler.is_enabled():
        state.scaler.load_state_dict(state.progress.scaler)
    for number, parameter in enumerate(_parameters(state.optimizer)):
        for key, value in _under(f"optimizer/{number}/", tensors).items():
            state.optimizer.state[parameter][key] = _like(parameter, value)


def _read(path: Path, *, tensors: bool) -> tuple[Progress, dict[str, Tensor]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            progress = Progress.from_dict(json.loads(file.metadata()["progress"]))
            return progress, {name: file.get_tensor(name) for name in file.keys()} if tensors else {}  # noqa: SIM118
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path} is damaged ({error}); train without --resume to start a new run") from None


def _parameters(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _like(parameter: Tensor, value: Tensor) -> Tensor:
    """The value in the memory layout of its parameter: fused optimisers walk both in step."""
    if value.shape != parameter.shape:
        return value
    return torch.empty_like(parameter).copy_(value)
