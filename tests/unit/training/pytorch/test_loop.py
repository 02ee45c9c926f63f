from __future__ import annotations

import dataclasses
import errno
import os

import numpy as np
import pytest
import torch
from torch import nn

import small_data
from convscope.core.bundle import Bundle
from convscope.core.config import RunConfig
from convscope.core.errors import Failure
from convscope.core.resolved_config import ResolvedTrain
from convscope.core.run.progress import Silent
from convscope.data.pytorch.loader import Loader
from convscope.training.engine import DivergedError
from convscope.training.interrupt import Interrupt
from convscope.training.prepare_run import prepare_run
from convscope.training.pytorch import loop
from convscope.training.pytorch.checkpoint import Progress, load_checkpoint, read_progress
from convscope.training.pytorch.loop import fit, out_of_patience, set_rate, update_weights, validate_epoch
from convscope.training.schedule import multiplier
from convscope.training.train import train_run
from interruption import Killed, kill_at, outcome
from no_drawing import undrawn

pytestmark = pytest.mark.usefixtures("no_pictures")

EVERYTHING = {
    "model": {"name": "small_cnn", "options": {"widths": [4, 6], "hidden": 8}},
    "augment": {"policy": "basic", "mix": "mixup"},
    "train": {
        "epochs": 4,
        "ema": 0.9,
        "accumulate": 3,
        "checkpoint_seconds": 0.0,
        "clip": 1.0,
        "label_smoothing": 0.1,
    },
}
VARIANTS = {
    "everything at once": {},
    "adamw, cosine": {"train": {"optimizer": "adamw", "lr": 0.003, "schedule": "cosine", "accumulate": 1}},
    "adam, plateau, cutmix": {
        "train": {"optimizer": "adam", "lr": 0.003, "schedule": "plateau", "ema": 0.0},
        "augment": {"mix": "cutmix", "policy": "strong"},
    },
    "sampler, bfloat16": {"train": {"imbalance": "sampler", "precision": "bfloat16", "schedule": "step"}},
    "weights, auto, early stop": {
        "train": {"imbalance": "weights", "patience": 1, "schedule": "constant"},
        "augment": {"policy": "auto", "mix": "none"},
    },
    "focal, early stop, no momentum": {
        "train": {"imbalance": "focal", "patience": 2, "momentum": 0.0, "lr": 1e-4}
    },
}


def config(npz, **sections):
    base = RunConfig.from_dict(small_data.settings()).merge({"data": {"source": str(npz)}})
    return base.merge(sections)


def run(made: RunConfig, out, **words):
    return train_run(made, out=out, observer=Silent(), **words)


def parts(made: RunConfig, folder):
    """The job and the state of a run before its first step."""
    folder.mkdir()
    session = prepare_run(made, folder, observer=Silent())
    return session.job, session.state


@pytest.fixture(scope="module", params=list(VARIANTS))
def whole(request, npz, tmp_path_factory):
    """A configuration and what its run of 4 epochs came to when nobody interrupted it."""
    made = config(npz, **EVERYTHING).merge(VARIANTS[request.param])
    folder = tmp_path_factory.mktemp("whole") / "run"
    with pytest.MonkeyPatch.context() as patch:
        undrawn(patch.setattr)
        run(made, folder)
    return made, outcome(folder)


@pytest.mark.slow
@pytest.mark.parametrize(("call", "before"), [(1, True), (2, False), (4, True), (5, False), (6, False)])
def test_a_killed_run_goes_on_bit_for_bit(whole, call, before, tmp_path, monkeypatch):
    made, expected = whole
    with monkeypatch.context() as patch:
        kill_at(patch, call, before=before)
        with pytest.raises(Killed):
            run(made, tmp_path / "run")
    assert not (tmp_path / "run" / "bundle.safetensors").exists()
    run(made, tmp_path / "run", resume=True)
    assert outcome(tmp_path / "run") == expected
    assert not (tmp_path / "run-2").exists()


