"""Finds wrong labels: by networks that never saw the image, and by pictures under several labels."""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from convscope.core.atomic import write_json, write_text
from convscope.core.config import RunConfig
from convscope.core.decision import Decision
from convscope.core.errors import UserError
from convscope.core.plotting import save_figure
from convscope.core.provenance import command, hardware, now, versions
from convscope.core.resolved_config import ResolvedConfig
from convscope.core.run.folder import ARTIFACTS, locked, new_folder, run_name, runs_of
from convscope.core.run.progress import Lines, Observer, Silent
from convscope.core.settings import current_settings, flat
from convscope.data.prepare_data import PreparedData, measured, say_unreadable
from convscope.data.preparing.prepared_split import PreparedSplit, prepare_split
from convscope.data.scanning.scan import scan_or_load_cached
from convscope.data.scanning.scan_report import ScanReport
from convscope.data.source import Source
from convscope.label_audit.confident_learning import confident_learning
from convscope.label_audit.label_report import LabelReport, find_conflicts, named_issues
from convscope.label_audit.label_sheet import label_sheet, sheet_rows
from convscope.label_audit.out_of_fold import assign_folds, out_of_fold
from convscope.models.references import is_custom_model
from convscope.training.prepare_run import ResolvedRun, announce, resolve_run

Split = Literal["train", "validation", "test"]

KEY_FILE, TABLE_FILE, REPORT_FILE, SHEET_FILE = "settings.json", "labels.csv", "labels.json", "labels.png"
# For a network from scratch, where the configuration leaves it open. With 5 % of the labels of Fashion-MNIST
# changed, 2, 4 and 8 epochs listed 90.7, 91.4 and 92.1 % of them, with a precision of 63, 70 and 70 % (two of
# five folds).
EPOCHS = 4
# A sheet of 8 × 50 images is about 14,600 pixels tall.
LARGEST_SHEET = 400
# Every image gets a prediction, so that none is held out, quarantined or withheld as uncertain.
WITHOUT_EFFECT = (
    "data.validation",
    "data.test",
    "data.train_fraction",
    "data.quarantine",
    "decision.coverage",
    "decision.score",
)


def find_label_issues(
    data: str | Path,
    *,
    config: RunConfig | None = None,
    split: Split = "train",
    folds: int = 5,
    top: int = 40,
    seed: int | None = None,
    out: str | Path | None = None,
    quiet: bool = False,
) -> LabelReport:
    """Find the images of a data set whose labels are probably wrong; nothing of the data is changed.

    Args:
        data: a name or a path, as for `train`.
        config: as for `train`.
        split: the official split to check; each of its labels is compared with the prediction of a network
            that was trained on the other `folds` − 1 parts of the same split.
        folds: 2 or more.
        top: images on the sheet, 1 to 400.
        seed: as for `train`.
        out: the folder, else `artifacts/labels_<data>`. What was computed there with the same settings and
            data is used again.
        quiet: print nothing.

    Raises:
        UserError: for what cannot be done as asked.
        DivergedError: for a loss that becomes NaN.

    >>> report = find_label_issues("./photos")  # doctest: +SKIP
    >>> report.issues[0].name, report.issues[0].suggested  # doctest: +SKIP
    ('glass/glass12.jpg', 'plastic')
    """
    changes: dict[str, Any] = {"data": {"source": str(data)}} | ({} if seed is None else {"seed": seed})
    config = (config or RunConfig()).merge(changes)
    observer = Silent() if quiet else Lines()
    return check_labels(config, split=split, folds=folds, top=top, out=out, observer=observer)


def check_labels(
    config: RunConfig,
    *,
    split: Split = "train",
    folds: int = 5,
    top: int = 40,
    out: str | Path | None = None,
    observer: Observer | None = None,
) -> LabelReport:
    """`find_label_issues` for a whole configuration, which names the data.

    Args:
        config: data and settings.
        split: the official split to check.
        folds: 2 or more.
        top: images on the sheet, 1 to 400.
        out: the folder, else `artifacts/labels_<data>`.
        observer: is told how it goes.
    """
    if not 1 <= top <= LARGEST_SHEET:
        raise UserError(
            f"--top {top} was given; the sheet shows 1 to {LARGEST_SHEET} images, labels.csv has all of them"
        )
    observer = observer or Lines()
    with observer:
        run = _resolve(config, observer)
        environment = run.engine.environment(run.config, observer)
        data = _every_image(run, split=split, observer=observer)
        # Before the folds are assigned, since duplicates have to share one.
        scanned = scan_or_load_cached(run.source, progress=observer.progress)
        fold_of = assign_folds(
            data.train.targets, data.train.names, folds=folds, seed=config.seed, groups=scanned.groups()
        )
        key = _key(run.config, run.source, split=split, folds=folds)
        folder = _folder(Path(out) if out else ARTIFACTS / run_name("labels", run.source.name), key)
        # Two audits in one folder would overwrite each other's folds.
        with locked(folder):
            # Before training: by this file a later call finds an interrupted audit and its finished folds.
            write_json(folder / KEY_FILE, key)
            logits = out_of_fold(run.plan(data, folder, observer), run.engine, fold_of)
            report = _report(run.source, data, logits, scanned=scanned, split=split, folder=folder)
            report = replace(report, origin=_origin(key, environment))
            _write(report, data.train, top)
    return report


