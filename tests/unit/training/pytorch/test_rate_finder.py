from __future__ import annotations

import pytest

import small_data
from convscope.core.config import RunConfig
from convscope.core.errors import Failure
from convscope.core.run.display import Display
from convscope.training.interrupt import Interrupt
from convscope.training.prepare_data import prepare_data
from convscope.training.pytorch.loop import Job, fit
from convscope.training.pytorch.rate_finder import HIGHEST, LOWEST, find_rate
from convscope.training.train import open_data, start_or_resume

QUIET = Display(quiet=True)


def parts(npz, folder, **settings):
    folder.mkdir()
    config = RunConfig.from_dict(small_data.settings(**settings)).merge({"data": {"source": str(npz)}})
    source, choice = open_data(config, QUIET)
    prepared = prepare_data(source, choice, config.data, seed=0, folder=folder, display=QUIET)
    session = start_or_resume(config, prepared, choice.start, folder=folder, display=QUIET)
    return session.job, session.state


@pytest.mark.slow
def test_the_rate_it_finds_trains(npz, tmp_path):
    found = find_rate(*parts(npz, tmp_path / "search"))
    assert LOWEST < found.suggestion < HIGHEST and len(found.rates) == len(found.losses)
    assert found.rates == sorted(found.rates) and found.rates[0] == LOWEST
    job, state = parts(npz, tmp_path / "run", lr=found.suggestion, epochs=4)
    fit(job, state, Interrupt())
    assert state.progress.best_score > 0.9


@pytest.mark.slow
def test_the_same_search_finds_the_same(npz, tmp_path):
    assert find_rate(*parts(npz, tmp_path / "a")) == find_rate(*parts(npz, tmp_path / "b"))


@pytest.mark.slow
def test_a_network_that_learns_nothing_has_no_rate(npz, tmp_path):
    job, state = parts(npz, tmp_path / "run")
    deaf = Job(**{**vars(job), "loss": lambda logits, targets: job.loss(logits * 0, targets)})
    with pytest.raises(Failure, match=r"no learning rate from 1e-5 to 10 lowers the loss; .*--check overfit"):
        find_rate(deaf, state)


def test_a_loss_that_is_never_a_number_ends_the_search(npz, tmp_path):
    job, state = parts(npz, tmp_path / "run")
    with pytest.raises(Failure, match="no learning rate"):
        find_rate(Job(**{**vars(job), "loss": lambda logits, targets: logits.sum() * float("nan")}), state)
