"""The rows of the history as TensorBoard curves, for those who have it; the JSON lines are written in any
case.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from convscope.core.errors import UserError


def check_tensorboard() -> None:
    """UserError where the tensorboard package is missing; it is not imported."""
    # Importing it would take a second, and nobody needs it before the first epoch is over.
    if find_spec("tensorboard") is None:
        raise UserError(
            "train.tensorboard needs the package tensorboard, which is not installed; "
            "install it with: pip install tensorboard, or leave train.tensorboard off"
        )


class TensorBoard:
    """A writer of event files in `folder`; one curve for each number of a row, over the epochs."""

    def __init__(self, folder: Path | str, *, epoch: int = 0) -> None:
        """`epoch`: the first that will be written; curves of a resumed run lose what they had from there on.

        Raises UserError where the tensorboard package is missing.
        """
        check_tensorboard()
        from torch.utils.tensorboard import SummaryWriter

        # TensorBoard hides what a killed run wrote from that step on.
        self._writer: Any = SummaryWriter(str(folder), purge_step=epoch or None)

    def write(self, row: Mapping[str, Any]) -> None:
        """Add the numbers of one history row, at the step `row["epoch"]`, and hand them to the operating
        system.
        """
        for name, value in row.items():
            if name != "epoch" and isinstance(value, int | float) and not isinstance(value, bool):
                self._writer.add_scalar(name, value, global_step=row["epoch"])
        self._writer.flush()

    def close(self) -> None:
        """Finish the event file."""
        self._writer.close()
