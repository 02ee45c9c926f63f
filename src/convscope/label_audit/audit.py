"""Looks for wrong labels: by networks that never saw the image, and by pictures that stand under several
labels.
"""

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
from convscope.core.config import RunConfig, current_settings, flat
from convscope.core.decision import Decision
from convscope.core.errors import UserError
from convscope.core.plotting import save_figure
from convscope.core.provenance import command, hardware, now, versions
from convscope.core.run.display import Display
from convscope.core.run.folder import ARTIFACTS, locked, new_folder, run_name, runs_of
from convscope.data.preparing.prepared_split import PreparedSplit, prepare_split
from convscope.data.preparing.preprocess import Preprocess
from convscope.data.scanning.scan import scan_or_load_cached
from convscope.data.scanning.scan_report import ScanReport
from convscope.data.source import Source
from convscope.label_audit.confident_learning import confident_learning
from convscope.label_audit.label_conflicts import find_conflicts
from convscope.label_audit.label_report import LabelReport, named_issues
from convscope.label_audit.label_sheet import label_sheet, sheet_rows
from convscope.label_audit.out_of_fold import assign_folds, out_of_fold
from convscope.models.pytorch.custom_model import is_custom_model
from convscope.training.defaults import Defaults, settle
from convscope.training.prepare_data import PreparedData, say_unreadable, with_statistics
from convscope.training.pytorch.assemble import choose_compute
from convscope.training.train import open_data

Split = Literal["train", "validation", "test"]

KEY_FILE, TABLE_FILE, REPORT_FILE, SHEET_FILE = "settings.json", "labels.csv", "labels.json", "labels.png"
EPOCHS = 4
"""For a network from scratch, where nobody said how many. Of Fashion-MNIST with 5 % of its labels changed, 2,
4 and 8 epochs listed 90.7, 91.4 and 92.1 % of these, and 63, 70 and 70 % of the list were such (two of five
folds)."""
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

    `data`: a name or a path, as for `train`. `split`: which official split is looked at; all of its labels
    are val_metrics, each by a network trained on the other `folds` − 1 parts of the same split. `top`: images
    on the sheet. `config` and `seed`: as for `train`. `out`: the folder for everything, else
    `artifacts/labels_<data>`; what was computed there for the same perturbations is used again. `quiet`:
    print nothing.

    Raises UserError for what cannot be done as asked, and DivergedError for a loss that is not a number.

    >>> report = find_label_issues("./photos")  # doctest: +SKIP
    >>> report.doubtful[0].name, report.doubtful[0].suggested  # doctest: +SKIP
    ('glass/glass12.jpg', 'plastic')
    """
    changes: dict[str, Any] = {"data": {"source": str(data)}} | ({} if seed is None else {"seed": seed})
    config = (config or RunConfig()).merge(changes)
    return check_labels(config, split=split, folds=folds, top=top, out=out, display=Display(quiet=quiet))


def check_labels(
    config: RunConfig,
    *,
    split: Split = "train",
    folds: int = 5,
    top: int = 40,
    out: str | Path | None = None,
    display: Display | None = None,
) -> LabelReport:
    """`find_label_issues` for a whole configuration."""
    if not 1 <= top <= 400:
        raise UserError(f"--top {top} was given; the sheet shows 1 to 400 images, labels.csv has all of them")
    display = display or Display()
    with display:
        idle = [
            key for key in WITHOUT_EFFECT if flat(config.to_dict())[key] != flat(RunConfig().to_dict())[key]
        ]
        if idle:
            display.say(
                f"note: nothing comes of {', '.join(idle)}: every image that can be read is looked at"
            )
        source, choice = open_data(config, display)
        if choice.start.mode == "scratch":
            config = config.merge({"train": {"epochs": config.train.epochs or EPOCHS}})
        config = settle(config, choice, source)
        compute = choose_compute(config, None, display)
        prepared = _every_image(source, choice, config, split=split, display=display)
        part = prepared.train
        report = scan_or_load_cached(source, progress=lambda done, total: display.work("scan", done, total))
        display.clear()
        fold_of = assign_folds(
            part.targets, part.names, folds=folds, seed=config.seed, groups=report.groups()
        )
        key = _key(config, source, split=split, folds=folds)
        folder = _folder(Path(out) if out else ARTIFACTS / run_name("labels", source.name), key)
        with locked(folder):
            write_json(folder / KEY_FILE, key)
            logits = out_of_fold(
                config,
                prepared,
                choice.start,
                fold_of=fold_of,
                compute=compute,
                folder=folder,
                display=display,
            )
            found = _find_issues(source, prepared, logits, scanned=report, split=split, folder=folder)
            found = replace(found, origin=_origin(key, compute.environment()))
            _write(found, part, top)
    return found


def _every_image(
    source: Source, choice: Defaults, config: RunConfig, *, split: Split, display: Display
) -> PreparedData:
    """Every readable image of a split as what there is to train on, with statistics that ask for no label."""
    shape = Preprocess(choice.channels, choice.height, choice.width, config.data.resize)
    opened = source.open(split)
    part = prepare_split(opened, shape, progress=lambda done, total: display.work("decode", done, total))
    display.clear()
    for note in part.whole.notes:
        display.say(f"note: {note}")
    say_unreadable(part.failed, display)
    return PreparedData(
        source=source,
        preprocess=with_statistics(shape, part, config.data, weights=choice.start.weights),
        train=part,
        validation=part,
        test=lambda: part,
        classes=tuple(opened.classes),
    )


def _find_issues(
    source: Source,
    prepared: PreparedData,
    logits: NDArray[np.float32],
    *,
    scanned: ScanReport,
    split: Split,
    folder: Path,
) -> LabelReport:
    part, classes = prepared.train, prepared.classes
    probabilities = Decision().probabilities(logits)
    trouble = confident_learning(probabilities, part.targets)
    conflicts = find_conflicts(source, scanned, part.names, probabilities=probabilities)
    certain = {name for conflict in conflicts for name in conflict.names}
    doubtful = [row for row in named_issues(trouble, part.names, classes) if row.name not in certain]
    return LabelReport(
        data=source.name,
        kind=source.kind,
        split=split,
        classes=classes,
        images=len(part),
        accuracy=float((probabilities.argmax(axis=1) == part.targets).mean()),
        conflicts=conflicts,
        doubtful=tuple(doubtful),
        trouble=trouble,
        origin={},
        folder=folder,
    )


def _key(config: RunConfig, source: Source, *, split: str, folds: int) -> dict[str, Any]:
    """What two checks must agree on to share their folds, as JSON types."""
    model = config.model.name or ""
    own = Path(model.rpartition(":")[0]) if is_custom_model(model) else None
    return {
        "settings": flat(config.to_dict()),
        "data": source.fingerprint(),
        "split": split,
        "folds": folds,
        "network": own and hashlib.sha256(own.read_bytes()).hexdigest(),
    }


def _folder(base: Path, key: dict[str, Any]) -> Path:
    """The newest of `base`, `base-2`, … that holds a check with this key; else a new one of them."""
    for folder in runs_of(base, KEY_FILE):
        with suppress(OSError, ValueError, KeyError, TypeError):
            earlier = json.loads((folder / KEY_FILE).read_text(encoding="utf-8"))
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
        images = part.take(np.array([position for position, *_ in rows]))
        save_figure(label_sheet(images, rows), report.folder / SHEET_FILE)
    else:
        (report.folder / SHEET_FILE).unlink(missing_ok=True)
