from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from convscope.experiments.benchmark import Benchmark, BenchmarkEntry
from convscope.experiments.compare import MeanStd

FIGURES = {
    "parameters": 61_706.0,
    "macs": 416_520.0,
    "seconds": 12.34,
    "images_per_second": 4717.0,
    "throughput": 15_169.2,
}
SPEED = {"batch": 256, "device": "cpu", "precision": "float32", "threads": 1}


def entry(name, *accuracy, problem=""):
    figures = {key: MeanStd.of([value]) for key, value in FIGURES.items()} if accuracy else {}
    figures |= {"test_accuracy": MeanStd.of(accuracy)} if accuracy else {}
    return BenchmarkEntry(
        name, name, tuple(Path(name) / str(n) for n in range(len(accuracy))), figures, problem
    )


def benchmark(*entries, **fields):
    told = {
        "notes": ("trained on different hardware",),
        "budget": "28×28×1, 1 epoch from scratch, 2 seeds",
    } | fields
    return Benchmark(Path("out"), "tiny", key={}, speed=SPEED, origin={}, entries=entries, **told)


def shown(value, width=80):
    console = Console(file=io.StringIO(), width=width)
    console.print(value.table())
    return console.file.getvalue()


def test_a_row_holds_every_figure_in_the_order_of_the_question():
    text = shown(benchmark(entry("worse", 0.8), entry("better", 0.91, 0.93)))
    worse, better = (line.split() for line in text.splitlines()[-2:])
    assert worse == ["worse", "61.7", "k", "417", "k", "80.00", "(n=1)", "12.3", "4,717", "15,169"]
    assert better[0] == "better" and better[5:8] == ["92.00", "±", "1.41"]
    assert "best" not in text.replace("better", "")


def test_a_failure_stands_in_its_row_and_below():
    made = benchmark(entry("a", 0.9), entry("b", problem="the loss became nan"))
    assert [e.name for e in made.failed] == ["b"]
    assert shown(made).splitlines()[-1].split() == ["b", "–", "–", "failed", "–", "–", "–"]
    assert made.remarks[-1] == "b failed: the loss became nan"


def test_figures_of_the_seeds_before_a_failure_are_shown():
    assert "90.00" in shown(benchmark(entry("b", 0.9, problem="the loss became nan"))).splitlines()[-1]


def test_a_network_that_was_not_reached_has_not_failed():
    made = benchmark(entry("a", 0.9), entry("b"), interrupted=True)
    assert made.failed == () and "failed" not in shown(made)


def test_a_narrow_terminal_cuts_neither_a_name_nor_a_figure():
    text = shown(
        benchmark(entry("shufflenet_v2_x0_5", 0.92, 0.90), entry("[bold]nets/long_file_name.py:Network"))
    )
    assert max(map(len, text.splitlines())) <= 80 and "…" not in text
    assert "shufflenet_v2_x0_5" in text and "91.00 ± 1.41" in text and "15,169" in text and "[bold]" in text


@pytest.mark.parametrize(("threads", "words"), [(1, "1 thread"), (2, "2 threads")])
def test_it_is_said_how_speed_was_measured(threads, words):
    made = Benchmark(
        Path("out"), "tiny", "b", key={}, speed=SPEED | {"threads": threads}, origin={}, entries=()
    )
    assert made.remarks[1] == (
        f"answering: median of calls with one batch of up to 256 test images, cpu, float32, {words}"
    )


def test_a_newer_state_takes_the_place_of_the_older():
    made = benchmark(entry("a"), entry("b")).with_entry(entry("b", 0.5))
    assert [(e.name, e.mean("test_accuracy")) for e in made.entries] == [("a", None), ("b", 0.5)]


def test_everything_is_json():
    value = json.loads(
        json.dumps(benchmark(entry("a", 0.9, 0.8), entry("b", problem="no")).to_dict(), allow_nan=False)
    )
    assert value["entries"][0]["figures"]["test_accuracy"]["n"] == 2
    assert value["entries"][0]["folders"] == ["a/0", "a/1"]
    assert value["entries"][1] == {"name": "b", "model": "b", "folders": [], "figures": {}, "problem": "no"}
    assert value["notes"] == ["trained on different hardware"] and value["folder"] == "out"