def _resolve(config: RunConfig, observer: Observer) -> ResolvedRun:
    """The run of every fold; says which settings have no effect."""
    asked, default = flat(config.to_dict()), flat(RunConfig().to_dict())
    idle = [key for key in WITHOUT_EFFECT if asked[key] != default[key]]
    if idle:
        observer.say(f"note: {', '.join(idle)}: no effect, since every image that can be read is checked")
    run = resolve_run(config, observer=observer)
    announce(run, observer)
    # The given configuration decides: the resolved one has filled in a number of epochs.
    if config.train.epochs is None and run.config.transfer.mode == "scratch":
        run = replace(run, config=replace(run.config, train=replace(run.config.train, epochs=EPOCHS)))
    return run


def _every_image(run: ResolvedRun, *, split: Split, observer: Observer) -> PreparedData:
    """Every readable image of a split as training data."""
    opened = run.source.open(split)
    part = prepare_split(opened, run.preprocess, what="decode", progress=observer.progress)
    for note in part.whole.notes:
        observer.say(f"note: {note}")
    say_unreadable(part.failed, observer.say)
    return PreparedData(
        source=run.source,
        # Mean and deviation come from the held-out images, too: they tell nothing of a label.
        preprocess=measured(run.preprocess, part, run.config.data),
        train=part,
        # Placeholders, until each fold puts its held-out images there.
        validation=part,
        test=lambda: part,
        names=tuple(opened.classes),
    )


def _report(
    source: Source,
    data: PreparedData,
    logits: NDArray[np.float32],
    *,
    scanned: ScanReport,
    split: Split,
    folder: Path,
) -> LabelReport:
    part, classes = data.train, data.names
    # Temperature 1: a fitted temperature would depend on the labels that are in doubt.
    probabilities = Decision().probabilities(logits)
    evidence = confident_learning(probabilities, part.targets)
    conflicts = find_conflicts(source, scanned, part.names, probabilities=probabilities)
    # Images of conflicts are certain; among the estimates they would be listed twice.
    certain = {name for conflict in conflicts for name in conflict.names}
    issues = named_issues(evidence.issues, part.names, classes)
    return LabelReport(
        data=source.name,
        kind=source.kind,
        split=split,
        classes=classes,
        images=len(part),
        accuracy=float((probabilities.argmax(axis=1) == part.targets).mean()),
        conflicts=conflicts,
        issues=tuple(issue for issue in issues if issue.name not in certain),
        evidence=evidence,
        origin={},
        folder=folder,
    )


def _key(config: ResolvedConfig, source: Source, *, split: str, folds: int) -> dict[str, Any]:
    """What two audits must agree on to share their folds, as JSON types."""
    model = config.model.name
    # A custom model keeps its name when its code changes, so that the hash of its file decides.
    file = Path(model.rpartition(":")[0]) if is_custom_model(model) else None
    return {
        "settings": flat(config.to_dict()),
        "data": source.fingerprint(),
        "split": split,
        "folds": folds,
        "network": file and hashlib.sha256(file.read_bytes()).hexdigest(),
    }


def _folder(base: Path, key: dict[str, Any]) -> Path:
    """The newest of `base`, `base-2`, … that holds an audit with this key; else a new one of them."""
    for folder in runs_of(base, KEY_FILE):
        # A damaged file is no match, and must not stop a new audit.
        with suppress(OSError, ValueError, KeyError, TypeError):
            earlier = json.loads((folder / KEY_FILE).read_text(encoding="utf-8"))
            # An audit of an earlier version has older names of settings, and its folds still hold.
            if earlier | {"settings": current_settings(earlier["settings"])} == key:
                return folder
    return new_folder(base)


def _origin(key: dict[str, Any], environment: dict[str, Any]) -> dict[str, Any]:
    return {
        **key,
        "command": command(),
        "date": now(),
        "hardware": hardware() | environment,
        "versions": versions(),
    }


def _write(report: LabelReport, part: PreparedSplit, top: int) -> None:
    write_text(report.folder / TABLE_FILE, report.to_csv())
    write_json(report.folder / REPORT_FILE, report.to_dict())
    rows = sheet_rows(report, top)
    if rows:
        images = part.take(np.array([row.position for row in rows]))
        save_figure(label_sheet(images, rows), report.folder / SHEET_FILE)
    else:
        # An older sheet would show issues that the table does not list.
        (report.folder / SHEET_FILE).unlink(missing_ok=True)