@pytest.mark.slow
def test_a_run_killed_at_every_single_checkpoint_still_gets_there(npz, tmp_path, monkeypatch):
    made = config(npz, **EVERYTHING).merge({"train": {"epochs": 2}})
    run(made, tmp_path / "whole")
    for _ in range(40):
        with monkeypatch.context() as patch:
            kill_at(patch, 1, before=False)
            try:
                run(made, tmp_path / "run", resume=True)
                break
            except Killed:
                continue
    assert outcome(tmp_path / "run") == outcome(tmp_path / "whole")


@pytest.mark.slow
def test_the_same_seed_gives_the_same_weights_and_another_gives_others(npz, tmp_path):
    made = config(npz, **EVERYTHING).merge({"train": {"epochs": 1, "checkpoint_seconds": 60.0}})
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        torch.manual_seed(len(name) + seed)  # what was drawn before must not matter
        run(made.merge({"seed": seed}), tmp_path / name)
    a, b, c = (outcome(tmp_path / name) for name in "abc")
    assert a == b
    assert all(a[0][name] != c[0][name] for name in a[0] if name.endswith("conv.weight"))
    assert a[0] != c[0]


def test_accumulated_batches_give_the_gradient_of_the_large_batch(npz, tmp_path, monkeypatch):
    # simple_cnn has no batch norm, whose statistics are those of the small batches.
    common = {"optimizer": "sgd", "momentum": 0.0, "schedule": "constant", "warmup": 0.0, "epochs": 1}
    small = config(npz, train={"batch_size": 8, "accumulate": 6, **common}, augment={"policy": "none"})
    large = small.merge({"train": {"batch_size": 48, "accumulate": 1}})
    weights = []
    for name, made in (("small", small), ("large", large)):
        job, state = parts(made, tmp_path / name)
        monkeypatch.setattr(Loader, "__len__", lambda _self, size=made.train.batch_size: 48 * 3 // size)
        fit(job, state, Interrupt())
        weights.append(state.network.state_dict())
    for name in weights[0]:
        torch.testing.assert_close(weights[0][name], weights[1][name], rtol=1e-4, atol=1e-6)


def test_a_group_that_an_epoch_cuts_short_is_averaged_over_what_it_has(npz, tmp_path):
    """162 training images, batches of 24: 6 batches, accumulate 4 → updates of 4 and of 2 batches."""
    job, state = parts(config(npz, train={"accumulate": 4, "epochs": 1}), tmp_path / "run")
    steps = []
    real = state.optimizer.step
    state.optimizer.step = lambda *a, **k: (steps.append(state.progress.batch), real(*a, **k))[1]
    fit(job, state, Interrupt())
    assert len(job.loader) == 6 and steps == [3, 5]


def test_the_schedule_reaches_the_optimiser(npz, tmp_path):
    made = config(
        npz, train={"epochs": 3, "accumulate": 2, "warmup": 0.34, "schedule": "one_cycle", "lr": 0.2}
    )
    job, state = parts(made, tmp_path / "run")
    seen = []
    real = state.optimizer.step
    state.optimizer.step = lambda *a, **k: (
        seen.append(state.optimizer.param_groups[0]["lr"]),
        real(*a, **k),
    )[1]
    fit(job, state, Interrupt())
    assert seen == [0.2 * multiplier("one_cycle", step, 9, warmup=3) for step in range(9)]
    assert max(seen) == 0.2 and all(group["lr"] == seen[-1] for group in state.optimizer.param_groups)


def test_plateau_looks_at_validation_losses(npz, tmp_path):
    made = config(npz, train={"schedule": "plateau", "warmup": 0.0, "lr": 0.5, "epochs": 20})
    job, state = parts(made, tmp_path / "run")
    state.progress.epoch, state.progress.losses = 7, [1.0] * 7
    assert set_rate(state, job.config, 6) == pytest.approx(0.05)


def test_a_clipped_gradient_is_no_longer_than_the_limit(npz, tmp_path):
    made = config(npz, train={"clip": 0.01, "momentum": 0.0, "weight_decay": 0.0, "nesterov": False})
    job, state = parts(made, tmp_path / "run")
    before = [p.detach().clone() for p in state.network.parameters()]
    for p in state.network.parameters():
        p.grad = torch.ones_like(p)
    state.optimizer.param_groups[0]["lr"] = state.optimizer.param_groups[-1]["lr"] = 1.0
    update_weights(state, job.config)
    moved = torch.cat(
        [(b - p.detach()).flatten() for b, p in zip(before, state.network.parameters(), strict=True)]
    )
    assert float(moved.norm()) == pytest.approx(0.01, rel=1e-3)


def test_the_average_is_judged_and_kept_and_the_weights_go_on(npz, tmp_path):
    job, state = parts(config(npz, train={"ema": 0.9}), tmp_path / "run")
    for p in state.network.parameters():
        nn.init.zeros_(p)
    own = {name: value.clone() for name, value in state.network.state_dict().items()}
    row = validate_epoch(job, state)
    assert row["best"] and state.progress.best_epoch == 1
    average = state.ema.state()
    assert all(torch.equal(value, average[name]) for name, value in state.best.items())
    assert all(torch.equal(value, own[name]) for name, value in state.network.state_dict().items())


def train_config(**settings):
    return ResolvedTrain(**{"epochs": 12, "batch_size": 8, "lr": 0.1} | settings)


@pytest.mark.parametrize(
    ("patience", "epoch", "best", "expected"),
    [(0, 9, 1, False), (2, 3, 2, False), (2, 4, 2, True), (1, 1, 1, False)],
)
def test_patience(patience, epoch, best, expected):
    assert (
        out_of_patience(train_config(patience=patience), Progress(epoch=epoch, best_epoch=best)) is expected
    )


def test_patience_ends_a_run_early_and_keeps_the_best(npz, tmp_path):
    done = run(config(npz, train={"patience": 1, "epochs": 30, "lr": 1e-7}), tmp_path / "run")
    assert done.status == "early"
    assert len(done.history) == done.metrics["epochs"] == done.metrics["best_epoch"] + 1 < 30
    assert (
        run(
            config(npz, train={"patience": 1, "epochs": 30, "lr": 1e-7}), tmp_path / "run", resume=True
        ).status
        == "early"
    )


def test_gradient_norms_are_a_part_of_the_row(npz, tmp_path):
    done = run(config(npz, train={"gradient_norms": True, "epochs": 1}), tmp_path / "run")
    norms = done.history[0]["gradient_norms"]
    assert set(norms) <= set(Bundle.load(tmp_path / "run").weights) and min(norms.values()) > 0


def test_validation_never_sees_an_augmented_image(npz, tmp_path, monkeypatch):
    """Whatever reaches the network in evaluation mode is a prepared image, bit for bit."""
    made = config(npz, augment={"policy": "strong", "mix": "both"}, train={"epochs": 1})
    job, state = parts(made, tmp_path / "run")
    seen, modes = [], set()
    state.network.register_forward_pre_hook(
        lambda net, x: (modes.add(net.training), seen.append(x[0].clone()) if not net.training else None)[1]
    )
    fit(job, state, Interrupt())
    source = np.load(npz)["x_train"]
    plain = {image.tobytes() for image in source}
    mean, std = job.loader.mean[0], job.loader.std[0]
    pixels = ((torch.cat(seen)[:, 0] * std + mean) * 255).round().to(torch.uint8).numpy()
    assert modes == {True, False}
    assert len(pixels) == 18 and all(image.tobytes() in plain for image in pixels)


@pytest.mark.parametrize(("at", "epoch", "batch"), [(1, 1, 1), (4, 1, 4), (9, 2, 3)])
def test_a_loss_that_is_no_number_names_the_step(npz, tmp_path, at, epoch, batch):
    job, state = parts(config(npz, train={"lr": 0.25}), tmp_path / "run")

    class Loss:
        calls = 0
        score, mixable = job.loss.score, job.loss.mixable

        def __call__(self, logits, targets):
            self.calls += 1
            return job.loss(logits, targets) * (float("nan") if self.calls == at else 1.0)

    broken = dataclasses.replace(job, loss=Loss())
    with pytest.raises(
        DivergedError, match=rf"nan at step {at} \(epoch {epoch}, batch {batch} of 6\).*lr=0\.025"
    ):
        fit(broken, state, Interrupt())
    assert all(torch.isfinite(value).all() for value in state.best.values())
    saved = read_progress(job.folder)
    assert (saved.epoch if saved else 0) == epoch - 1


def test_weights_that_break_in_the_last_step_of_an_epoch_are_never_the_best(npz, tmp_path):
    """The loss of that step is still a number; only validation can notice."""
    job, state = parts(config(npz, train={"epochs": 2}), tmp_path / "run")
    real, steps = state.optimizer.step, 0

    def step(*a, **k):
        nonlocal steps
        real(*a, **k)
        steps += 1
        if steps == 12:
            for p in state.network.parameters():
                p.data.fill_(float("nan"))

    state.optimizer.step = step
    with pytest.raises(DivergedError, match=r"validation loss.*epoch 2.*lr="):
        fit(job, state, Interrupt())
    assert state.best and all(torch.isfinite(value).all() for value in state.best.values())
    assert state.progress.best_epoch == 1


def test_interruption_saves_within_the_epoch_after_a_whole_update(npz, tmp_path):
    job, state = parts(config(npz, train={"accumulate": 3, "checkpoint_seconds": 1e6}), tmp_path / "run")
    interrupt = Interrupt()
    interrupt.asked = True
    assert fit(job, state, interrupt) == "interrupted"
    assert (state.progress.epoch, state.progress.batch) == (0, 3)
    fresh = parts(config(npz, train={"accumulate": 3}), tmp_path / "other")[1]
    load_checkpoint(job.folder, fresh)
    for name, value in state.network.state_dict().items():
        assert torch.equal(value, fresh.network.state_dict()[name])


def test_asked_in_the_last_batch_a_finished_run_is_finished(npz, tmp_path):
    job, state = parts(config(npz, train={"epochs": 1}), tmp_path / "run")
    interrupt = Interrupt()
    real = job.validate
    late = dataclasses.replace(job, validate=lambda: (setattr(interrupt, "asked", True), real())[1])
    assert fit(late, state, interrupt) == "finished"


def full(_fd):
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.slow
def test_a_full_disk_leaves_the_checkpoint_before_it(npz, tmp_path, monkeypatch):
    made = config(npz, train={"checkpoint_seconds": 0.0, "epochs": 2})
    run_folder = tmp_path / "run"
    real, calls = loop.save_checkpoint, 0

    def save(folder, state):
        nonlocal calls
        calls += 1
        if calls == 4:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(os, "fsync", full)
                real(folder, state)
        real(folder, state)

    with monkeypatch.context() as patch:
        patch.setattr(loop, "save_checkpoint", save)
        with pytest.raises(Failure, match=r"the disk is full: could not write .*checkpoint\.safetensors"):
            run(made, run_folder)
    assert read_progress(run_folder).batch == 3
    assert [p.name for p in run_folder.iterdir() if p.name.endswith(".part")] == []
    run(made, run_folder, resume=True)
    run(made, tmp_path / "whole")
    assert outcome(run_folder) == outcome(tmp_path / "whole")


@pytest.mark.parametrize("imbalance", ["none", "weights", "sampler", "focal"])
def test_the_switch_reaches_loss_and_loader(npz, tmp_path, imbalance):
    job, _ = parts(config(npz, train={"imbalance": imbalance}), tmp_path / "run")
    assert (job.loader.weights is not None) == (imbalance == "sampler")
    logits, targets = torch.tensor([[2.0, 0.0, 0.0]]), torch.tensor([0])
    plain = float(nn.functional.cross_entropy(logits, targets))
    assert (float(job.loss(logits, targets)) < 0.5 * plain) == (imbalance == "focal")
