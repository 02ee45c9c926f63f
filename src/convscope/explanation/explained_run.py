"""A run as the views need it: the opened run, and the torch network in it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from convscope.core.contracts import Tell
from convscope.explanation.explained_model import ExplainedModel
from convscope.inference.opened_run import OpenedRun, open_run

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, eq=False)
class ExplainedRun(OpenedRun):
    """An opened run with its network to look into."""

    @cached_property
    def explained_model(self) -> ExplainedModel:
        """What is looked into."""
        return ExplainedModel.of(self.classifier)

    @property
    def network(self) -> nn.Module:
        """The network itself."""
        return self.explained_model.torch_network()

    @property
    def dummy_input(self) -> Tensor:
        """One image 1×C×H×W of zeros, as the network takes them."""
        height, width, channels = self.explained_model.preprocess.shape
        return torch.zeros_like(self.explained_model.inputs(np.zeros((1, height, width, channels), np.uint8)))

    @classmethod
    def of(cls, run: OpenedRun) -> ExplainedRun:
        """The same run, to look into."""
        return cls(run.bundle, run.folder, run.classifier, run.data, run.tell)


def open_explained_run(
    run: str | Path,
    *,
    data: str | Path | None = None,
    model: str | nn.Module | type[nn.Module] | None = None,
    tell: Tell | None = None,
) -> ExplainedRun:
    """`open_run`, to look into."""
    return ExplainedRun.of(open_run(run, data=data, model=model, tell=tell))
