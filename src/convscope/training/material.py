"""From a configuration to prepared images: open, scan, choose, split, decode, measure."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from convscope.core.atomic import write_json
from convscope.core.config import DataConfig
from convscope.core.contracts import Dataset
from convscope.core.errors import UserError
from convscope.data.part import Part, prepare_part
from convscope.data.preprocess import Preprocess
from convscope.data.scanning.scan import scan_or_recall
from convscope.data.scanning.scan_report import ScanReport
from convscope.data.source import Source
from convscope.data.split import Splits, from_record, split_source
from convscope.data.statistics import channel_statistics
from convscope.training.defaults import Choice
from convscope.training.progress import Display

SPLIT_FILE = "split.json"


@dataclass(frozen=True, eq=False)
class Material:
    """Everything about the data that training needs; the test split stays closed until `test()`."""

    source: Source
    preprocess: Preprocess
    train: Part
    validation: Part
    test: Callable[[], Part]
    classes: tuple[str, ...]


def gather_material(
    source: Source, choice: Choice, config: DataConfig, *, seed: int, folder: Path, display: Display
) -> Material:
    """The splits of `source`, prepared. Writes `split.json` into the run folder, or follows the one that is there."""
    splits = split_once(source, config, seed=seed, folder=folder, display=display)
    shape = Preprocess(choice.channels, choice.height, choice.width, config.resize)

    def part(dataset: Dataset, name: str) -> Part:
        return prepare_part(dataset, shape, progress=lambda done, total: display.work(f"decode {name}", done, total))

    train, validation = part(splits.train, "train"), part(splits.validation, "validation")
    display.clear()
    for note in dict.fromkeys((*train.whole.notes, *validation.whole.notes)):
        display.say(f"note: {note}")
    say_unreadable([*train.failed, *validation.failed], display)

    def test() -> Part:
        opened = part(splits.open_test(), "test")
        display.clear()
        say_unreadable(opened.failed, display)
        return opened

    return Material(
        source=source,
        preprocess=with_statistics(shape, train, config),
        train=train,
        validation=validation,
        test=test,
        classes=splits.train.classes,
    )


def say_unreadable(failed: Sequence[tuple[str, str]], display: Display) -> None:
    """One line about images, as (name, reason), that no figure can count."""
    if failed:
        name, reason = min(failed)
        display.say(f"left out {len(failed)} images that cannot be read, first {name}: {reason}")


def split_once(source: Source, config: DataConfig, *, seed: int, folder: Path, display: Display) -> Splits:
    """The splits that the run folder records; where it records none, make them and write them down."""
    path = folder / SPLIT_FILE
    if path.is_file():
        try:
            return from_record(source, json.loads(path.read_text(encoding="utf-8")))
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(f"{path} is damaged ({error}); train without --resume to start a new run") from None
    report = scan_or_recall(source, progress=lambda done, total: display.work("scan", done, total))
    display.clear()
    exclude = left_out(report, config.source, display) if config.quarantine == "auto" else ()
    splits = split_source(
        source,
        seed=seed,
        validation=config.validation or 0.1,
        test=config.test,
        exclude=exclude,
        groups=report.groups(),
    )
    write_json(path, splits.record())
    return splits


def left_out(report: ScanReport, data: str, display: Display) -> tuple[str, ...]:
    """The training and validation images that a scan advises to leave out; of the test split none is ever chosen.

    `data` is what the person typed for it: the scan that is pointed to takes the same word.
    """
    entries = [entry for entry in report.quarantine if entry.split != "test"]
    if entries:
        first = entries[0]
        display.say(
            f"scan: {len(entries)} images are left out, first {first.name} ({first.reason}); "
            f"see all: convscope scan {shlex.quote(data)}; keep them: --set data.quarantine=none"
        )
    return tuple(entry.name for entry in entries)


def with_statistics(shape: Preprocess, train: Part, config: DataConfig) -> Preprocess:
    """The preprocessing with mean and deviation of the training images, or those of [−1, 1]."""
    if config.normalise == "symmetric":
        return Preprocess.symmetric(shape.channels, shape.height, shape.width, resize=shape.resize)
    mean, std = channel_statistics(train.whole.images, indices=train.rows)
    return Preprocess(shape.channels, shape.height, shape.width, shape.resize, mean, std)
