from __future__ import annotations

import dataclasses

import pytest
import torch

import small_data
from convscope.core.config import RunConfig
from convscope.core.errors import Failure
from convscope.core.run.progress import Silent
from convscope.training.checks import HIGHEST, LOWEST, OVERFIT_STEPS, find_rate, overfit_one_batch
from convscope.training.interrupt import Interrupt
from convscope.training.prepare_run import prepare_run
from watching import Watching


def begin(npz, folder, mix="none", **settings):
    folder.mkdir()
    config = RunConfig.from_dict(small_data.settings(**settings)).merge(
        {"data": {"source": str(npz)}, "augment": {"policy": "basic", "mix": mix}}
    )
    return prepare_run(config, folder, observer=Silent())


def with_loss(session, loss):
    """The same session, which learns from another loss."""

    class Replaced:
        score, mixable = session.job.loss.score, session.job.loss.mixable

        def __call__(self, logits, targets):
            return loss(logits, targets)

    return dataclasses.replace(session, job=dataclasses.replace(session.job, loss=Replaced()))


def deaf(session):
    """Whatever the network says, the loss is the same."""
    return with_loss(session, lambda logits, targets: session.job.loss(logits * 0, targets))


# Which rate


@pytest.mark.slow
def test_the_rate_it_finds_trains(npz, tmp_path):
    watching = Watching()
    found = find_rate(begin(npz, tmp_path / "search"), watching.progress)
    assert LOWEST < found.suggestion < HIGHEST and len(found.rates) == len(found.losses)
    assert found.rates == sorted(found.rates) and found.rates[0] == LOWEST
    assert {what for what, *_ in watching.work} == {"learning rate"}
    session = begin(npz, tmp_path / "run", lr=found.suggestion, epochs=4)
    session.fit(Interrupt())
    assert session.state.progress.best_score > 0.9


@pytest.mark.slow
def test_the_same_search_finds_the_same(npz, tmp_path):
    first, second = (find_rate(begin(npz, tmp_path / name), Silent().progress) for name in "ab")
    assert first == second


@pytest.mark.slow
def test_a_network_that_learns_nothing_has_no_rate(npz, tmp_path):
    with pytest.raises(Failure, match=r"no learning rate from 1e-5 to 10 lowers the loss; .*--check overfit"):
        find_rate(deaf(begin(npz, tmp_path / "run")), Silent().progress)


def test_a_loss_that_is_never_a_number_ends_the_search(npz, tmp_path):
    session = begin(npz, tmp_path / "run")
    broken = with_loss(session, lambda logits, targets: logits.sum() * float("nan"))
    with pytest.raises(Failure, match="no learning rate"):
        find_rate(broken, Silent().progress)


# Can it learn at all


@pytest.fixture
def session(npz, tmp_path):
    return begin(npz, tmp_path / "run", mix="both")


def test_a_healthy_network_memorises_a_batch(session):
    watching = Watching()
    found = overfit_one_batch(session, 0.05, watching.progress)
    assert found.memorised and len(found.losses) < OVERFIT_STEPS
    assert sum(found.losses[-5:]) / 5 < 0.05 * found.losses[0]
    assert watching.work[-1] == ("one batch", len(found.losses), OVERFIT_STEPS)


def test_it_sees_the_same_plain_images_in_every_step(session):
    seen = []
    session.network.register_forward_pre_hook(lambda _net, x: seen.append(x[0].clone()))
    overfit_one_batch(session, 0.05, Silent().progress)
    assert all(torch.equal(seen[0], x) for x in seen)


@pytest.mark.slow
def test_a_rate_of_zero_learns_nothing(session):
    found = overfit_one_batch(session, 0.0, Silent().progress)
    assert not found.memorised and len(found.losses) == OVERFIT_STEPS
    assert found.losses[0] == pytest.approx(found.losses[-1])


@pytest.mark.slow
def test_labels_that_reach_nothing_are_found_out(session):
    assert not overfit_one_batch(deaf(session), 0.05, Silent().progress).memorised


def test_one_trial_lowers_the_loss_and_gives_that_before_it(session):
    x, targets = next(session.job.loader.epoch(0))
    session.network.eval()
    before = float(session.job.loss(session.network(x), targets).detach())
    first, second = (session.trial(0.01, 0) for _ in range(2))
    assert first == pytest.approx(before, rel=1e-5) and second < first


def test_trials_go_on_over_epochs(session):
    batches = len(session.job.loader)
    seen = []
    session.network.register_forward_pre_hook(lambda _net, x: seen.append(x[0].clone()))
    session.trial(0.0, batches + 1)
    assert torch.equal(seen[0], next(session.job.loader.epoch(1, start=1))[0])
