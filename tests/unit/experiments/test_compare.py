from __future__ import annotations

import io
import json
import statistics
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from convscope.core.bundle import FILE_NAME, Bundle
from convscope.core.config import RunConfig
from convscope.core.errors import UserError
from convscope.core.run.record import read_run
from convscope.experiments.compare import MeanStd, compare


def run(
    folder: Path,
    accuracy: float | None,
    *,
    seed: int = 0,
    data: str = "f",
    cpu: str = "chip",
    **train: object,
) -> Path:
    """A run folder as training leaves it."""
    folder.mkdir()
    config = RunConfig.from_dict({"seed": seed, "train": train})
    (folder / "config.json").write_text(json.dumps(config.to_dict()))
    rows = [
        {"epoch": 1, "seconds": 1.0, "images_per_second": 100.0},
        {"seconds": 3.0, "images_per_second": 300.0},
    ]
    (folder / "history.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    metrics = {"parameters": 1000, "seconds": 4.0, "validation": {"top1": 0.8, "macro_f1": 0.7}}
    if accuracy is not None:
        metrics["test"] = {"top1": accuracy, "macro_f1": accuracy - 0.1}
    (folder / "metrics.json").write_text(json.dumps(metrics))
    Bundle(
        weights={"w": np.zeros(2, np.float32)},
        model={"name": "small_cnn", "options": {}, "input_shape": [1, 8, 8], "classes": 1},
        preprocess={},
        classes=("a",),
        provenance={"data": {"fingerprint": data}, "hardware": {"cpu": cpu, "cores": 2}},
    ).save(folder / FILE_NAME)
    return folder


def text_of(comparison) -> str:
    console = Console(file=io.StringIO(), width=160)
    console.print(comparison.table())
    return console.file.getvalue()


def test_only_the_settings_that_differ_are_shown(tmp_path):
    c = compare([run(tmp_path / "a", 0.9, lr=0.1), run(tmp_path / "b", 0.8, lr=0.2, epochs=3)])
    assert set(c.differing) == {"train.lr", "train.epochs"}
    assert [group.settings["train.lr"] for group in c.groups] == [0.1, 0.2]
    assert c.groups[0].figures["test_accuracy"] == MeanStd(1, 0.9, None)
    text = text_of(c)
    assert "train.lr" in text
    assert "train.momentum" not in text
    assert "90.00" in text


def test_seeds_become_mean_and_standard_deviation(tmp_path):
    values = [0.91, 0.93, 0.95]
    runs = [run(tmp_path / f"r{s}", v, seed=s) for s, v in enumerate(values)]
    (group,) = compare(runs).groups
    assert group.seeds == (0, 1, 2)
    mean_std = group.figures["test_accuracy"]
    assert (mean_std.n, mean_std.mean, mean_std.sd) == pytest.approx((3, 0.93, statistics.stdev(values)))
    assert "93.00 ± 2.00 (n=3)" in text_of(compare(runs))


def test_the_order_is_that_of_the_arguments_and_no_run_is_called_best(tmp_path):
    worse, better = run(tmp_path / "worse", 0.1, lr=0.2), run(tmp_path / "better", 0.9, lr=0.1)
    for order in ([worse, better], [better, worse]):
        c = compare(order)
        assert [group.folders[0] for group in c.groups] == order
        assert "best" not in json.dumps(c.to_dict()).replace("better", "")


def test_a_seed_that_is_repeated_is_no_independent_run(tmp_path):
    c = compare([run(tmp_path / "a", 0.9), run(tmp_path / "a-2", 0.9)])
    assert any("same seed" in note for note in c.notes)
    assert "90.00 ± 0.00 (n=2)" in text_of(c)


def test_an_unfinished_run_has_gaps_and_a_note(tmp_path):
    c = compare([run(tmp_path / "a", 0.9, lr=0.1), run(tmp_path / "b", None, lr=0.2)])
    assert c.notes == ("no test figures, not finished: b",)
    assert "—" in text_of(c)
    assert "test_accuracy" not in c.groups[1].figures


def test_a_run_that_has_only_begun_is_read(tmp_path):
    folder = tmp_path / "a"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(RunConfig().to_dict()))
    record = read_run(folder)
    assert (record.figures, record.data, record.hardware) == ({}, None, None)


def test_different_data_and_hardware_are_noted(tmp_path):
    c = compare([run(tmp_path / "a", 0.9), run(tmp_path / "b", 0.9, seed=1, data="g", cpu="other chip")])
    assert any("different data" in note for note in c.notes)
    assert any("different hardware" in note for note in c.notes)


def test_a_folder_that_is_named_twice_counts_once(tmp_path):
    a = run(tmp_path / "a", 0.9)
    (group,) = compare([a, str(a), tmp_path / "." / "a"]).groups
    assert group.folders == (a,)


def test_the_rate_weighs_epochs_by_their_time_and_bears_a_cut_line(tmp_path):
    a = run(tmp_path / "a", 0.9)
    expected = (100 * 1 + 300 * 3) / 4
    assert read_run(a).figures["images_per_second"] == expected
    with (a / "history.jsonl").open("a") as file:
        file.write('{"epoch": 3, "sec')
    assert read_run(a).figures["images_per_second"] == expected


def test_everything_is_json(tmp_path):
    c = compare([run(tmp_path / "a", 0.9, lr=0.1), run(tmp_path / "b", 0.8, lr=0.2)])
    value = json.loads(json.dumps(c.to_dict(), allow_nan=False))
    assert value["groups"][1]["settings"] == {"train.lr": 0.2}
    assert value["groups"][0]["figures"]["parameters"] == {"n": 1, "mean": 1000.0, "sd": None}


def test_folders_that_are_no_runs(tmp_path):
    with pytest.raises(UserError, match="compare needs run folders"):
        compare([])
    with pytest.raises(UserError, match="there is no run folder"):
        compare([tmp_path / "gone"])
    with pytest.raises(UserError, match=r"no config\.json"):
        compare([tmp_path])
    a = run(tmp_path / "a", 0.9)
    (a / "metrics.json").write_text("{")
    with pytest.raises(UserError, match=r"metrics\.json cannot be read"):
        compare([a])
    (a / "metrics.json").write_text("[]")
    with pytest.raises(UserError, match="not what training writes"):
        compare([a])


def test_a_damaged_bundle_costs_only_its_notes(tmp_path):
    a = run(tmp_path / "a", 0.9)
    (a / FILE_NAME).write_bytes(b"damaged")
    assert read_run(a).data is None
