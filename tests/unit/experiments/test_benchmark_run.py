from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

import small_data
from convscope.core.config import RunConfig
from convscope.core.errors import ShapeError, UserError
from convscope.core.run.progress import Silent
from convscope.core.run.record import read_run
from convscope.experiments import benchmark_run as module
from convscope.experiments.benchmark_run import benchmark_networks
from convscope.models.pytorch.zoo import create
from convscope.training.engine import DivergedError
from convscope.training.finalise import Run, RunMetrics

QUIET = Silent()
OWN = """
from torch import nn
class Net(nn.Sequential):
    def __init__(self, classes):
        super().__init__(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(400, classes))
class Coloured(nn.Sequential):
    def __init__(self, classes):
        super().__init__(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(400, classes))
"""


def settings(npz, **train):
    made = small_data.settings(epochs=1) | {"model": {}}
    made["train"] |= train
    made["data"] |= {"source": str(npz)}
    return RunConfig.from_dict(made)


pytestmark = [pytest.mark.usefixtures("no_pictures"), pytest.mark.slow]


@pytest.fixture(scope="module")
def benchmark(npz, tmp_path_factory):
    """Two networks with two seeds."""
    out = tmp_path_factory.mktemp("benchmark_networks") / "c"
    return benchmark_networks(["simple_cnn", "deeper_cnn"], settings(npz), seeds=2, out=out, observer=QUIET)


def test_each_network_is_trained_with_each_seed_in_the_order_of_the_names(benchmark):
    assert [entry.name for entry in benchmark.entries] == ["simple_cnn", "deeper_cnn"]
    for entry in benchmark.entries:
        assert [read_run(folder).seed for folder in entry.folders] == [0, 1]
        assert entry.figures["test_accuracy"].n == 2 and entry.figures["test_accuracy"].sd is not None
        assert all((folder / "bundle.safetensors").is_file() for folder in entry.folders)
    assert benchmark.failed == () and not benchmark.interrupted and benchmark.notes == ()


def test_nothing_but_the_network_is_different(benchmark):
    (one, _), (other, _) = ([read_run(folder) for folder in entry.folders] for entry in benchmark.entries)
    differing = {key for key in one.settings if one.settings[key] != other.settings[key]}
    assert differing == {"model.name"} and one.data == other.data
    splits = [json.loads((entry.folders[0] / "split.json").read_text()) for entry in benchmark.entries]
    assert splits[0] == splits[1]


def test_what_is_measured_is_what_the_network_is(benchmark):
    for entry in benchmark.entries:
        network = create(entry.model, input_shape=(1, small_data.SIDE, small_data.SIDE), classes=3)
        assert entry.mean("parameters") == sum(p.numel() for p in network.parameters())
        assert entry.mean("macs") > 1000 and entry.mean("throughput") > 1
        runs = [json.loads((folder / "metrics.json").read_text()) for folder in entry.folders]
        assert entry.mean("test_accuracy") == pytest.approx(sum(run["test"]["top1"] for run in runs) / 2)
    assert benchmark.speed == {"batch": 256, "device": "cpu", "precision": "float32", "threads": 1}
    assert benchmark.budget == "12×12×1, 1 epoch from scratch, 2 seeds"


def test_report_and_chart_are_written(benchmark):
    report = json.loads((benchmark.folder / "comparison.json").read_text())
    assert report == json.loads(json.dumps(benchmark.to_dict()))
    assert report["key"]["settings"]["transfer.mode"] == "scratch"
    assert (benchmark.folder / "comparison.png").read_bytes().startswith(b"\x89PNG")


def test_again_nothing_is_trained_and_a_network_more_is_the_only_one(benchmark, npz, monkeypatch):
    trained = []
    real = module.train_run
    before = {
        folder: (folder / "bundle.safetensors").stat().st_mtime_ns
        for e in benchmark.entries
        for folder in e.folders
    }
    monkeypatch.setattr(
        module, "train_run", lambda c, **kwargs: trained.append(c.model.name) or real(c, **kwargs)
    )
    again = benchmark_networks(
        ["lenet5", "simple_cnn", "deeper_cnn"], settings(npz), seeds=2, out=benchmark.folder, observer=QUIET
    )
    assert trained == ["lenet5", "lenet5", "simple_cnn", "simple_cnn", "deeper_cnn", "deeper_cnn"]
    assert {folder: (folder / "bundle.safetensors").stat().st_mtime_ns for folder in before} == before
    assert again.folder == benchmark.folder and len(again.entries[0].folders) == 2
    assert again.entries[1].figures["test_accuracy"] == benchmark.entries[0].figures["test_accuracy"]
    assert not list(benchmark.folder.glob("*-3"))


