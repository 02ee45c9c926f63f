from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from convscope.core.resolved_config import ResolvedTrain
from convscope.core.run.progress import Silent
from convscope.training.engine import DivergedError
from convscope.training.pytorch import meter as module
from convscope.training.pytorch.checkpoint import Progress
from convscope.training.pytorch.meter import Meter, gradient_norms


def meter(progress=None, *, observer=None, **settings):
    config = ResolvedTrain(**{"epochs": 12, "batch_size": 8, "lr": 0.1} | settings)
    return Meter(config, progress or Progress(), observer or Silent(), score="closeness", batches=10)


def batch(meter, loss, score=2.0, images=4):
    meter.add(torch.tensor(loss), torch.tensor(score), images=images, lr=0.05)


def test_the_row_is_the_mean_over_images():
    m = meter()
    m.start_epoch()
    batch(m, 1.0, score=2)
    batch(m, 3.0, score=3)
    m.read_pending()
    row = m.row()
    assert (row["epoch"], row["train_loss"], row["train_closeness"], row["lr"]) == (1, 2.0, 0.625, 0.05)
    assert row["seconds"] >= 0 and row["images_per_second"] > 0
    assert m.progress.batch == 2 and m.progress.seen == 8


def test_an_observer_is_told_four_times_a_second(monkeypatch):
    now, seen = 100.0, []
    monkeypatch.setattr(module.time, "perf_counter", lambda: now)

    class Watching(Silent):
        def step(self, place, whole, figures):
            seen.append((place, whole, figures))

    m = meter(observer=Watching())
    batch(m, 1.0)
    assert seen == []
    now = 100.5
    batch(m, 3.0)
    assert seen == [((0, 2), (12, 10), {"loss": 2.0, "closeness": 0.5, "rate": 16.0})]


def test_the_next_epoch_starts_empty_and_time_adds_up():
    m = meter()
    m.progress.epoch_seconds, m.progress.seconds = 2.5, 1.0
    batch(m, 1.0)
    m.read_pending()
    spent = m.progress.epoch_seconds
    m.next_epoch()
    p = m.progress
    assert (p.epoch, p.batch, p.seen, p.loss_sum, p.score_sum, p.epoch_seconds) == (1, 0, 0, 0.0, 0.0, 0.0)
    assert p.seconds == pytest.approx(1.0 + spent)


@pytest.mark.parametrize("loss", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_nan_says_where_and_what_to_do(loss):
    m = meter(Progress(epoch=2), lr=0.3)
    batch(m, 1.0)
    with pytest.raises(DivergedError) as caught:
        batch(m, loss)
    text = str(caught.value)
    assert f"the loss became {loss} at step 22 (epoch 3, batch 2 of 10) with learning rate 0.05" in text
    assert "--set train.lr=0.03" in text and caught.value.exit_code == 1


def test_on_a_device_that_is_asked_late_the_step_is_still_named():
    """Losses of a GPU are read 16 at a time; here they wait because nobody settles."""
    m = meter()
    m.progress.batch = 7
    m._pending = [torch.tensor([v, 1.0]) for v in (1.0, 2.0, math.nan, 1.0)]
    m._images = 4
    with pytest.raises(DivergedError, match=r"step 6 \(epoch 1, batch 6 of 10\)"):
        m.read_pending()


def test_a_checkpoint_is_due_by_the_clock(monkeypatch):
    now = 100.0
    monkeypatch.setattr(module.time, "perf_counter", lambda: now)
    m = meter(checkpoint_seconds=60.0)
    assert not m.checkpoint_due()
    now = 161.0
    assert m.checkpoint_due() and not m.checkpoint_due()
    assert meter(checkpoint_seconds=0.0).checkpoint_due()


def test_gradient_norms_by_parameter():
    net = nn.Linear(2, 1)
    net.weight.grad = torch.tensor([[3.0, 4.0]])
    assert gradient_norms(net) == {"weight": 5.0}
