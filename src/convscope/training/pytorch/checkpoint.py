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

    `epoch`, `batch`: the next batch to train on. `loss_sum`, `correct`, `seen`: sums over this epoch so far,
    and `epoch_seconds` its time. `best_score`, `best_epoch`: the best validation accuracy yet, and when.
    `losses`: validation losses, one an epoch. `seconds`: spent on finished epochs. `environment`: what must
    be equal for a bit-for-bit continuation. `scaler`: the float16 loss scale.
    """

    epoch: int = 0
    batch: int = 0
    loss_sum: float = 0.0
    correct: float = 0.0
    seen: int = 0
    best_score: float = -1.0
    best_epoch: int = 0
    losses: list[float] = field(default_factory=list)
    epoch_seconds: float = 0.0
    seconds: float = 0.0
    environment: dict[str, Any] = field(default_factory=dict)
    scaler: dict[str, Any] = field(default_factory=dict)


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
    for number, parameter in enumerate(_parameters(state.optimizer)):
        for key, value in state.optimizer.state[parameter].items():
            if value is not None:
                tensors[f"optimizer/{number}/{key}"] = torch.as_tensor(value)
    document = json.dumps(asdict(state.progress))
    flat = {name: tensor.detach().contiguous().cpu() for name, tensor in tensors.items()}
    write_bytes(folder / FILE_NAME, save(flat, metadata={"progress": document}))


def read_progress(folder: Path) -> Progress | None:
    """Where the checkpoint of `folder` stands, without its tensors; None when there is no checkpoint."""
    return _read(folder / FILE_NAME, tensors=False)[0] if (folder / FILE_NAME).is_file() else None


def load_checkpoint(folder: Path, state: State) -> None:
    """Put the checkpoint of `folder` into `state`, in place; UserError when it is damaged or of another
    network.
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
    device = next(state.network.parameters()).device
    state.best = {name: tensor.to(device) for name, tensor in _under("best/", tensors).items()}
    if state.ema:
        state.ema.restore(_under("ema/", tensors))
    if state.scaler.is_enabled():
        state.scaler.load_state_dict(state.progress.scaler)
    for number, parameter in enumerate(_parameters(state.optimizer)):
        for key, value in _under(f"optimizer/{number}/", tensors).items():
            state.optimizer.state[parameter][key] = _like(parameter, value)


def _read(path: Path, *, tensors: bool) -> tuple[Progress, dict[str, Tensor]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            progress = Progress(**json.loads(file.metadata()["progress"]))
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