def test_other_settings_go_to_another_folder(benchmark, npz):
    other = benchmark_networks(
        ["simple_cnn", "deeper_cnn"], settings(npz, lr=0.01), out=benchmark.folder, observer=QUIET
    )
    assert other.folder == benchmark.folder.with_name("c-2")


def test_photographs_choose_scratch_here(tmp_path, monkeypatch):
    """Alone, photographs would get a linear probe."""
    seen = []
    monkeypatch.setattr(module, "train_run", lambda config, **_: seen.append(config) or stop())
    source = small_data.write_folder(tmp_path / "photos", count=30)
    config = RunConfig.from_dict({"data": {"source": str(source), "size": 96}})
    benchmark_networks(["simple_cnn", "deeper_cnn"], config, out=tmp_path / "c", observer=QUIET)
    assert seen[0].transfer.mode == "scratch" and seen[0].transfer.pretrained is None
    assert (seen[0].train.epochs, seen[0].train.batch_size, seen[0].augment.policy) == (12, 32, "basic")


def stop():
    raise KeyboardInterrupt


def fails(problem):
    """train_run, but deeper_cnn raises."""
    real = module.train_run

    def run(config, **kwargs):
        if config.model.name == "deeper_cnn" and config.seed:
            raise problem
        return real(config, **kwargs)

    return run


@pytest.mark.parametrize(
    ("problem", "reason"),
    [
        (DivergedError("the loss became nan"), "the loss became nan"),
        (ShapeError("too small"), "too small"),
        (RuntimeError("out of memory\nmore"), "out of memory"),
        (ValueError(), "ValueError"),
    ],
)
def test_a_network_that_fails_does_not_cost_the_others(benchmark, npz, monkeypatch, problem, reason):
    monkeypatch.setattr(module, "train_run", fails(problem))
    made = benchmark_networks(
        ["deeper_cnn", "simple_cnn"], settings(npz), seeds=2, out=benchmark.folder, observer=QUIET
    )
    deeper, simple = made.entries
    assert deeper.problem == reason and [e.name for e in made.failed] == ["deeper_cnn"]
    assert len(deeper.folders) == 1 and deeper.figures["test_accuracy"].n == 1  # what its first seed reached
    assert simple.problem == "" and len(simple.folders) == 2
    assert json.loads((made.folder / "comparison.json").read_text())["entries"][0]["problem"] == reason


def test_a_mistake_in_the_settings_is_no_failure_of_a_network(benchmark, npz, monkeypatch):
    monkeypatch.setattr(module, "train_run", fails(UserError("a disk is not there")))
    with pytest.raises(UserError, match="a disk is not there"):
        benchmark_networks(
            ["simple_cnn", "deeper_cnn"], settings(npz), seeds=2, out=benchmark.folder, observer=QUIET
        )


def test_images_that_do_not_fit_are_a_problem_of_the_row(npz, tmp_path):
    """The coloured network wants three channels; nothing is left of its run."""
    (tmp_path / "own.py").write_text(OWN)
    models = [f"{tmp_path / 'own.py'}:Coloured", f"{tmp_path / 'own.py'}:Net"]
    made = benchmark_networks(models, settings(npz), out=tmp_path / "c", observer=QUIET)
    coloured, net = made.entries
    assert (coloured.name, net.name) == ("own.py:Coloured", "own.py:Net")
    assert "needs 3 channels" in coloured.problem and coloured.folders == ()
    assert net.problem == "" and net.mean("macs") == 4 * 9 * 100 + 400 * 3
    assert [p.name for p in (tmp_path / "c").iterdir() if p.is_dir()] == ["torch_own.py_Net_small_data"]


