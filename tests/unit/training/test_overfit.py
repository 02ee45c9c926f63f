from __future__ import annotations

import pytest
import torch

import tiny
from convscope.core.config import RunConfig
from convscope.training.material import gather_material
from convscope.training.overfit import STEPS, overfit_one_batch
from convscope.training.progress import Display
from convscope.training.single_step import take_step
from convscope.training.torch_loop import Job
from convscope.training.train import look_at, start_or_resume

QUIET = Display(quiet=True)


@pytest.fixture
def parts(npz, tmp_path):
    made = RunConfig.from_dict(tiny.settings()).merge({"data": {"source": str(npz)}, "augment": {"mix": "both"}})
    source, choice = look_at(made, QUIET)
    material = gather_material(source, choice, made.data, seed=0, folder=tmp_path, display=QUIET)
    begun = start_or_resume(made, material, choice.start, folder=tmp_path, display=QUIET)
    return begun.job, begun.state


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


def test_a_rate_of_zero_learns_nothing(parts):
    found = overfit_one_batch(*parts, rate=0.0)
    assert not found.learnt and len(found.losses) == STEPS and found.losses[0] == pytest.approx(found.losses[-1])


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
