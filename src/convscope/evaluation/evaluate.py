"""The verb: a trained network against a split of its own data, or against other data with the same classes."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from convscope.core.atomic import make_folder, write_json
from convscope.core.bundle import Bundle, find_bundle
from convscope.core.contracts import Dataset, Progress, Tell
from convscope.core.decision import Decision
from convscope.core.errors import UserError
from convscope.data.part import Part, prepare_part
from convscope.data.preprocess import Preprocess
from convscope.data.source import Source, open_source
from convscope.data.split import from_record
from convscope.evaluation.classifier import Classifier
from convscope.evaluation.figures import save_figure
from convscope.evaluation.findings import Findings
from convscope.evaluation.load import classifier_of
from convscope.evaluation.metrics import ClassificationMetrics
from convscope.evaluation.predict import predict_part
from convscope.evaluation.results import write_results, write_sureness
from convscope.evaluation.robustness import Robustness, sample
from convscope.evaluation.robustness import robustness as measure_robustness
from convscope.evaluation.robustness_figure import robustness_figure

if TYPE_CHECKING:
    from torch import nn

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What one evaluation found, what it was measured on, and the folder with predictions and pictures.

    `part`: the n images with their labels; `logits`: the answers, n×K, of `classifier`, the network of `bundle`.
    `robustness`: where it was asked for.
    """

    findings: Findings
    data: str
    split: str
    folder: Path
    part: Part
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
    validation or train; of other data that are not split, all images count. `model`: for a network of one's own, as
    in `load`. `out`: a folder, else `evaluation/` in the run folder, or `evaluation_<data>/` for other data.
    `robustness`: also measure a sample of 1,000 images (200 photographs), drawn by seed, under every corruption.
    `tell(what, done, total)` is called as work goes on.

    Raises UserError where the run, the data or the classes do not fit.

    >>> evaluate("artifacts/torch_small_cnn_fashion_mnist").metrics.top1  # doctest: +SKIP
    0.929
    """
    if split not in SPLITS:
        raise UserError(f"there is no split {split!r}; allowed: {', '.join(SPLITS)}")
    path = find_bundle(Path(run))
    bundle = Bundle.load(path)
    classifier = classifier_of(bundle, model)
    name, split, part = open_part(bundle, path.parent, data, split=split, tell=tell)
    own = path.parent / ("evaluation" if data is None else f"evaluation_{name}")
    folder = make_folder(Path(out) if out else own)  # before the work: where it cannot be made, nothing is waited for
    logits = predict_part(classifier, part, progress=lambda done, total: tell("predict", done, total) if tell else None)
    found = write_results(folder, split, part, logits=logits, classes=bundle.classes, decision=bundle.decision)
    write_sureness(folder, split, found, logits=logits, labels=part.labels, decision=bundle.decision)
    result = Evaluation(found, name, split, folder, part, logits, bundle, classifier)
    return replace(result, robustness=_robustness(result, tell)) if robustness else result


def _robustness(result: Evaluation, tell: Tell | None) -> Robustness:
    seed = result.bundle.seed
    measured = measure_robustness(result.classifier, *sample(result.part, seed=seed), seed=seed, tell=tell)
    write_json(result.folder / f"{result.split}_robustness.json", measured.to_dict())
    save_figure(robustness_figure(measured), result.folder / f"{result.split}_robustness.png")
    return measured


def open_part(
    bundle: Bundle, folder: Path, data: str | Path | None = None, *, split: str, tell: Tell | None = None
) -> tuple[str, str, Part]:
    """The images of a split as the network of a bundle takes them: the name of the data, what part of it, the images.

    `folder`: where the run lies. `data`, `split` and `tell` as in `evaluate`, and so are the errors.
    """
    name, split, dataset = open_images(bundle, folder, data, split=split)
    return name, split, _part(dataset, bundle, lambda done, total: tell("decode", done, total) if tell else None)


def open_images(bundle: Bundle, folder: Path, data: str | Path | None, *, split: str) -> tuple[str, str, Dataset]:
    """The name of the data, what part of it, and the images that are meant, not yet decoded; see `open_part`."""
    if data is not None:
        source = open_source(data)
        if len(source.splits) == 1:
            return source.name, "all", source.open(source.split_names[0])
        return source.name, split, source.open(split)
    source = source_of(bundle)
    return source.name, split, _split_of_run(source, folder / "split.json", split)


def source_of(bundle: Bundle) -> Source:
    """The data that a network was trained on; UserError where the bundle does not say, or they are not there."""
    try:
        return open_source(bundle.provenance["config"]["data"]["source"])
    except (KeyError, TypeError):
        raise UserError("the bundle does not say what data it was trained on; name the images with --data") from None


def _split_of_run(source: Source, record: Path, split: str) -> Dataset:
    if record.is_file():
        try:
            splits = from_record(source, json.loads(record.read_text(encoding="utf-8")))
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(f"{record} is damaged ({error}); name the images with --data") from None
        return (
            splits.open_test() if split == "test" else {"train": splits.train, "validation": splits.validation}[split]
        )
    if split in source.splits and split == "test":
        return source.open(split)
    raise UserError(f"{record} is missing, so nobody knows which images were {split}; name them with --data")


def _part(dataset: Dataset, bundle: Bundle, progress: Progress) -> Part:
    """The images prepared as the bundle says, their labels counted in its classes."""
    part = prepare_part(dataset, Preprocess.from_dict(bundle.preprocess), progress=progress)
    if dataset.classes == bundle.classes:
        return part
    unknown = sorted(set(dataset.classes) - set(bundle.classes))
    if unknown:
        raise UserError(
            f"the data has classes that the network does not know: {', '.join(unknown[:5])}; "
            f"it knows {', '.join(bundle.classes[:10])}{'…' if len(bundle.classes) > 10 else ''}"
        )
    place = np.array([bundle.classes.index(name) for name in dataset.classes])
    return part.relabelled(place)