def test_a_loss_that_becomes_nan_is_a_problem_of_the_row(npz, tmp_path):
    made = benchmark_networks(
        ["simple_cnn", "deeper_cnn"], settings(npz, lr=1e30), out=tmp_path / "c", observer=QUIET
    )
    assert all("the loss became" in entry.problem for entry in made.entries)
    assert made.notes == () and (tmp_path / "c" / "comparison.png").is_file()


def test_ctrl_c_keeps_what_was_reached_and_the_benchmark_goes_on(npz, tmp_path, monkeypatch):
    real = module.train_run
    with monkeypatch.context() as patch:
        patch.setattr(
            module,
            "train_run",
            lambda config, **kwargs: (
                Run(Path("x"), RunMetrics("interrupted"))
                if config.model.name == "deeper_cnn"
                else real(config, **kwargs)
            ),
        )
        models = ["simple_cnn", "deeper_cnn", "lenet5"]
        made = benchmark_networks(models, settings(npz), out=tmp_path / "c", observer=QUIET)
    assert made.interrupted and made.failed == ()
    assert [len(entry.folders) for entry in made.entries] == [1, 0, 0]
    assert json.loads((tmp_path / "c" / "comparison.json").read_text())["interrupted"] is True
    assert (tmp_path / "c" / "comparison.png").is_file()
    whole = benchmark_networks(models, settings(npz), out=tmp_path / "c", observer=QUIET)
    assert not whole.interrupted and [len(entry.folders) for entry in whole.entries] == [1, 1, 1]
    assert whole.entries[0].folders == made.entries[0].folders


def test_a_kill_before_the_first_run_is_over_is_gone_on_with(npz, tmp_path, monkeypatch):
    def killed(*_, **__):
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(module, "train_run", killed)
        with pytest.raises(SystemExit):
            benchmark_networks(
                ["simple_cnn", "deeper_cnn"], settings(npz), out=tmp_path / "c", observer=QUIET
            )
    made = benchmark_networks(["simple_cnn", "deeper_cnn"], settings(npz), out=tmp_path / "c", observer=QUIET)
    assert made.folder == tmp_path / "c" and made.failed == ()


def test_a_network_named_twice_counts_once(npz, tmp_path):
    with pytest.raises(UserError, match="1 network was named; give two or more"):
        benchmark_networks(["simple_cnn", "simple_cnn"], settings(npz), out=tmp_path / "c", observer=QUIET)


@pytest.mark.parametrize(
    ("models", "changes", "message"),
    [
        (["simple_cnn", "smal_cnn"], {}, "did you mean 'small_cnn'"),
        (["simple_cnn", "{own}:Nett"], {}, "did you mean 'Net'"),
        (["simple_cnn", "nowhere.py:Net"], {}, "there is no file nowhere.py"),
        (["simple_cnn", "{folder}"], {}, "is no network; leave --data out"),
        ([], {}, "0 network was named"),
        (["simple_cnn", "lenet5"], {"model": {"name": "lenet5"}}, "by their names"),
        (["simple_cnn", "lenet5"], {"model": {"options": {"kernel": [3]}}}, "by their names"),
        (["simple_cnn", "lenet5"], {"transfer": {"mode": "head"}}, "from scratch"),
        (["simple_cnn", "lenet5"], {"transfer": {"pretrained": "squeezenet1_0"}}, "from scratch"),
        (["simple_cnn", "lenet5"], {"augment": {"policy": "bassic"}}, "did you mean 'basic'"),
        (["simple_cnn", "lenet5"], {"data": {"source": "nowhere"}}, "no data set or path"),
    ],
)
def test_mistakes_are_refused_before_anything_is_trained(
    npz, tmp_path, models, changes, message, monkeypatch
):
    monkeypatch.setattr(module, "train_run", stop)
    (tmp_path / "own.py").write_text(OWN)
    models = [model.format(own=tmp_path / "own.py", folder=tmp_path) for model in models]
    with pytest.raises(UserError, match=message):
        benchmark_networks(models, settings(npz).merge(changes), out=tmp_path / "c", observer=QUIET)
    assert not (tmp_path / "c").exists()


def test_fewer_than_one_seed_is_refused(npz, tmp_path):
    with pytest.raises(UserError, match="--seeds 0 was given"):
        benchmark_networks(
            ["simple_cnn", "lenet5"], replace(settings(npz), seed=1), seeds=0, out=tmp_path / "c"
        )
