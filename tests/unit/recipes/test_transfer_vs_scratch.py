"""The experiment on trained weights, with a few small images instead of photographs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from convscope.core.config_keys import RENAMED_VALUES
from convscope.recipes import transfer_vs_scratch as recipe
from convscope.recipes.transfer_vs_scratch import FRACTIONS, MODES, Row, chart, table, transfer_vs_scratch

QUICK = {
    "data": {"size": 72, "quarantine": "none"},
    "train": {"epochs": 1, "batch_size": 8, "precision": "float32", "threads": 1, "device": "cpu"},
}


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    """Two classes of 24 images of 80×70 pixels: dark ones and light ones."""
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
def test_every_mode_with_every_fraction_and_a_chart_and_tables(photographs, tmp_path):
    rows = transfer_vs_scratch(photographs, out=tmp_path, seeds=2, changes=QUICK)
    assert [(row.mode, row.fraction) for row in rows] == [(m, f) for f in FRACTIONS for m in MODES]
    assert all(len(row.accuracies) == 2 for row in rows)
    full, tenth = ({row.mode: row.images for row in rows if row.fraction == f} for f in FRACTIONS)
    assert len(set(full.values())) == 1 and all(tenth[mode] == 4 for mode in MODES)
    for row in rows:
        config = json.loads((tmp_path / f"{row.mode}_{100 * row.fraction:.0f}" / "config.json").read_text())
        weights = None if row.mode == "scratch" else "squeezenet1_0"
        assert (config["transfer"]["mode"], config["transfer"]["pretrained"]) == (row.mode, weights)
    assert (tmp_path / "transfer.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "transfer.md").read_text() == table(rows)
    assert [row["mode"] for row in json.loads((tmp_path / "transfer.json").read_text())] == [
        row.mode for row in rows
    ]
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("bundle.safetensors")}
    assert transfer_vs_scratch(photographs, out=tmp_path, seeds=2, changes=QUICK) == rows
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("bundle.safetensors")} == before


def test_the_table_reads_as_the_figures_are(tmp_path):
    rows = [Row(mode, f, 100, (0.5, 0.6), 0.55, 0.0707, 3.0) for f in FRACTIONS for mode in MODES]
    lines = table(rows).splitlines()
    assert lines[0] == "| mode | 100% of the images | 10% of the images |"
    assert lines[2:] == [f"| {mode} | 55.0% ± 7.1% | 55.0% ± 7.1% |" for mode in MODES]
    assert chart(rows, tmp_path / "a.png").stat().st_size > 5000


def test_the_promise_is_what_was_measured():
    results = Path(__file__).resolve().parents[3] / "benchmarks" / "results" / "transfer.json"
    lines = [line for line in recipe.__doc__.splitlines() if "±" in line]
    for row in json.loads(results.read_text())["figures"]["rows"]:
        # The figures are of version 0.1, which called a probe a head.
        mode = RENAMED_VALUES.get(("transfer.mode", row["way"]), row["way"])
        (line,) = (line for line in lines if line.split()[0] == mode)
        assert f"{100 * row['mean']:.1f} ± {100 * row['sd']:.1f} %" in line
