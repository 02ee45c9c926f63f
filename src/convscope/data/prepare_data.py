"""From a source to prepared images: scan, leave out, split once, decode, measure.

Nothing here knows a network or a task: what trained weights expect comes as numbers, and what a network is to
say of the images as a function from a data set to its targets.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

import numpy as np

from convscope.core.atomic import write_json
from convscope.core.config import DataConfig
from convscope.core.contracts import Dataset
from convscope.core.errors import UserError
from convscope.core.run.progress import Progress
from convscope.data.preparing.prepared_split import PreparedSplit, channel_statistics, prepare_split
from convscope.data.preparing.preprocess import Preprocess
from convscope.data.scanning.scan import scan_or_load_cached
from convscope.data.scanning.scan_report import ScanReport
from convscope.data.source import Source
from convscope.data.split import Splits, from_record, split_source
from convscope.data.stratified_split import stratified_split
from convscope.data.targets import Targets, source_with_targets

SPLIT_FILE = "split.json"
FRACTION_STREAM = 2  # of random numbers; 0 and 1 hold out test and validation

Say: TypeAlias = Callable[[str], None]
TargetsOf: TypeAlias = Callable[[Dataset], Targets]
Statistics: TypeAlias = tuple[Sequence[float], Sequence[float]]


@dataclass(frozen=True, eq=False)
class PreparedData:
    """Everything about the data that training needs; the test split stays closed until `test()`.

    `preprocess`: with the mean and std to normalise by. `names`: what the K outputs of a network stand for.
    """

    source: Source
    preprocess: Preprocess
    train: PreparedSplit
    validation: PreparedSplit
    test: Callable[[], PreparedSplit]
    names: tuple[str, ...]


def prepare_data(
    source: Source,
    config: DataConfig,
    preprocess: Preprocess,
    *,
    seed: int,
    folder: Path,
    targets: TargetsOf | None = None,
    progress: Progress | None = None,
    say: Say | None = None,
) -> PreparedData:
    """The splits of a source, prepared. Writes `split.json` into the run folder, or follows the one there.

    Args:
        source: where the images come from, with the labels that it gives them.
        config: fractions to hold out, train_fraction, quarantine and normalise; None in it stands for its
            default.
        preprocess: what `input_preprocess` gave; its mean and std are replaced where they are to be measured.
        seed: of the split and of the train fraction.
        folder: of the run; it exists.
        targets: what the network is to say of the images; their class labels by default.
        progress: is called with "scan", "decode train", "decode validation" and "decode test".
        say: is called with lines for a person.

    Raises:
        UserError: the split of the folder does not fit the source, a class has too few images, or none can be
        read.
        Failure: the disk is full.
    """
    say = say or (lambda _: None)
    splits = split_once(source, config, seed=seed, folder=folder, targets=targets, progress=progress, say=say)

    def prepared(dataset: Dataset, split: str) -> PreparedSplit:
        return prepare_split(dataset, preprocess, what=f"decode {split}", progress=progress)

    train, validation = prepared(splits.train, "train"), prepared(splits.validation, "validation")
    # After preparing, so that fractions count readable images and runs of other fractions share the cache.
    train = subsample_fraction(train, config.train_fraction, seed=seed)
    # Subsets of one data set have the same notes; each is one line.
    for note in dict.fromkeys((*train.whole.notes, *validation.whole.notes)):
        say(f"note: {note}")
    say_unreadable([*train.failed, *validation.failed], say)

    def test() -> PreparedSplit:
        # Decoded only now: a run that is stopped never touches its test images.
        opened = prepared(splits.open_test(), "test")
        say_unreadable(opened.failed, say)
        return opened

    return PreparedData(
        source=source,
        preprocess=measured(preprocess, train, config),
        train=train,
        validation=validation,
        test=test,
        names=splits.train.classes,
    )


def input_preprocess(
    config: DataConfig, shape: tuple[int, int, int], statistics: Statistics | None = None
) -> Preprocess:
    """The preprocessing that a configuration asks for, before any training image is measured.

    Args:
        config: resize and normalise; None of normalise stands for "statistics".
        shape: C, H and W of the network's input.
        statistics: mean and std that trained weights expect, C numbers each, on the scale 0..1.

    Raises:
        UserError: normalise is "weights", and there are none.
    """
    channels, height, width = shape
    if config.normalise == "symmetric":
        return Preprocess.symmetric(channels, height, width, resize=config.resize)
    if config.normalise != "weights":
        return Preprocess(channels, height, width, config.resize)
    if statistics is None:
        raise UserError(
            "data.normalise is weights, and there are no trained weights; add --pretrained, or leave it"
        )
    mean, std = statistics
    return Preprocess(channels, height, width, config.resize, tuple(mean), tuple(std))


def measured(preprocess: Preprocess, train: PreparedSplit, config: DataConfig) -> Preprocess:
    """The preprocessing with mean and std of the training images, where the configuration asks for these.

    Args:
        preprocess: what `input_preprocess` gave.
        train: the images that are measured.
        config: its normalise decides; "symmetric" and "weights" leave the preprocessing as it is.
    """
    if config.normalise in ("symmetric", "weights"):
        return preprocess
    # Of training images alone: those of validation would leak into every figure.
    mean, std = channel_statistics(train.whole.images, indices=train.rows)
    return replace(preprocess, mean=mean, std=std)


def split_once(
    source: Source,
    config: DataConfig,
    *,
    seed: int,
    folder: Path,
    targets: TargetsOf | None = None,
    progress: Progress | None = None,
    say: Say | None = None,
) -> Splits:
    """The splits that the run folder records; where it records none, make them and write them down.

    Args:
        source: where the images come from, with the labels that it gives them.
        config: fractions to hold out, and quarantine.
        seed: of the split.
        folder: of the run; it exists.
        targets: what the network is to say of the images; their class labels by default.
        progress: is called with "scan".
        say: is called with a line on what is left out.

    Raises:
        UserError: the split of the folder does not fit the source, or a class has too few images.
    """
    path = folder / SPLIT_FILE
    opened = source_with_targets(source, targets) if targets else source
    if path.is_file():
        try:
            return from_record(opened, json.loads(path.read_text(encoding="utf-8")))
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"{path} is damaged ({error}); train without --resume to start a new run"
            ) from None
    # The scan is of the source's own labels: a duplicate in two class folders is an error for every task.
    report = scan_or_load_cached(source, progress=progress)
    exclude = _left_out(report, config, say) if config.quarantine == "auto" else ()
    splits = split_source(
        opened,
        seed=seed,
        validation=config.validation or 0.1,
        test=config.test,
        exclude=exclude,
        groups=report.groups(),
    )
    # Before anything is decoded: a run that is killed then resumes with the same split.
    write_json(path, splits.record())
    return splits


def _left_out(report: ScanReport, config: DataConfig, say: Say | None) -> tuple[str, ...]:
    """The images that a scan advises to leave out; of the test split none is ever chosen."""
    # Leaving test images out would make the figures of two scans incomparable.
    entries = [entry for entry in report.quarantine if entry.split != "test"]
    if entries and say:
        first = entries[0]
        say(
            f"scan: {len(entries)} images are left out, first {first.name} ({first.reason}); "
            f"see all: convscope scan {shlex.quote(config.source)}; keep them: --set data.quarantine=none"
        )
    return tuple(entry.name for entry in entries)


def say_unreadable(failed: Sequence[tuple[str, str]], say: Say) -> None:
    """Say in one line which images no figure can count.

    Args:
        failed: (name, reason) of each; nothing is said of none.
        say: is called with the line.
    """
    if failed:
        name, reason = min(failed)
        say(f"left out {len(failed)} images that cannot be read, first {name}: {reason}")


def subsample_fraction(split: PreparedSplit, fraction: float, *, seed: int) -> PreparedSplit:
    """About `fraction` of each stratum of a split, a pure function of the seed.

    Args:
        split: the images to choose from.
        fraction: above 0, at most 1; each stratum keeps at least one image.
        seed: decides which; a larger fraction has all images of a smaller one.
    """
    if fraction == 1:
        return split
    strata = split.strata
    _, chosen = stratified_split(strata, fraction=fraction, seed=(seed, FRACTION_STREAM))
    # A stratum of one gives nothing to the second part, and must not be lost.
    alone = np.flatnonzero(np.bincount(strata)[strata] == 1)
    return replace(split, rows=split.rows[np.union1d(chosen, alone)])
