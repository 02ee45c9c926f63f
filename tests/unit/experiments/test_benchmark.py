from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from convscope.core.config import RunConfig
from convscope.experiments.benchmark import (
    Benchmark,
    BenchmarkEntry,
    benchmark_folder,
    benchmark_key,
    write_report,
)
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
    fields = {
        "notes": ("trained on different hardware",),
        "budget": "28×28×1, 1 epoch from scratch, 2 seeds",
    } | fields
    return Benchmark(Path("out"), "animals", key={}, speed=SPEED, origin={}, entries=entries, **fields)


def text_of(value, width=80):
    console = Console(file=io.StringIO(), width=width)
    console.print(value.table())
    return console.file.getvalue()


def test_a_row_has_every_figure_and_the_rows_keep_their_order():
    text = text_of(benchmark(entry("worse", 0.8), entry("better", 0.91, 0.93)))
    worse, better = (line.split() for line in text.splitlines()[-2:])
    assert worse == ["worse", "61.7", "k", "417", "k", "80.00", "(n=1)", "12.3", "4,717", "15,169"]
    assert better[0] == "better" and better[5:8] == ["92.00", "±", "1.41"]
    assert "best" not in text.replace("better", "")


def test_a_failure_stands_in_its_row_and_below():
    made = benchmark(entry("a", 0.9), entry("b", problem="the loss became nan"))
    assert [e.name for e in made.failed] == ["b"]
    assert text_of(made).splitlines()[-1].split() == ["b", "–", "–", "failed", "–", "–", "–"]
    assert made.remarks[-1] == "b failed: the loss became nan"


def test_figures_of_the_seeds_before_a_failure_are_shown():
    assert "90.00" in text_of(benchmark(entry("b", 0.9, problem="the loss became nan"))).splitlines()[-1]


def test_a_network_that_was_not_reached_has_not_failed():
    made = benchmark(entry("a", 0.9), entry("b"), interrupted=True)
    assert made.failed == () and "failed" not in text_of(made)


def test_a_narrow_terminal_cuts_neither_a_name_nor_a_figure():
    text = text_of(
        benchmark(entry("shufflenet_v2_x0_5", 0.92, 0.90), entry("[bold]nets/long_file_name.py:Network"))
    )
    assert max(map(len, text.splitlines())) <= 80 and "…" not in text
    assert "shufflenet_v2_x0_5" in text and "91.00 ± 1.41" in text and "15,169" in text and "[bold]" in text


@pytest.mark.parametrize(("threads", "threads_text"), [(1, "1 thread"), (2, "2 threads")])
def test_the_conditions_of_the_throughput_stand_below(threads, threads_text):
    made = Benchmark(
        Path("out"), "animals", "b", key={}, speed=SPEED | {"threads": threads}, origin={}, entries=()
    )
    assert made.remarks[1] == (
        f"predicting: median of calls with one batch of up to 256 test images, cpu, float32, {threads_text}"
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


# The folder

SHARED = RunConfig().merge({"train": {"epochs": 3}})


def written(folder: Path, key) -> Path:
    folder.mkdir(exist_ok=True)
    write_report(
        Benchmark(folder, "animals", "", key=key, speed={}, origin={}, entries=(BenchmarkEntry("a", "a"),))
    )
    return folder


def key_of(models=("lenet5",), data="f", config=SHARED):
    return benchmark_key(config, models, data)


def test_the_same_settings_go_on_whatever_the_networks_and_the_seed(tmp_path):
    written(tmp_path / "c", key_of())
    other = SHARED.merge({"seed": 5, "model": {"name": "small_cnn", "options": {"kernel": [3]}}})
    assert benchmark_folder(tmp_path / "c", key_of(("small_cnn", "lenet5"), config=other)) == tmp_path / "c"


@pytest.mark.parametrize(
    "other",
    [
        key_of(data="g"),
        key_of(config=SHARED.merge({"train": {"epochs": 4}})),
        key_of(config=SHARED.merge({"data": {"size": 8}})),
    ],
    ids=["data", "epochs", "size"],
)
def test_other_settings_or_data_go_elsewhere_and_are_found_again(tmp_path, other):
    written(tmp_path / "c", key_of())
    elsewhere = benchmark_folder(tmp_path / "c", other)
    assert elsewhere == tmp_path / "c-2" and list(elsewhere.iterdir()) == []
    written(elsewhere, other)
    assert benchmark_folder(tmp_path / "c", other) == elsewhere
    assert benchmark_folder(tmp_path / "c", key_of()) == tmp_path / "c"


def test_a_changed_file_starts_anew_but_only_where_it_takes_part(tmp_path):
    net = tmp_path / "net.py"
    net.write_text("one")
    custom = f"{net}:Net"
    written(tmp_path / "c", key_of((custom, "lenet5")))
    # Without the file: its digest stays in the report, since its run stays in the folder.
    written(tmp_path / "c", key_of(("lenet5", "small_cnn")))
    net.write_text("two")
    assert benchmark_folder(tmp_path / "c", key_of(("lenet5",))) == tmp_path / "c"
    assert benchmark_folder(tmp_path / "c", key_of((custom,))) == tmp_path / "c-2"
    net.write_text("one")
    assert benchmark_folder(tmp_path / "c", key_of((custom,))) == tmp_path / "c"


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"key": {"settings": {}}}', '{"key": null}'])
def test_a_report_that_cannot_be_read_is_left_alone(tmp_path, text):
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "comparison.json").write_text(text)
    assert benchmark_folder(tmp_path / "c", key_of()) == tmp_path / "c-2"
    assert (tmp_path / "c" / "comparison.json").read_text() == text


def test_a_run_that_has_the_name_is_left_alone(tmp_path):
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "config.json").write_text("{}")
    assert benchmark_folder(tmp_path / "c", key_of()) == tmp_path / "c-2"


def test_the_key_is_json_and_holds_no_seed_and_no_name(tmp_path):
    made = key_of()
    assert json.loads(json.dumps(made)) == made
    assert made["settings"]["train.epochs"] == 3
    assert not {"seed", "model.name", "model.options"} & made["settings"].keys()
