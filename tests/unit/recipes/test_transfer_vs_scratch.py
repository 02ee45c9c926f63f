"""The experiment on trained weights, on a stand-in of a few pictures."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from convscope.recipes import transfer_vs_scratch as recipe
from convscope.recipes.transfer_vs_scratch import SHARES, WAYS, Row, picture, table, transfer_vs_scratch

QUICK = {
    "data": {"size": 72, "quarantine": "none"},
    "train": {"epochs": 1, "batch_size": 8, "precision": "float32", "threads": 1, "device": "cpu"},
}


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    """Two classes of 24 pictures of 80×70 pixels: dark ones and light ones."""
    folder = tmp_path_factory.mktemp("photographs")
    rng = np.random.default_rng(0)
    for name, low in (("dark", 0), ("light", 128)):
        (folder / name).mkdir()
        for number in range(24):
            pixels = rng.integers(low, low + 128, (80, 70, 3), np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number}.png")
    return folder


@pytest.mark.slow
@pytest.mark.usefixtures("no_pictures")
def test_every_way_meets_every_share_and_leaves_picture_and_tables(photographs, tmp_path):
    rows = transfer_vs_scratch(photographs, out=tmp_path, seeds=2, changes=QUICK)
    assert [(row.way, row.share) for row in rows] == [(way, share) for share in SHARES for way in WAYS]
    assert all(len(row.accuracies) == 2 for row in rows)
    full, tenth = ({row.way: row.images for row in rows if row.share == share} for share in SHARES)
    assert len(set(full.values())) == 1 and all(tenth[way] == 4 for way in WAYS)
    for row in rows:
        config = json.loads((tmp_path / f"{row.way}_{row.share:.0%}".rstrip("%") / "config.json").read_text())
        weights = None if row.way == "scratch" else "squeezenet1_0"
        assert (config["transfer"]["mode"], config["transfer"]["pretrained"]) == (row.way, weights)
    assert (tmp_path / "transfer.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "transfer.md").read_text() == table(rows)
    assert [row["way"] for row in json.loads((tmp_path / "transfer.json").read_text())] == [
        row.way for row in rows
    ]
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("bundle.safetensors")}
    assert transfer_vs_scratch(photographs, out=tmp_path, seeds=2, changes=QUICK) == rows
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("bundle.safetensors")} == before


def test_the_table_reads_as_the_figures_are(tmp_path):
    rows = [Row(way, share, 100, (0.5, 0.6), 0.55, 0.0707, 3.0) for share in SHARES for way in WAYS]
    lines = table(rows).splitlines()
    assert lines[0] == "| way | 100% of the images | 10% of the images |"
    assert lines[2:] == [f"| {way} | 55.0% ± 7.1% | 55.0% ± 7.1% |" for way in WAYS]
    assert picture(rows, tmp_path / "a.png").stat().st_size > 5000


def test_the_promise_is_what_was_measured():
    results = Path(__file__).resolve().parents[3] / "benchmarks" / "results" / "transfer.json"
    for row in json.loads(results.read_text())["figures"]["rows"]:
        line = next(
            line for line in recipe.__doc__.splitlines() if line.split()[:1] == [row["way"]] and "±" in line
        )
        assert f"{100 * row['mean']:.1f} ± {100 * row['sd']:.1f} %" in line
