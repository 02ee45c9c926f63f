from __future__ import annotations

import statistics
from pathlib import Path

import pytest

import small_data
from convscope.core.config import RunConfig
from convscope.core.errors import UserError
from convscope.core.run.display import Display
from convscope.experiments import repeat as module
from convscope.experiments.repeat import Repeated, repeat
from convscope.training.finalise import Run

QUIET = Display(quiet=True)


def config(npz):
    return RunConfig.from_dict(small_data.settings(epochs=1)).merge({"data": {"source": str(npz)}, "seed": 3})


def fake(status, accuracy):
    return Run(Path("x"), status, {"test": {"top1": accuracy}} if accuracy else {})


def test_the_spread_is_that_of_the_runs_that_ended():
    runs = Repeated((fake("finished", 0.5), fake("finished", 0.7), fake("interrupted", None)))
    assert runs.spread() == (pytest.approx(0.6), pytest.approx(statistics.stdev([0.5, 0.7])))
    assert Repeated((fake("finished", 0.5),)).spread() == (0.5, 0.0)
    with pytest.raises(UserError, match="no run has test figures yet"):
        Repeated((fake("interrupted", None),)).spread()


def test_fewer_than_one_seed_is_refused(npz):
    with pytest.raises(UserError, match="--seeds 0 was given"):
        repeat(config(npz), 0)


@pytest.mark.slow
@pytest.mark.usefixtures("no_pictures")
def test_a_series_that_was_stopped_goes_on(npz, tmp_path, monkeypatch):
    real = module.train_run

    def stops_in_the_second(made, **words):
        if made.seed == 4:
            raise KeyboardInterrupt
        return real(made, **words)

    with monkeypatch.context() as patch:
        patch.setattr(module, "train_run", stops_in_the_second)
        with pytest.raises(KeyboardInterrupt):
            repeat(config(npz), 3, out=tmp_path / "run", display=QUIET)
    first = (tmp_path / "run" / "bundle.safetensors").stat().st_mtime_ns
    done = repeat(config(npz), 3, out=tmp_path / "run", resume=True, display=QUIET)
    assert [run.folder.name for run in done.runs] == ["run", "run-2", "run-3"]
    assert [run.folder.joinpath("config.json").read_text().count('"seed": ') for run in done.runs] == [
        1,
        1,
        1,
    ]
    assert (tmp_path / "run" / "bundle.safetensors").stat().st_mtime_ns == first
    again = repeat(config(npz), 3, out=tmp_path / "run", resume=True, display=QUIET)
    assert again.spread() == done.spread() and len(list(tmp_path.iterdir())) == 3


def test_an_interrupted_run_ends_the_series(npz, monkeypatch):
    monkeypatch.setattr(module, "train_run", lambda *a, **k: fake("interrupted", None))
    assert len(repeat(config(npz), 5).runs) == 1
