"""Looks at every image of a source before any training does, and says what is wrong with them."""

from __future__ import annotations

import json
from contextlib import suppress
from functools import partial
from pathlib import Path

import numpy as np

from convscope.core.atomic import write_json
from convscope.core.contracts import Dataset, EncodedDataset, Progress
from convscope.core.errors import ConvscopeError, UserError
from convscope.data.cache_folder import UnusableCache, cache_folder
from convscope.data.dataset import image_name
from convscope.data.ordered_parallel_map import ordered_parallel_map
from convscope.data.preparing.decode import UnreadableImage, decode, explaining
from convscope.data.scanning.duplicate_checks import check_doubles
from convscope.data.scanning.image_checks import Scanned, check_classes, check_images
from convscope.data.scanning.image_facts import ImageFacts, facts_of_array, facts_of_file
from convscope.data.scanning.scan_report import Quarantined, ScanReport
from convscope.data.source import open_source
from convscope.data.sources.origin import Source

# PreparedSplit of the name of stored reports: raise it when a scan looks for more, or otherwise than before.
_SCAN_VERSION = 1


def scan(data: str | Path, *, progress: Progress | None = None) -> ScanReport:
    """Look at every image of a data set, by name or path, before any training; nothing is changed or deleted.

    `progress(done, total)` is called after each image. UserError where there is no such data.

    >>> report = scan("./photos")  # doctest: +SKIP
    >>> [finding.kind for finding in report.findings]  # doctest: +SKIP
    ['unreadable', 'near duplicates']
    """
    return scan_source(open_source(data), progress=progress)


def scan_source(source: Source, *, progress: Progress | None = None) -> ScanReport:
    """Every split of a source, looked at image by image; nothing is changed or deleted, and no image stops
    it.

    EvaluationResult are about unreadable files, endings that lie, mixed modes, EXIF rotation, extreme sizes,
    exact and near duplicates (in a split, across splits, under different labels) and classes. The quarantine
    lists what training leaves out. `progress(done, total)` is called after each image.

    >>> from convscope.data.dataset import ArrayDataset
    >>> images = np.arange(4 * 64, dtype=np.uint8).reshape(4, 8, 8, 1)
    >>> one = ArrayDataset(images, np.array([0, 0, 1, 1]), ("cat", "dog"), "train")
    >>> report = scan_source(Source("pets", Path(), {"train": lambda: one}, lambda: "0"))
    >>> report.images
    {'train': 4}
    """
    opened = {split: source.open(split) for split in source.split_names}
    total, done = sum(map(len, opened.values())), 0
    splits = []
    for split, dataset in opened.items():
        facts: list[ImageFacts | UnreadableImage] = []
        # Handing a small array to a thread costs more than looking at it; decoding a file does not.
        spread = ordered_parallel_map if isinstance(dataset, EncodedDataset) else map
        for found in spread(partial(_look, dataset), range(len(dataset))):
            facts.append(found)
            done += 1
            if progress:
                progress(done, total)
        names = [image_name(dataset, i) for i in range(len(dataset))]
        splits.append(Scanned(split, tuple(dataset.classes), np.asarray(dataset.labels), names, facts))
    duplicates = check_doubles(splits)
    findings = check_images(splits) + duplicates.findings + check_classes(splits)
    findings.sort(key=lambda finding: ("error", "warning", "note").index(finding.severity))
    images = {s.split: len(s.names) for s in splits}
    quarantine = _quarantine(splits, duplicates.left_out)
    return ScanReport(
        source.name, source.fingerprint(), images, tuple(findings), quarantine, duplicates.groups
    )


def scan_or_load_cached(
    source: Source, *, progress: Progress | None = None, cache: Path | None = None
) -> ScanReport:
    """The stored report of these very files, else a new one, stored below `cache` (default:
    `cache_folder()`).

    A report that names files the system would not open is not stored: they may be there the next time. A
    cache that cannot be written costs a second scan, nothing else.
    """
    try:
        folder = cache or cache_folder()
    except UnusableCache:
        return scan_source(source, progress=progress)
    place = folder / "scans" / f"{source.fingerprint()}.{_SCAN_VERSION}.json"
    try:
        return ScanReport.from_dict(json.loads(place.read_text("utf-8")))
    except (OSError, ValueError, KeyError, TypeError):
        report = scan_source(source, progress=progress)
    if not any(finding.kind == "unavailable" for finding in report.findings):
        with suppress(OSError, ConvscopeError):
            place.parent.mkdir(parents=True, exist_ok=True)
            write_json(place, report.to_dict())
    return report


def _look(dataset: Dataset, index: int) -> ImageFacts | UnreadableImage:
    name = image_name(dataset, index)
    try:
        with explaining(name):
            if isinstance(dataset, EncodedDataset):
                return facts_of_file(dataset.encoded(index), name)
            image = dataset[index][0]
            return facts_of_array(decode(image, 1 if image.shape[-1] == 1 else 3))
    except UserError as error:
        return error if isinstance(error, UnreadableImage) else UnreadableImage(name, str(error))


def _quarantine(splits: list[Scanned], duplicates: list[Quarantined]) -> tuple[Quarantined, ...]:
    """Unreadable images first, then duplicates; an image is listed once, with its first reason."""
    unreadable = [Quarantined(name, s.split, error.reason) for s in splits for name, error in s.unreadable()]
    listed: dict[tuple[str, str], Quarantined] = {}
    for entry in unreadable + duplicates:
        listed.setdefault((entry.split, entry.name), entry)
    return tuple(listed.values())
