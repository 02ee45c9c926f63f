"""Images of another kind: how many of them each score of how sure an answer is would have answered *unknown*.

    python benchmarks/unknown.py DIGITS RUN [RUN ...]

RUN: finished runs of Fashion-MNIST, several seeds if there are. DIGITS: MNIST, whose test images are no
clothes. The threshold of every score is fitted twice: on validation images, as training does, and on the
run's own test images, so that exactly 95 % of those keep their answer. A score is better the more digits it
leaves failed_prediction, and the fewer errors are among the answers that it keeps.

probability and energy are what a Decision offers. The others need no more than logits, but for the last,
which looks at the maps before the head:

* largest logit, and GEN (Liu and others 2023), a generalised entropy of the probabilities;
* likeness: the cosine of the angle between an image's logits and those of the validation image that is most
  alike (after Sun and others 2022, arXiv 2204.06507, who look at features);
* Gaussians: of each answered class, one over the directions of its validation images' logits;
* Mahalanobis (Lee and others 2018, arXiv 1807.03888): the distance of mean features from the nearest class.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from convscope.core.bundle import Bundle
from convscope.core.decision import Decision
from convscope.data.preparing.prepared_split import PreparedSplit, prepare_split
from convscope.data.preparing.preprocess import Preprocess
from convscope.data.source import open_source
from convscope.explanation.explained_model import ExplainedModel
from convscope.inference.classifier import Classifier
from convscope.inference.load import predictor_of
from convscope.inference.predict_split import predict_split
from convscope.inference.run_data import open_prepared
from convscope.tasks.classification.calibration import fit_temperature
from convscope.tasks.classification.selective import risk_coverage
from record import record

COVERAGE = 0.95
Numbers: TypeAlias = NDArray[np.floating[Any]]
Scored: TypeAlias = tuple[Numbers, Numbers, Numbers]
"""Scores of validation, test and foreign images."""


def from_logits(validation: Numbers, labels: NDArray[np.int64]) -> dict[str, Callable[[Numbers], Numbers]]:
    """Scores of logits N×K, larger is surer; what they know comes from validation images."""
    temperature = fit_temperature(validation.astype(np.float32), labels)
    probabilities = Decision(temperature).probabilities

    def gen(z: Numbers) -> Numbers:
        p = probabilities(z)
        return -((p * (1 - p)) ** 0.1).sum(axis=1)

    return {
        "probability without temperature": Decision().scores,
        "probability": Decision(temperature).scores,
        "energy": Decision(score="energy").scores,
        "largest logit": lambda z: z.max(axis=1),
        "GEN": gen,
        "Gaussians of directions": gaussians(validation),
    }


def directions(logits: Numbers) -> Numbers:
    """Logits N×K, scaled to length 1: what is more likely than what, without how large it is all together."""
    return logits / np.linalg.norm(logits, axis=1, keepdims=True)


def likeness(validation: Numbers, *others: Numbers) -> list[Numbers]:
    """The largest cosine with any validation image, of the validation images (each without itself) and of
    others.
    """
    known = directions(validation)
    own = known @ known.T
    np.fill_diagonal(own, -np.inf)
    return [own.max(axis=1), *((directions(z) @ known.T).max(axis=1) for z in others)]


def gaussians(validation: Numbers) -> Callable[[Numbers], Numbers]:
    """The largest log density over the answered classes, each covariance drawn a tenth towards the common
    one.
    """
    x, answers = directions(validation - validation.mean(axis=1, keepdims=True)), validation.argmax(axis=1)
    k = validation.shape[1]
    means = np.stack([x[answers == c].mean(axis=0) for c in range(k)])
    common = np.cov((x - means[answers]).T)
    ridge = 1e-3 * np.trace(common) / k * np.eye(k)
    covariances = [0.9 * np.cov(x[answers == c].T) + 0.1 * common + ridge for c in range(k)]

    def score(z: Numbers) -> Numbers:
        at = directions(z - z.mean(axis=1, keepdims=True))
        away = [
            np.einsum("ni,ij,nj->n", at - m, np.linalg.inv(c), at - m) + np.linalg.slogdet(c)[1]
            for m, c in zip(means, covariances, strict=True)
        ]
        return -np.min(away, axis=0)

    return score


def mahalanobis(classifier: Classifier, validation: PreparedSplit, *others: PreparedSplit) -> list[Numbers]:
    """Minus the squared distance of mean features from the nearest class, in units of the spread within
    classes.
    """
    model = ExplainedModel.of(classifier)

    def features(part: PreparedSplit) -> Numbers:
        with torch.inference_mode():
            maps = (
                list(classifier.predictor.network.features(torch.from_numpy(model.inputs(x))).values())[-1]
                for x in part.batches(256)
            )
            return np.concatenate([one.mean(dim=(2, 3)).numpy() for one in maps]).astype(np.float64)

    known = features(validation)
    means = np.stack([known[validation.targets == c].mean(axis=0) for c in range(len(classifier.classes))])
    spread = np.cov((known - means[validation.targets]).T)
    precision = np.linalg.inv(spread + 1e-3 * np.trace(spread) / len(spread) * np.eye(len(spread)))

    def score(x: Numbers) -> Numbers:
        return -np.min([np.einsum("ni,ij,nj->n", x - m, precision, x - m) for m in means], axis=0)

    return [score(known), *(score(features(part)) for part in others)]


def measure(run: Path, digits: str) -> list[dict[str, Any]]:
    """A row for each score."""
    bundle = Bundle.load(run)
    classifier = predictor_of(bundle, device="cpu")
    parts = [open_prepared(bundle, run, split=split)[2] for split in ("validation", "test")]
    parts.append(prepare_split(open_source(digits).open("test"), Preprocess.from_dict(bundle.preprocess)))
    validation, test, foreign = (predict_split(classifier, part).astype(np.float64) for part in parts)
    scored: dict[str, Scored] = {
        name: (score(validation), score(test), score(foreign))
        for name, score in from_logits(validation, parts[0].targets).items()
    }
    for name, values in (
        ("likeness", likeness(validation, test, foreign)),
        ("Mahalanobis (features)", mahalanobis(classifier, *parts)),
    ):
        scored[name] = (values[0], values[1], values[2])
    right = test.argmax(axis=1) == parts[1].targets
    return [{"run": run.name, "score": name, **figures(values, right)} for name, values in scored.items()]


def figures(scored: Scored, right: NDArray[np.bool_]) -> dict[str, float]:
    """What the two thresholds do; every figure is a share."""
    validation, test, foreign = scored
    fitted, own = (np.sort(s)[int((1 - COVERAGE) * len(s) + 1e-9)] for s in (validation, test))
    return {
        "test_kept": float((test >= fitted).mean()),
        "foreign_unknown": float((foreign < fitted).mean()),
        "errors_kept": float((~right[test >= fitted]).mean()),
        "foreign_unknown_at_own_95": float((foreign < own).mean()),
        "errors_kept_at_own_95": float((~right[test >= own]).mean()),
        "aurc": risk_coverage(test, right).aurc,
    }


def summary(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Mean and deviation over the runs, a row for each score, the best first."""
    found = []
    for score in dict.fromkeys(row["score"] for row in rows):
        own = [row for row in rows if row["score"] == score]
        shares = [row["foreign_unknown_at_own_95"] for row in own]
        means = {
            key: statistics.fmean(row[key] for row in own) for key in own[0] if key not in {"run", "score"}
        }
        sd = statistics.stdev(shares) if len(shares) > 1 else None
        found.append({"score": score, "n": len(own), **means, "foreign_unknown_at_own_95_sd": sd})
    return sorted(found, key=lambda row: -row["foreign_unknown_at_own_95"])


def main(digits: str, *runs: str) -> None:
    """Measure and record."""
    rows = [row for run in runs for row in measure(Path(run), digits)]
    table = summary(rows)
    share = {row["score"]: row["foreign_unknown_at_own_95"] for row in table}
    told = ", ".join(f"{name} {share[name]:.1%}" for name in ("energy", "probability"))
    told += f"; likeness of logits, which is no score of the package yet, {share['likeness']:.1%}"
    headline = [
        {
            "what": "MNIST digits answered unknown by a Fashion-MNIST network, at 95 % coverage of its own "
            "test images",
            "measured": f"{told} (n = {len(runs)}, mean)",
            "reach": "≥ 90 %, or a table of all scores",
        }
    ]
    record("unknown", {"rows": rows, "table": table, "headline": headline})
    for row in table:
        print(row)


if __name__ == "__main__":
    main(*sys.argv[1:])
