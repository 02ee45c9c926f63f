from __future__ import annotations

import json
from pathlib import Path

import pytest

from convscope.core.config import RunConfig
from convscope.experiments.benchmark import Benchmark, BenchmarkEntry
from convscope.experiments.benchmark_folder import benchmark_folder, benchmark_key, write_report

SHARED = RunConfig().merge({"train": {"epochs": 3}})


def session(folder: Path, key) -> Path:
    folder.mkdir(exist_ok=True)
    write_report(
        Benchmark(folder, "tiny", "", key=key, speed={}, origin={}, entries=(BenchmarkEntry("a", "a"),))
    )
    return folder


def key(models=("lenet5",), data="f", config=SHARED):
    return benchmark_key(config, models, data)


def test_the_same_settings_go_on_whatever_the_networks_and_the_seed(tmp_path):
    session(tmp_path / "c", key())
    other = SHARED.merge({"seed": 5, "model": {"name": "small_cnn", "options": {"kernel": [3]}}})
    assert benchmark_folder(tmp_path / "c", key(("small_cnn", "lenet5"), config=other)) == tmp_path / "c"


@pytest.mark.parametrize(
    "other",
    [
        key(data="g"),
        key(config=SHARED.merge({"train": {"epochs": 4}})),
        key(config=SHARED.merge({"data": {"size": 8}})),
    ],
    ids=["data", "epochs", "size"],
)
def test_other_settings_or_data_go_elsewhere_and_are_found_again(tmp_path, other):
    session(tmp_path / "c", key())
    elsewhere = benchmark_folder(tmp_path / "c", other)
    assert elsewhere == tmp_path / "c-2" and list(elsewhere.iterdir()) == []
    session(elsewhere, other)
    assert benchmark_folder(tmp_path / "c", other) == elsewhere
    assert benchmark_folder(tmp_path / "c", key()) == tmp_path / "c"


def test_a_file_that_changed_starts_anew_but_only_where_it_takes_part(tmp_path):
    net = tmp_path / "net.py"
    net.write_text("one")
    own = f"{net}:Net"
    session(tmp_path / "c", key((own, "lenet5")))
    session(
        tmp_path / "c", key(("lenet5", "small_cnn"))
    )  # without the file: its mark stays, since its run does
    net.write_text("two")
    assert benchmark_folder(tmp_path / "c", key(("lenet5",))) == tmp_path / "c"
    assert benchmark_folder(tmp_path / "c", key((own,))) == tmp_path / "c-2"
    net.write_text("one")
    assert benchmark_folder(tmp_path / "c", key((own,))) == tmp_path / "c"


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"key": {"settings": {}}}', '{"key": null}'])
def test_a_report_that_cannot_be_read_is_left_alone(tmp_path, text):
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "comparison.json").write_text(text)
    assert benchmark_folder(tmp_path / "c", key()) == tmp_path / "c-2"
    assert (tmp_path / "c" / "comparison.json").read_text() == text


def test_a_run_that_has_the_name_is_left_alone(tmp_path):
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "config.json").write_text("{}")
    assert benchmark_folder(tmp_path / "c", key()) == tmp_path / "c-2"


def test_the_key_is_json_and_holds_no_seed_and_no_name(tmp_path):
    made = key()
    assert json.loads(json.dumps(made)) == made
    assert made["settings"]["train.epochs"] == 3
    assert not {"seed", "model.name", "model.options"} & made["settings"].keys()
