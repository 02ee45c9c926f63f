from __future__ import annotations

import pytest
import torch

import small_data
from convscope.core.config import RunConfig
from convscope.core.run.display import Display
from convscope.training.prepare_data import prepare_data
from convscope.training.pytorch.loop import Job
from convscope.training.pytorch.overfit import STEPS, overfit_one_batch
from convscope.training.pytorch.single_step import take_step
from convscope.training.train import open_data, start_or_resume

QUIET = Display(quiet=True)


@pytest.fixture
def parts(npz, tmp_path):
    made = RunConfig.from_dict(small_data.settings()).merge(
        {"data": {"source": str(npz)}, "augment": {"mix": "both"}}
    )
    source, choice = open_data(made, QUIET)
    prepared = prepare_data(source, choice, made.data, seed=0, folder=tmp_path, display=QUIET)
    session = start_or_resume(made, prepared, choice.start, folder=tmp_path, display=QUIET)
    return session.job, session.state


def test_a_healthy_network_learns_a_batch_by_heart(parts):
    found = overfit_one_batch(*parts, rate=0.05)
    assert found.learnt and len(found.losses) < STEPS
    assert sum(found.losses[-5:]) / 5 < 0.05 * found.losses[0]


def test_it_sees_the_same_plain_images_in_every_step(parts):
    job, state = parts
    seen = []
    state.network.register_forward_pre_hook(lambda _net, x: seen.append(x[0].clone()))
    overfit_one_batch(job, state, rate=0.05)
    assert all(torch.equal(seen[0], x) for x in seen)


@pytest.mark.slow
def test_a_rate_of_zero_learns_nothing(parts):
    found = overfit_one_batch(*parts, rate=0.0)
    assert (
        not found.learnt and len(found.losses) == STEPS and found.losses[0] == pytest.approx(found.losses[-1])
    )


@pytest.mark.slow
def test_labels_that_reach_nothing_are_found_out(parts):
    job, state = parts
    deaf = Job(**{**vars(job), "loss": lambda logits, targets: job.loss(logits * 0, targets)})
    assert not overfit_one_batch(deaf, state, rate=0.05).learnt


def test_one_step_lowers_the_loss_and_gives_that_before_it(parts):
    job, state = parts
    batch = next(job.loader.epoch(0))
    state.network.eval()
    before = float(job.loss(state.network(batch[0]), batch[1]).detach())
    first, second = (take_step(job, state, batch, rate=0.01) for _ in range(2))
    assert first == pytest.approx(before, rel=1e-5) and second < first
