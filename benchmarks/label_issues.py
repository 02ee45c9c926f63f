"""How many planted wrong labels `convscope labels` finds, and what it says of data as they are.

    python benchmarks/label_issues.py TRASHNET OUT [EPOCHS …]

In Fashion-MNIST (60,000 training images) and TrashNet (its training split), 5 % of the labels are changed to
another class, all others equally likely, by seed 0. Every command is the default one, on one thread. A
planted label counts as found where it is among the label issues or in a conflict; what else is listed counts
as a false alarm, though labels that were wrong before are among it. With EPOCHS, Fashion-MNIST is checked
with each of them as well. A second call goes on in OUT where the first was stopped; its minutes are too few.
Minutes are processor time, with scan and sheet.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from convscope.core.atomic import make_folder, write_text
from convscope.core.config import RunConfig
from convscope.core.contracts import EncodedDataset
from convscope.core.seeds import generator
from convscope.core.spreadsheet import csv_text
from convscope.data.source import open_source
from convscope.label_audit.audit import find_label_issues
from convscope.label_audit.label_report import LabelReport
from record import record

FRACTION = 0.05
ONE_THREAD = RunConfig().merge({"train": {"threads": 1}})


def flip(labels: np.ndarray, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels of which 5 % are another class, and where."""
    random = generator(0, "flip")
    where = np.sort(random.permutation(len(labels))[: round(FRACTION * len(labels))])
    flipped = labels.copy()
    flipped[where] = (labels[where] + random.integers(1, classes, len(where))) % classes
    return flipped, where


def flipped_fashion(out: Path) -> tuple[Path, np.ndarray]:
    """Fashion-MNIST with planted labels as an NPZ file, and the positions of these."""
    train = open_source("fashion_mnist").open("train")
    labels, where = flip(np.asarray(train.targets), len(train.classes))
    path = out / "fashion_mnist_flipped.npz"
    if not path.is_file():
        images = np.stack([train[i][0] for i in range(len(train))])
        np.savez(path, x_train=images, y_train=labels, classes=np.array(train.classes))
    return path, where


def flipped_trashnet(source: str, out: Path) -> tuple[Path, np.ndarray]:
    """TrashNet's training split as files and a CSV table with planted labels, and the positions of these."""
    train = open_source(source).open("train")
    assert isinstance(train, EncodedDataset)
    labels, where = flip(np.asarray(train.targets), len(train.classes))
    folder = make_folder(out / "trashnet_flipped")
    rows = []
    for i, label in enumerate(labels):
        name = f"{i:04}.jpg"
        if not (folder / name).is_file():
            (folder / name).write_bytes(train.encoded(i))
        rows.append((name, train.classes[label]))
    write_text(folder / "table.csv", csv_text(("path", "label"), rows))
    return folder / "table.csv", where


def audit(data: str | Path, folder: Path, **train: Any) -> tuple[LabelReport, float]:
    """The default check, and the seconds of processor time that it took, whatever else the machine did."""
    start = time.process_time()
    report = find_label_issues(data, config=ONE_THREAD.merge({"train": train}), out=folder)
    return report, time.process_time() - start


def described(report: LabelReport, seconds: float) -> dict[str, Any]:
    """The figures of a report, whether true or not."""
    return {
        "images": report.images,
        "processor_minutes": round(seconds / 60, 1),
        "out_of_fold_accuracy": round(report.accuracy, 4),
        "label_issues": len(report.issues),
        "conflicts": [list(conflict.names) for conflict in report.conflicts],
        "estimated_wrong_fraction": round(report.wrong_fraction, 4),
    }


def scored(report: LabelReport, planted: np.ndarray) -> dict[str, float]:
    """Precision and recall of the listed images, and precision of the first n where n labels were planted."""
    listed = [issue.position for issue in report.issues]
    conflicting = [p for conflict in report.conflicts for p in conflict.positions if p is not None]
    found = int(np.isin(planted, [*conflicting, *listed]).sum())
    return {
        "planted": len(planted),
        "precision": round(found / (len(listed) + len(conflicting)), 4),
        "recall": round(found / len(planted), 4),
        "precision_of_the_first_as_many": round(float(np.isin(listed[: len(planted)], planted).mean()), 4),
        "precision_of_the_first_half_as_many": round(
            float(np.isin(listed[: len(planted) // 2], planted).mean()), 4
        ),
    }


def main(trashnet: str, out: str, *epochs: str) -> None:
    """Measure and record."""
    place = make_folder(Path(out))
    fashion, fashion_planted = flipped_fashion(place)
    trash, trash_planted = flipped_trashnet(trashnet, place)
    rows = []
    cases = [
        ("TrashNet", trashnet, None, {}),
        ("TrashNet, 5 % planted", trash, trash_planted, {}),
        ("Fashion-MNIST", "fashion_mnist", None, {}),
        ("Fashion-MNIST, 5 % planted", fashion, fashion_planted, {}),
        *(
            (f"Fashion-MNIST, 5 % planted, {n} epochs", fashion, fashion_planted, {"epochs": int(n)})
            for n in epochs
        ),
    ]
    for name, data, planted, train in cases:
        folder = place / name.replace(" ", "_").replace(",", "").replace("%", "percent")
        report, seconds = audit(data, folder, **train)
        rows.append(
            {"case": name} | described(report, seconds) | ({} if planted is None else scored(report, planted))
        )
        print(rows[-1], flush=True)
    record("label_issues", {"rows": rows})


if __name__ == "__main__":
    main(*sys.argv[1:])
