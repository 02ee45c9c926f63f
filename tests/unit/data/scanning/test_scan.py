from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from convscope.core.contracts import Dataset
from convscope.data.dataset import ArrayDataset, FileDataset
from convscope.data.scanning import scan as scan_module
from convscope.data.scanning.scan import scan_or_load_cached, scan_source
from convscope.data.scanning.scan_report import ScanIssue, ScanReport
from convscope.data.sources.origin import Source

SHARED = Path(__file__).resolve().parents[4].parent / "shared" / "data"


def photograph(seed: int) -> Image.Image:
    rng = np.random.default_rng(seed)
    layers = [
        np.asarray(Image.fromarray(rng.integers(0, 256, (n, n, 3), np.uint8)).resize((64, 64)))
        for n in (4, 9, 20)
    ]
    return Image.fromarray(np.mean(layers, axis=0).astype(np.uint8))


def files(root: Path, labels: dict[str, int], classes: tuple[str, ...] = ("cat", "dog")) -> FileDataset:
    return FileDataset(tuple(labels), np.array(list(labels.values()), np.int64), classes, root)


def source(**splits: Dataset) -> Source:
    return Source("pets", Path("pets"), {name: (lambda d=d: d) for name, d in splits.items()}, lambda: "mark")


def finding(report: ScanReport, kind: str) -> ScanIssue:
    return next(found for found in report.findings if found.kind == kind)


def kinds(report: ScanReport) -> set[str]:
    return {found.kind for found in report.findings}


def test_sound_images_give_no_finding(tmp_path: Path) -> None:
    labels = {f"{i}.png": i % 2 for i in range(8)}
    for i, name in enumerate(labels):
        photograph(i).save(tmp_path / name)
    report = scan_source(source(train=files(tmp_path, labels)))
    assert report == ScanReport("pets", "mark", {"train": 8}, (), ())


def test_every_trouble_is_named_and_none_stops_the_scan(tmp_path: Path) -> None:
    labels = {f"{i}.png": i % 2 for i in range(6)}
    for i, name in enumerate(labels):
        photograph(i).save(tmp_path / name)
    bad = {"empty.jpg": 0, "text.jpg": 0, "cut.jpg": 1, "gone.jpg": 1, "ünï 猫.jpg": 0, "turned.jpg": 1}
    odd = {"tiny.png": 0, "long.png": 1, "grey.png": 0}
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "text.jpg").write_text("no picture")
    photograph(50).save(tmp_path / "cut.jpg")
    (tmp_path / "cut.jpg").write_bytes((tmp_path / "cut.jpg").read_bytes()[:-300])
    photograph(51).save(tmp_path / "ünï 猫.jpg", "PNG")
    exif = Image.Exif()
    exif[0x0112] = 3
    photograph(52).save(tmp_path / "turned.jpg", exif=exif)
    photograph(53).resize((9, 9)).save(tmp_path / "tiny.png")
    photograph(54).resize((200, 20)).save(tmp_path / "long.png")
    photograph(55).convert("L").save(tmp_path / "grey.png")
    steps: list[tuple[str, int, int]] = []
    data = files(tmp_path, labels | bad | odd)
    report = scan_source(source(train=data), progress=lambda *step: steps.append(step))
    assert steps[-1] == ("scan", 15, 15)
    expected = {
        "empty": ("empty.jpg", "the file has 0 bytes"),
        "truncated": ("cut.jpg", "the file is cut short"),
        "unavailable": ("gone.jpg", "there is no such file"),
        "ending": ("ünï 猫.jpg", "is PNG"),
        "turned": ("turned.jpg", "EXIF"),
        "tiny": ("tiny.png", "9×9"),
        "long": ("long.png", "200×20"),
    }
    for kind, item in expected.items():
        assert finding(report, kind).items == (item,), kind
    assert finding(report, "unreadable").items[0][0] == "text.jpg"
    assert finding(report, "modes").items == (("RGB", "10"), ("L", "1"))
    assert report.quarantined("train") == {"empty.jpg", "text.jpg", "cut.jpg", "gone.jpg"}
    severities = [found.severity for found in report.findings]
    assert severities == sorted(severities, key=("error", "warning", "note").index)


def test_duplicates_in_all_their_kinds(tmp_path: Path) -> None:
    train = {f"{i}.png": i % 2 for i in range(40)}
    for i, name in enumerate(train):
        photograph(i).save(tmp_path / name)
    test = {"t0.png": 0, "t1.png": 1, "t2.png": 0, "t3.png": 1}
    for i, name in enumerate(test):
        photograph(90 + i).save(tmp_path / name)
    photograph(0).save(tmp_path / "copy.bmp")  # of 0.png, same label
    photograph(1).save(tmp_path / "conflict.bmp")  # of 1.png, other label
    photograph(90).save(tmp_path / "leak.bmp")  # of t0.png, same label
    photograph(2).save(tmp_path / "near.jpg", quality=90)  # of 2.png, same label
    photograph(91).save(tmp_path / "near leak.jpg", quality=90)  # of t1.png, same label
    photograph(3).save(tmp_path / "near conflict.jpg", quality=90)  # of 3.png, other label
    train |= {
        "copy.bmp": 0,
        "conflict.bmp": 0,
        "leak.bmp": 0,
        "near.jpg": 0,
        "near leak.jpg": 1,
        "near conflict.jpg": 0,
    }
    report = scan_source(source(train=files(tmp_path, train), test=files(tmp_path, test)))
    expected = {
        "exact duplicates": ("0.png (train, cat)", "copy.bmp (train, cat)"),
        "exact duplicates, labels conflict": ("1.png (train, dog)", "conflict.bmp (train, cat)"),
        "exact duplicates across splits": ("leak.bmp (train, cat)", "t0.png (test, cat)"),
        "near duplicates": ("2.png (train, cat)", "near.jpg (train, cat)"),
        "near duplicates across splits": ("near leak.jpg (train, dog)", "t1.png (test, dog)"),
        "near duplicates, labels conflict": ("3.png (train, dog)", "near conflict.jpg (train, cat)"),
    }
    assert kinds(report) == set(expected)
    for kind, item in expected.items():
        assert finding(report, kind).items == (item,)
    conflicting = {"1.png", "conflict.bmp", "3.png", "near conflict.jpg"}
    assert report.quarantined("train") == conflicting | {"leak.bmp", "near leak.jpg"}
    assert report.quarantined("test") == frozenset()
    groups = report.groups()
    assert groups["0.png"] == groups["copy.bmp"] != groups["2.png"]
    assert "5.png" not in groups


