"""The verb: a trained network against a split of its own data, or against other data with the same
classes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from convscope.core.atomic import make_folder, write_json
from convscope.core.bundle import Bundle, find_bundle
from convscope.core.contracts import Tell
from convscope.core.decision import Decision
from convscope.core.errors import UserError
from convscope.core.plotting import save_figure
from convscope.data.preparing.prepared_split import PreparedSplit
from convscope.evaluation.robustness.measure import Robustness, sample
from convscope.evaluation.robustness.measure import robustness as measure_robustness
from convscope.evaluation.robustness.plot import robustness_figure
from convscope.inference.classifier import Classifier
from convscope.inference.load import classifier_of
from convscope.inference.predict_split import predict_split
from convscope.inference.run_data import open_prepared
from convscope.tasks.classification.evaluation_result import EvaluationResult
from convscope.tasks.classification.metrics import ClassificationMetrics
from convscope.tasks.classification.result_files import write_confidence_plots, write_results

if TYPE_CHECKING:
    from torch import nn

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What one evaluation found, what it was measured on, and the folder with predictions and pictures.

    `part`: the n images with their labels; `logits`: the answers, n×K, of `classifier`, the network of
    `bundle`. `robustness`: where it was asked for.
    """

    findings: EvaluationResult
    data: str
    split: str
    folder: Path
    part: PreparedSplit
    logits: NDArray[np.float32]
    bundle: Bundle
    classifier: Classifier
    robustness: Robustness | None = None

    @property
    def decision(self) -> Decision:
        """What makes probabilities of the logits."""
        return self.bundle.decision

    @property
    def metrics(self) -> ClassificationMetrics:
        """The figures as they are counted, without intervals."""
        return self.findings.metrics

    @property
    def failed(self) -> tuple[tuple[str, str], ...]:
        """(name, reason) of images that cannot be read and are in no figure."""
        return self.part.failed

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types: the figures, and what they were measured on."""
        around: dict[str, Any] = {"data": self.data, "split": self.split, "folder": str(self.folder)}
        if self.robustness is not None:
            around["robustness"] = self.robustness.to_dict()
        return around | {"failed": [list(entry) for entry in self.failed]} | self.findings.to_dict()


def evaluate(
    run: str | Path,
    data: str | Path | None = None,
    *,
    split: str = "test",
    model: str | nn.Module | type[nn.Module] | None = None,
    out: str | Path | None = None,
    robustness: bool = False,
    tell: Tell | None = None,
) -> Evaluation:
    """Measure the network of `run` and write figures, predictions and pictures to `out`.

    `data`: other images with the same class names, by name or path; left out, the run's own. `split`: test,
    validation or train; of other data that are not split, all images count. `model`: for a network of one's
    own, as in `load`. `out`: a folder, else `evaluation/` in the run folder, or `evaluation_<data>/` for
    other data. `robustness`: also measure a sample of 1,000 images (200 photographs), drawn by seed, under
    every corruption. `tell(what, done, total)` is called as work goes on.

    Raises UserError where the run, the data or the classes do not fit.

    >>> evaluate("artifacts/torch_small_cnn_fashion_mnist").metrics.top1  # doctest: +SKIP
    0.929
    """
    if split not in SPLITS:
        raise UserError(f"there is no split {split!r}; allowed: {', '.join(SPLITS)}")
    path = find_bundle(Path(run))
    bundle = Bundle.load(path)
    classifier = classifier_of(bundle, model)
    name, split, part = open_prepared(bundle, path.parent, data, split=split, tell=tell)
    own = path.parent / ("evaluation" if data is None else f"evaluation_{name}")
    folder = make_folder(
        Path(out) if out else own
    )  # before the work: where it cannot be made, nothing is waited for
    logits = predict_split(
        classifier, part, progress=lambda done, total: tell("predict", done, total) if tell else None
    )
    found = write_results(
        folder, split, part, logits=logits, classes=bundle.classes, decision=bundle.decision
    )
    write_confidence_plots(folder, split, found, logits=logits, labels=part.targets, decision=bundle.decision)
    result = Evaluation(found, name, split, folder, part, logits, bundle, classifier)
    return replace(result, robustness=_robustness(result, tell)) if robustness else result


def _robustness(result: Evaluation, tell: Tell | None) -> Robustness:
    seed = result.bundle.seed
    measured = measure_robustness(result.classifier, *sample(result.part, seed=seed), seed=seed, tell=tell)
    write_json(result.folder / f"{result.split}_robustness.json", measured.to_dict())
    save_figure(robustness_figure(measured), result.folder / f"{result.split}_robustness.png")
    return measured
