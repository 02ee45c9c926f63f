"""From a configuration to prepared images: open, scan, choose, split, decode, measure."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from convscope.core.atomic import write_json
from convscope.core.config import DataConfig
from convscope.core.contracts import Dataset
from convscope.core.errors import UserError
from convscope.core.run.display import Display
from convscope.data.preparing.prepared_split import PreparedSplit, prepare_split
from convscope.data.preparing.preprocess import Preprocess
from convscope.data.preparing.statistics import channel_statistics
from convscope.data.scanning.scan import scan_or_load_cached
from convscope.data.scanning.scan_report import ScanReport
from convscope.data.source import Source
from convscope.data.split import Splits, from_record, split_source
from convscope.data.stratified_split import stratified_split
from convscope.models.pytorch.pretrained import Pretrained
from convscope.training.defaults import Defaults

SPLIT_FILE = "split.json"
FRACTION_STREAM = 2  # of random numbers; 0 and 1 stratified_split test and validation


@dataclass(frozen=True, eq=False)
class PreparedData:
    """Everything about the data that training needs; the test split stays closed until `test()`."""

    source: Source
    preprocess: Preprocess
    train: PreparedSplit
    validation: PreparedSplit
    test: Callable[[], PreparedSplit]
    classes: tuple[str, ...]


def prepare_data(
    source: Source, choice: Defaults, config: DataConfig, *, seed: int, folder: Path, display: Display
) -> PreparedData:
    """The splits of `source`, prepared. Writes `split.json` into the run folder, or follows the one that is
    there.
    """
    splits = split_once(source, config, seed=seed, folder=folder, display=display)
    shape = Preprocess(choice.channels, choice.height, choice.width, config.resize)

    def part(dataset: Dataset, name: str) -> PreparedSplit:
        return prepare_split(
            dataset, shape, progress=lambda done, total: display.work(f"decode {name}", done, total)
        )

    train, validation = part(splits.train, "train"), part(splits.validation, "validation")
    train = fraction_of(train, config.train_fraction, seed=seed)
    display.clear()
    for note in dict.fromkeys((*train.whole.notes, *validation.whole.notes)):
        display.say(f"note: {note}")
    say_unreadable([*train.failed, *validation.failed], display)

    def test() -> PreparedSplit:
        opened = part(splits.open_test(), "test")
        display.clear()
        say_unreadable(opened.failed, display)
        return opened

    return PreparedData(
        source=source,
        preprocess=with_statistics(shape, train, config, weights=choice.start.weights),
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
            raise UserError(
                f"{path} is damaged ({error}); train without --resume to start a new run"
            ) from None
    report = scan_or_load_cached(source, progress=lambda done, total: display.work("scan", done, total))
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
    """The training and validation images that a scan advises to leave out; of the test split none is ever
    chosen.

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


def fraction_of(part: PreparedSplit, fraction: float, *, seed: int) -> PreparedSplit:
    """About `fraction` of each class of a part, a pure function of the seed; each class keeps at least one
    image.
    """
    if fraction == 1:
        return part
    labels = part.targets
    _, chosen = stratified_split(labels, fraction=fraction, seed=(seed, FRACTION_STREAM))
    alone = np.flatnonzero(np.bincount(labels)[labels] == 1)
    return replace(part, rows=part.rows[np.union1d(chosen, alone)])


def with_statistics(
    shape: Preprocess, train: PreparedSplit, config: DataConfig, *, weights: Pretrained | None = None
) -> Preprocess:
    """The preprocessing with mean and deviation of the training images, those of [−1, 1] or those of the
    weights.
    """
    if config.normalise == "symmetric":
        return Preprocess.symmetric(shape.channels, shape.height, shape.width, resize=shape.resize)
    if config.normalise == "weights":
        if weights is None:
            raise UserError(
                "data.normalise is weights, and there are no trained weights; add --pretrained, or leave it"
            )
        mean, std = weights.statistics(shape.channels)
    else:
        mean, std = channel_statistics(train.whole.images, indices=train.rows)
    return replace(shape, mean=mean, std=std)
