"""The verb: everything about a run on one page."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from convscope.core.atomic import write_text
from convscope.core.bundle import find_bundle
from convscope.core.contracts import Tell
from convscope.evaluation.evaluate import Evaluation, evaluate
from convscope.explanation.explained_run import ExplainedRun
from convscope.report.contents import SECTIONS
from convscope.report.evidence import Evidence
from convscope.report.page import page

if TYPE_CHECKING:
    from torch import nn

REPORT_FILE = "report.html"


@dataclass(frozen=True)
class Report:
    """A page on disk, and the evaluation that it shows."""

    path: Path
    evaluation: Evaluation

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {"report": str(self.path)} | self.evaluation.to_dict()


def write_report(
    run: str | Path,
    data: str | Path | None = None,
    *,
    split: str = "test",
    model: str | nn.Module | type[nn.Module] | None = None,
    out: str | Path | None = None,
    tell: Tell | None = None,
) -> Report:
    """Evaluate `run` and write `<split>_report.html` beside the other files of the evaluation.

    One file of HTML that opens without a server and without the internet. The words are those of `evaluate`;
    so are the errors.

    >>> write_report("artifacts/torch_small_cnn_fashion_mnist").path  # doctest: +SKIP
    PosixPath('artifacts/torch_small_cnn_fashion_mnist/evaluation/test_report.html')
    """
    evaluation = evaluate(run, data, split=split, model=model, out=out, robustness=True, tell=tell)
    opened = ExplainedRun(evaluation.bundle, find_bundle(Path(run)).parent, evaluation.classifier, data, tell)
    evidence = Evidence(evaluation, opened)
    title = f"{evidence.bundle.model['name']} on {evaluation.data}"
    path = evaluation.folder / f"{evaluation.split}_{REPORT_FILE}"
    write_text(path, page(evidence, SECTIONS, title=title))
    return Report(path, evaluation)
