from __future__ import annotations

import statistics
from pathlib import Path

import pytest

import small_data
from convscope.core.config import RunConfig
from convscope.core.errors import UserError
from convscope.core.run.progress import Silent
from convscope.experiments import repeat as module
from convscope.experiments.compare import MeanStd
from convscope.experiments.repeat import Repeated, repeat
from convscope.training.finalise import Run, RunMetrics

QUIET = Silent()


def config(npz):
    return RunConfig.from_dict(small_data.settings(epochs=1)).merge({"data": {"source": str(npz)}, "seed": 3})


def fake(status, accuracy):
    return Run(Path("x"), RunMetrics(status, test={"top1": accuracy} if accuracy else None))


def test_mean_and_deviation_are_those_of_the_runs_that_ended():
    runs = Repeated((fake("finished", 0.5), fake("finished", 0.7), fake("interrupted", None)))
    assert runs.mean_std() == MeanStd(2, pytest.approx(0.6), pytest.approx(statistics.stdev([0.5, 0.7])))
    assert Repeated((fake("finished", 0.5),)).mean_std() == MeanStd(1, 0.5, None)
    with pytest.raises(UserError, match="no run has test figures yet"):
        Repeated((fake("interrupted", None),)).mean_std()


def test_fewer_than_one_seed_is_refused(npz):
    with pytest.raises(UserError, match="--seeds 0 was given"):
        repeat(config(npz), 0)


@pytest.mark.slow
@pytest.mark.usefixtures("no_pictures")
def test_a_series_that_was_stopped_goes_on(npz, tmp_path, monkeypatch):
    real = module.train_run

    def stops_in_the_second(made, **kwargs):
        if made.seed == 4:
            raise KeyboardInterrupt
        return real(made, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(module, "train_run", stops_in_the_second)
        with pytest.raises(KeyboardInterrupt):
            repeat(config(npz), 3, out=tmp_path / "run", observer=QUIET)
    first = (tmp_path / "run" / "bundle.safetensors").stat().st_mtime_ns
    done = repeat(config(npz), 3, out=tmp_path / "run", resume=True, observer=QUIET)
    assert [run.folder.name for run in done.runs] == ["run", "run-2", "run-3"]
    assert [run.folder.joinpath("config.json").read_text().count('"seed": ') for run in done.runs] == [
        1,
        1,
        1,
    ]
    assert (tmp_path / "run" / "bundle.safetensors").stat().st_mtime_ns == first
    again = repeat(config(npz), 3, out=tmp_path / "run", resume=True, observer=QUIET)
    assert again.mean_std() == done.mean_std() and len(list(tmp_path.iterdir())) == 3


def test_an_interrupted_run_ends_the_series(npz, monkeypatch):
    monkeypatch.setattr(module, "train_run", lambda *a, **k: fake("interrupted", None))
    assert len(repeat(config(npz), 5).runs) == 1
