"""Inspect every image of a source before any training does, and say what is wrong with them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path

import numpy as np

from convscope.core.atomic import write_json
from convscope.core.contracts import Dataset, EncodedDataset
from convscope.core.errors import ConvscopeError, UserError
from convscope.core.run.progress import Progress
from convscope.data.cache_folder import UnusableCache, cache_folder
from convscope.data.dataset import image_name
from convscope.data.ordered_parallel_map import ordered_parallel_map
from convscope.data.preparing.decode import UnreadableImage, decode, explaining
from convscope.data.scanning.duplicate_checks import check_duplicates
from convscope.data.scanning.image_checks import Scanned, check_classes, check_images
from convscope.data.scanning.image_facts import ImageFacts, facts_of_array, facts_of_file
from convscope.data.scanning.scan_report import Quarantined, ScanReport
from convscope.data.source import open_source
from convscope.data.sources.origin import Source

# A part of the name of stored reports: raise it when a scan looks for more, or otherwise than before.
_SCAN_VERSION = 1


def scan(data: str | Path, *, progress: Progress | None = None) -> ScanReport:
    """Look at every image of a data set before any training; nothing is changed or deleted.

    Args:
        data: a name or a path, as for `train`.
        progress: is called with "download" and bytes, then with "scan" after each image.

    Raises:
        UserError: there is no such data.

    >>> report = scan("./photos")  # doctest: +SKIP
    >>> [finding.kind for finding in report.findings]  # doctest: +SKIP
    ['unreadable', 'near duplicates']
    """
    return scan_source(open_source(data, progress=progress), progress=progress)


def scan_source(source: Source, *, progress: Progress | None = None) -> ScanReport:
    """Look at every split of a source, image by image; nothing is changed or deleted, and no image stops it.

    Issues are about unreadable files, endings that lie, mixed modes, EXIF rotation, extreme sizes, exact and
    near duplicates (in a split, across splits, under different labels) and classes. The quarantine lists what
    training leaves out.

    Args:
        source: with the labels that it gives its images.
        progress: is called with "scan" after each image.

    >>> from convscope.data.dataset import ArrayDataset
    >>> images = np.arange(4 * 64, dtype=np.uint8).reshape(4, 8, 8, 1)
    >>> one = ArrayDataset(images, np.array([0, 0, 1, 1]), ("cat", "dog"), "train")
    >>> report = scan_source(Source("pets", Path(), {"train": lambda: one}, lambda: "0"))
    >>> report.images
    {'train': 4}
    """
    splits = list(_scanned({split: source.open(split) for split in source.split_names}, progress))
    duplicates = check_duplicates(splits)
    issues = check_images(splits) + duplicates.issues + check_classes(splits)
    # Stable: within a severity the order of the checks stays.
    issues.sort(key=lambda issue: ("error", "warning", "note").index(issue.severity))
    return ScanReport(
        source=source.name,
        fingerprint=source.fingerprint(),
        images={scanned.split: len(scanned.names) for scanned in splits},
        findings=tuple(issues),
        quarantine=_quarantine(splits, duplicates.left_out),
        duplicates=duplicates.groups,
    )


def scan_or_load_cached(
    source: Source, *, progress: Progress | None = None, cache: Path | None = None
) -> ScanReport:
    """The stored report of these very files, else a new one, which is stored.

    A report that names files the system would not open is not stored: they may be there the next time. A
    cache that cannot be written costs a second scan, nothing else.

    Args:
        source: with the labels that it gives its images.
        progress: is called with "scan" after each image.
        cache: the folder to store reports below; `cache_folder()` by default.
    """
    try:
        folder = cache or cache_folder()
    except UnusableCache:
        return scan_source(source, progress=progress)
    # The fingerprint is that of the files: one that changes makes a new scan.
    path = folder / "scans" / f"{source.fingerprint()}.{_SCAN_VERSION}.json"
    try:
        return ScanReport.from_dict(json.loads(path.read_text("utf-8")))
    except (OSError, ValueError, KeyError, TypeError):
        report = scan_source(source, progress=progress)
    if not any(issue.kind == "unavailable" for issue in report.findings):
        with suppress(OSError, ConvscopeError):
            path.parent.mkdir(parents=True, exist_ok=True)
            write_json(path, report.to_dict())
    return report


def _scanned(opened: Mapping[str, Dataset], progress: Progress | None) -> Iterator[Scanned]:
    total, done = sum(map(len, opened.values())), 0
    for split, dataset in opened.items():
        facts: list[ImageFacts | UnreadableImage] = []
        # Handing a small array to a thread costs more than looking at it; decoding a file does not.
        over = ordered_parallel_map if isinstance(dataset, EncodedDataset) else map
        for one in over(partial(_inspect, dataset), range(len(dataset))):
            facts.append(one)
            done += 1
            if progress:
                progress("scan", done, total)
        names = [image_name(dataset, i) for i in range(len(dataset))]
        yield Scanned(split, tuple(dataset.classes), np.asarray(dataset.labels), names, facts)


def _inspect(dataset: Dataset, index: int) -> ImageFacts | UnreadableImage:
    name = image_name(dataset, index)
    try:
        with explaining(name):
            if isinstance(dataset, EncodedDataset):
                return facts_of_file(dataset.encoded(index), name)
            # Arrays may have any number of channels; what is shown to a person is grey or RGB.
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