def test_classes(tmp_path: Path) -> None:
    def plain(labels: list[int], prefix: str) -> ArrayDataset:
        images = np.random.default_rng(len(labels)).integers(0, 256, (len(labels), 32, 32, 1), np.uint8)
        return ArrayDataset(images, np.array(labels), ("cat", "dog", "cow", "owl"), prefix)

    report = scan_source(
        source(train=plain([0] * 20 + [1] * 2 + [2], "train"), test=plain([0, 0, 1, 1, 2, 2, 3, 3], "test"))
    )
    assert finding(report, "empty class").items == (("owl", "train"),)
    assert finding(report, "class of one").items == (("cow", "train"),)
    differ = finding(report, "class sets differ")
    assert differ.items == (("owl", "absent from train"),)
    assert differ.severity == "error"
    imbalance = finding(report, "imbalance")
    assert imbalance.items == (("cat: 20", "cow: 1", "20.0 to 1"),)
    assert imbalance.severity == "warning"


def test_arrays_are_scanned_too() -> None:
    images = np.random.default_rng(0).integers(0, 256, (6, 28, 28, 1), np.uint8)
    images[5] = images[0]
    report = scan_source(
        source(train=ArrayDataset(images, np.array([0, 1, 0, 1, 0, 1]), ("cat", "dog"), "train"))
    )
    assert finding(report, "exact duplicates, labels conflict").items == (
        ("train#0 (train, cat)", "train#5 (train, dog)"),
    )
    assert report.quarantined("train") == {"train#0", "train#5"}


def test_a_dataset_that_gives_something_else_is_no_crash() -> None:
    class Own:
        classes = ("cat", "dog")
        labels = (0, 1)

        def __len__(self) -> int:
            return 2

        def __getitem__(self, index: int) -> tuple[np.ndarray, int]:
            return np.zeros((4, 4, 3), np.float64), index

    report = scan_source(source(train=Own()))
    assert finding(report, "unreadable").count == 2


def test_a_scan_is_stored_and_recalled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photograph(0).save(tmp_path / "0.png")
    (tmp_path / "1.png").touch()
    pets = source(train=files(tmp_path, {"0.png": 0, "1.png": 1}))
    first = scan_or_load_cached(pets, cache=tmp_path / "c")
    monkeypatch.setattr(scan_module, "scan_source", lambda *_, **__: pytest.fail("scanned twice"))
    assert scan_or_load_cached(pets, cache=tmp_path / "c") == first
    assert json.loads(json.dumps(first.to_dict())) == first.to_dict()
    assert ScanReport.from_dict(json.loads(json.dumps(first.to_dict()))) == first


def test_what_the_system_refused_is_scanned_again(tmp_path: Path) -> None:
    photograph(0).save(tmp_path / "0.png")
    pets = source(train=files(tmp_path, {"0.png": 0, "1.png": 1}))
    assert "unavailable" in kinds(scan_or_load_cached(pets, cache=tmp_path / "c"))
    photograph(1).save(tmp_path / "1.png")
    assert "unavailable" not in kinds(scan_or_load_cached(pets, cache=tmp_path / "c"))


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"findings": 3}'])
def test_a_damaged_or_unwritable_store_costs_a_scan(tmp_path: Path, content: str) -> None:
    photograph(0).save(tmp_path / "0.png")
    pets = source(train=files(tmp_path, {"0.png": 0}))
    report = scan_or_load_cached(pets, cache=tmp_path / "c")
    stored = next((tmp_path / "c" / "scans").iterdir())
    stored.write_text(content)
    assert scan_or_load_cached(pets, cache=tmp_path / "c") == report
    (tmp_path / "file").touch()
    assert scan_or_load_cached(pets, cache=tmp_path / "file") == report


@pytest.mark.slow
@pytest.mark.data
@pytest.mark.skipif(not SHARED.exists(), reason="../shared/data is missing")
def test_trashnets_three_conflicting_pairs_are_found() -> None:
    from convscope.data.source import open_source

    report = scan_source(open_source(SHARED / "trashnet"))
    found = {
        frozenset(word.split(" ")[0].split("/")[-1].split(".")[0] for word in item)
        for item in finding(report, "exact duplicates, labels conflict").items
    }
    assert found == {
        frozenset(p)
        for p in (("glass115", "metal91"), ("glass176", "plastic152"), ("glass389", "plastic332"))
    }
    assert len(report.quarantine) == 6
    near = sum(found.count for found in report.findings if found.kind.startswith("near"))
    assert near <= 12, "10 were found in 2,527 photographs, and by eye each shows one object twice"
