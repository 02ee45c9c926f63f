"""What a report is made from: one evaluation, the network that was evaluated, and the run folder beside
it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from convscope.core.bundle import Bundle
from convscope.evaluation.evaluate import Evaluation
from convscope.explanation.explained_model import ExplainedModel
from convscope.explanation.explained_run import ExplainedRun
from convscope.tasks.classification.evaluation_result import EvaluationResult


@dataclass(frozen=True, eq=False)
class Evidence:
    """What is known: `evaluation` holds images, labels and logits n×K, `run` the network and its folder."""

    evaluation: Evaluation
    run: ExplainedRun

    @property
    def bundle(self) -> Bundle:
        """The network as it is on disk."""
        return self.run.bundle

    @property
    def findings(self) -> EvaluationResult:
        """What the evaluation found."""
        return self.evaluation.findings

    @property
    def labels(self) -> NDArray[np.int64]:
        """The n labels."""
        return self.evaluation.part.targets

    @property
    def logits(self) -> NDArray[np.float32]:
        """The answers of the network, n×K."""
        return self.evaluation.logits

    @property
    def classes(self) -> tuple[str, ...]:
        """The K names."""
        return self.bundle.classes

    @property
    def explained_model(self) -> ExplainedModel:
        """The network to look into."""
        return self.run.explained_model

    def tell(self, what: str, done: int, total: int) -> None:
        """Show progress, where anybody wants to see it."""
        if self.run.tell:
            self.run.tell(what, done, total)

    def images(self, positions: NDArray[np.int64] | list[int]) -> NDArray[np.uint8]:
        """The prepared images at some positions, uint8 n×H×W×C."""
        return self.evaluation.part.take(np.asarray(positions, np.int64))
