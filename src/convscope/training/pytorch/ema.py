"""An exponential moving average of the weights: often as good as a longer schedule, for one pass a step.

Polyak and Juditsky 1992 (SIAM J. Control Optim. 30); the warm-up of the decay is that of TensorFlow's
ExponentialMovingAverage (2015), min(decay, (1 + t)/(10 + t)), which forgets the random first weights quickly.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from convscope.core.errors import UserError


class Ema:
    """The averaged weights of one network, and its buffers (such as batch-norm statistics) as they were last.

    average ← d·average + (1 − d)·weight, with d = min(decay, (1 + t)/(10 + t)) in update t = 0, 1, …

    >>> network = nn.Linear(1, 1)
    >>> ema = Ema(network, 0.99)
    >>> ema.update(network)
    >>> with ema.swapped(network):
    ...     _ = network(torch.ones(1, 1))  # by the averaged weights
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        """`decay` in (0, 1), near 1; the average starts at the weights of `network`, on their device."""
        if not 0.0 < decay < 1.0:
            raise UserError(f"ema is {decay}; the decay must be above 0 and below 1, such as 0.999")
        self.decay = decay
        self.updates = 0
        self._average = {name: value.clone() for name, value in network.state_dict().items()}
        parameters = {name for name, _ in network.named_parameters(remove_duplicate=False)}
        self._weights = [name for name in self._average if name in parameters]
        self._buffers = [name for name in self._average if name not in parameters]

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        """Take in the weights of `network`, after each step of its optimiser."""
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        self.updates += 1
        live, average = network.state_dict(), self._average
        # One call for all tensors of a kind: a Python loop over them costs as much as the arithmetic.
        torch._foreach_lerp_(
            [average[n] for n in self._weights], [live[n] for n in self._weights], 1.0 - decay
        )
        # Statistics of batch norms are averages already, and counters are whole numbers.
        if self._buffers:
            torch._foreach_copy_([average[n] for n in self._buffers], [live[n] for n in self._buffers])

    def state(self) -> dict[str, Tensor]:
        """What `restore` needs: the average by the names of the network, not copied, and the count."""
        return {**self._average, "updates": torch.tensor(self.updates)}

    @torch.no_grad()
    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go on from what `state` gave; UserError when it is another network's."""
        own = self.state()
        if wrong := sorted(own.keys() ^ state.keys()):
            raise UserError(
                f"the saved average is of another network: {wrong[0]!r} is in one of the two only"
            )
        for name, value in own.items():
            if value.shape != state[name].shape:
                got, need = tuple(state[name].shape), tuple(value.shape)
                raise UserError(
                    f"the saved average is of another network: {name!r} has shape {got}, not {need}"
                )
        _overwrite(self._average, state)
        self.updates = int(state["updates"])

    @contextmanager
    def swapped(self, network: nn.Module) -> Iterator[nn.Module]:
        """Within this context `network` has the averaged weights; after it, bit for bit its own again."""
        own = {name: value.clone() for name, value in network.state_dict().items()}
        # In place: whoever holds the tensors, such as an optimiser, holds the same ones afterwards.
        _overwrite(network.state_dict(), self._average)
        try:
            yield network
        finally:
            _overwrite(network.state_dict(), own)


@torch.no_grad()
def _overwrite(targets: Mapping[str, Tensor], sources: Mapping[str, Tensor]) -> None:
    torch._foreach_copy_(list(targets.values()), [sources[name] for name in targets])
