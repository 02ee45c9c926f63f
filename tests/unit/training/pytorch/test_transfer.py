from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import nn

import photographs
import small_data
from convscope.core.bundle import Bundle
from convscope.core.config import RunConfig
from convscope.core.errors import UserError
from convscope.core.run.progress import Silent
from convscope.inference.load import load
from convscope.models.pytorch.pretrained import build_pretrained, open_pretrained
from convscope.models.pytorch.zoo import create
from convscope.training.engine import DivergedError, Initialisation
from convscope.training.interrupt import Interrupt
from convscope.training.prepare_run import prepare_run, resolve_run
from convscope.training.pytorch import loop
from convscope.training.pytorch.linear_probe import train_head_first
from convscope.training.pytorch.loop import fit
from convscope.training.pytorch.optimizer import parameter_groups
from convscope.training.pytorch.transfer import choose_initialisation, prepare_to_tune, rate_scales
from convscope.training.resolve import describe
from convscope.training.train import train_run
from interruption import Killed, kill_at, outcome
from no_drawing import undrawn
from watching import Watching

pytestmark = pytest.mark.usefixtures("no_pictures")


def start(photographs=True, custom=False, **sections) -> Initialisation:
    return choose_initialisation(RunConfig.from_dict(sections), photographs=photographs, custom=custom)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A file with trained weights of a small network with batch norm, none of which is what a fresh one
    has."""
    path = tmp_path_factory.mktemp("weights") / "small.safetensors"
    return write_weights(path)


def write_weights(path, seed=1):
    torch.manual_seed(seed)  # whatever was drawn before must not matter
    network = create("resnet20", input_shape=(1, 12, 12), classes=7)
    generator = torch.Generator().manual_seed(seed)
    for name, value in network.state_dict().items():
        if value.is_floating_point():
            noise = torch.rand(value.shape, generator=generator)
            value.add_(0.05 * noise) if "weight" in name else value.copy_(0.1 + noise)
    save_file({name: value.contiguous() for name, value in network.state_dict().items()}, path)
    return path


def tuned(npz, weights, **sections):
    """Fine-tuning of resnet20 on 12×12 grey images: 6 batches an epoch, on one thread."""
    base = RunConfig.from_dict(small_data.settings(lr=1e-3)).merge({"data": {"source": str(npz), "size": 12}})
    transfer = {"pretrained": str(weights), "mode": "finetune"}
    return base.merge({"model": {"name": "resnet20"}, "transfer": transfer}).merge(sections)


def run(made, out, **words):
    return train_run(made, out=out, observer=Silent(), **words)


def begin(made, folder, watching=None):
    """A run as `train_run` has it before the first step."""
    folder.mkdir()
    return prepare_run(made, folder, observer=watching or Watching())


# Where training starts


def test_photographs_start_from_squeezenet_s_features_where_nothing_is_said():
    found = start()
    assert (found.mode, found.reference, found.network) == ("probe", "squeezenet1_0", "squeezenet1_0")
    assert start(photographs=False) == Initialisation()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sections", "mode", "name"),
    [
        ({"model": {"name": "deeper_cnn"}}, "scratch", None),
        ({"model": {"name": "squeezenet1_0"}}, "scratch", None),
        ({"transfer": {"mode": "scratch"}}, "scratch", None),
        ({"transfer": {"mode": "probe"}}, "probe", "squeezenet1_0"),
        ({"transfer": {"mode": "finetune"}}, "finetune", "squeezenet1_0"),
        ({"model": {"name": "squeezenet1_0"}, "transfer": {"mode": "probe"}}, "probe", "squeezenet1_0"),
        ({"transfer": {"pretrained": "squeezenet1_0"}}, "probe", "squeezenet1_0"),
        ({"transfer": {"pretrained": "squeezenet1_0", "mode": "finetune"}}, "finetune", "squeezenet1_0"),
        ({"transfer": {"pretrained": "squeezenet1_0", "mode": "scratch"}}, "scratch", "squeezenet1_0"),
    ],
)
@pytest.mark.parametrize("photographs", [True, False])
def test_what_is_said_decides(sections, mode, name, photographs):
    found = start(photographs=photographs, **sections)
    assert (found.mode, found.network) == (mode, name)


@pytest.mark.parametrize(
    "transfer", [{"pretrained": "squeezenet1_0"}, {"mode": "probe"}, {"mode": "finetune"}]
)
def test_for_a_custom_model_there_are_no_weights(transfer):
    with pytest.raises(
        UserError, match=r"trained weights were asked for with a network of one's own.*convscope summary"
    ):
        start(custom=True, transfer=transfer)
    assert start(custom=True) == Initialisation() == start(custom=True, transfer={"mode": "scratch"})


def test_options_make_another_network_than_the_trained_one():
    with pytest.raises(UserError, match=r"model\.options were given with trained weights"):
        start(model={"name": "squeezenet1_0", "options": {"stem": 8}}, transfer={"mode": "probe"})


@pytest.mark.parametrize("word", ["", "  "])
def test_an_empty_word_is_not_taken_for_none(word):
    with pytest.raises(UserError, match="there is no trained network"):
        start(transfer={"pretrained": word})


def photos(folder, side=80, **sections):
    """What is decided for 30 coloured images."""
    images = np.zeros((30, side, side, 3), np.uint8)
    np.savez(folder / f"{side}.npz", images=images, labels=np.arange(30) % 3)
    config = RunConfig.from_dict(sections).merge({"data": {"source": str(folder / f"{side}.npz")}})
    return resolve_run(config, observer=Silent())


def test_the_images_decide_size_network_and_preprocessing(tmp_path):
    made = photos(tmp_path)
    assert (made.config.model.name, *made.config.input_shape) == ("squeezenet1_0", 3, 227, 227)
    assert made.config.augment.policy == "none" and made.spec.head == "linear"
    reason = describe(made.config, made.images, made.initialisation)
    assert "a linear head on the features of squeezenet1_0 (SqueezeNet 1.0, trained on ImageNet" in reason
    scratch = photos(tmp_path, transfer={"mode": "scratch"})
    assert (scratch.config.model.name, scratch.config.height) == ("deeper_cnn", 128)
    named = photos(tmp_path, model={"name": "small_cnn"})
    assert named.config.model.name == "small_cnn"
    assert scratch.initialisation == named.initialisation == Initialisation()


def test_small_images_are_enlarged_to_what_the_weights_know(tmp_path):
    asked = {"transfer": {"pretrained": "squeezenet1_0"}}
    made = photos(tmp_path, 12, **asked).config
    assert (made.height, made.width, made.train.batch_size) == (227, 227, 128)
    smaller = photos(tmp_path, 12, **asked, data={"size": 96}).config
    assert (smaller.height, smaller.transfer.mode) == (96, "probe")
    tuned = photos(tmp_path, 12, transfer={"pretrained": "squeezenet1_0", "mode": "finetune"}).config
    assert tuned.train.batch_size == 32


@pytest.mark.parametrize(
    ("mode", "epochs", "rate"), [("probe", 40, 0.02), ("finetune", 8, 0.001), ("scratch", 12, 0.1)]
)
def test_each_way_has_its_own_defaults(npz, weights, mode, epochs, rate):
    asked = tuned(npz, weights, transfer={"mode": mode}, train={"epochs": None, "lr": None})
    made = resolve_run(asked, observer=Silent()).config
    assert (made.train.epochs, made.train.lr) == (epochs, rate)
    assert made.data.normalise == "weights" and made.transfer.pretrained == str(weights)
    fingerprint = open_pretrained(str(weights), model="resnet20").fingerprint()
    assert made.transfer.weights_fingerprint == (None if mode == "scratch" else fingerprint)
    again = resolve_run(RunConfig.from_dict(made.to_dict()), observer=Silent()).config
    assert again == made, "what is resolved decides the same again"


def test_a_digest_that_is_given_must_be_the_weights_own(weights):
    model, file = {"name": "resnet20"}, {"pretrained": str(weights), "mode": "finetune"}
    digest = start(model=model, transfer=file).fingerprint
    assert start(model=model, transfer=file | {"weights_fingerprint": digest}).fingerprint == digest
    with pytest.raises(
        UserError,
        match=rf"holds weights {digest}, and transfer\.weights_fingerprint is 0123; give back those",
    ):
        start(model=model, transfer=file | {"weights_fingerprint": "0123"})


def test_settings_without_effect_are_said(npz, tmp_path):
    asked = RunConfig.from_dict(small_data.settings()).merge(
        {"data": {"source": str(npz)}, "transfer": {"unfreeze_every": 1}}
    )
    watching = Watching()
    begin(asked, tmp_path / "run", watching)
    line = "note: transfer.unfreeze_every has no effect, since training starts from nothing"
    assert any(said.startswith(line) for said in watching.lines)


# Rates


@pytest.mark.slow
@given(st.floats(0.1, 1.0))
def test_rates_fall_from_the_head_to_the_first_stage(decay):
    network = create("resnet20")
    scale = rate_scales(network, decay)
    stages = ["stem", "stage1", "stage2", "stage3"]
    assert [*network.stages] == stages
    for name, _ in network.named_parameters():
        part, stage = name.split(".")[:2]
        expected = 1.0 if part == "head" else decay ** (4 - stages.index(stage))
        assert scale(name) == pytest.approx(expected)


@pytest.mark.slow
def test_rates_reach_the_optimiser_and_every_step(npz, weights, tmp_path):
    made = tuned(
        npz,
        weights,
        transfer={"layer_decay": 0.5},
        train={"schedule": "constant", "warmup": 0.0, "epochs": 1},
    )
    session = begin(made, tmp_path / "run")
    scales = {
        id(p): group["scale"] for group in session.state.optimizer.param_groups for p in group["params"]
    }
    names = dict(session.network.named_parameters())
    assert {name.split(".")[1]: scales[id(p)] for name, p in names.items() if name.startswith("body")} == {
        "stem": 0.0625,
        "stage1": 0.125,
        "stage2": 0.25,
        "stage3": 0.5,
    }
    assert {scales[id(p)] for name, p in names.items() if name.startswith("head")} == {1.0}
    assert sum(len(g["params"]) for g in session.state.optimizer.param_groups) == len(names)
    fit(session.job, session.state, Interrupt())
    assert all(g["lr"] == pytest.approx(1e-3 * g["scale"]) for g in session.state.optimizer.param_groups)
    decays = {(g["scale"], g["weight_decay"]) for g in session.state.optimizer.param_groups}
    assert {(0.5, 5e-4), (0.5, 0.0), (1.0, 5e-4), (1.0, 0.0)} <= decays


def test_one_rate_makes_two_groups():
    network = create("resnet20")
    assert len(parameter_groups(network, 1e-4, rate_scales(network, 1.0))) == 2


# Frozen and unfrozen


def states(network):
    """A copy of each stage's parameters and buffers, and the head's."""
    every = {**network.stages, "head": network.head}
    return {
        name: {k: v.detach().clone() for k, v in stage.state_dict().items()} for name, stage in every.items()
    }


def moved(before, after, kind):
    """The stages in which a tensor of this kind changed: "statistics" of batch norms, or "weights"."""

    def of_kind(name):
        return ("running_" in name or "tracked" in name) == (kind == "statistics") and name not in (
            "2.mean",
            "2.std",
        )

    return {
        stage
        for stage, tensors in before.items()
        if any(of_kind(k) and not torch.equal(v, after[stage][k]) for k, v in tensors.items())
    }


def epochs_of(made, folder, monkeypatch):
    """What each stage was before and after every epoch of fine-tuning, by `moved`."""
    session = begin(made, folder)
    network, history = session.network, [states(session.network)]
    real = session.job.validate
    job = replace(session.job, validate=lambda: (history.append(states(network)), real())[1])
    fit(job, session.state, Interrupt())
    pairs = [*pairwise(history)]
    return [moved(a, b, "weights") for a, b in pairs], [moved(a, b, "statistics") for a, b in pairs]


@pytest.mark.slow
def test_stages_thaw_one_an_epoch_from_the_last_to_the_first(npz, weights, tmp_path, monkeypatch):
    made = tuned(
        npz, weights, transfer={"unfreeze_every": 1}, train={"epochs": 6, "optimizer": "adamw", "lr": 1e-3}
    )
    found, statistics = epochs_of(made, tmp_path / "run", monkeypatch)
    expected, unfrozen = [], {"head"}
    for stage in (None, "stage3", "stage2", "stage1", "stem", None):
        unfrozen = unfrozen | ({stage} if stage else set())
        expected.append(unfrozen)
    assert found == expected and statistics == [set()] * 6


@pytest.mark.slow
def test_two_epochs_a_stage(npz, weights, tmp_path, monkeypatch):
    made = tuned(npz, weights, transfer={"unfreeze_every": 2}, train={"epochs": 3})
    found, _ = epochs_of(made, tmp_path / "run", monkeypatch)
    assert found == [{"head"}, {"head"}, {"head", "stage3"}]


@pytest.mark.slow
@pytest.mark.parametrize("mix", ["none", "both"])
def test_everything_is_trained_and_norms_keep_their_statistics(npz, weights, tmp_path, monkeypatch, mix):
    found, statistics = epochs_of(tuned(npz, weights, augment={"mix": mix}), tmp_path / "run", monkeypatch)
    everything = {"head", "stem", "stage1", "stage2", "stage3"}
    assert found == [everything] * 2 and statistics == [set()] * 2


@pytest.mark.slow
def test_norms_count_on_when_asked_but_not_where_frozen(npz, weights, tmp_path, monkeypatch):
    free = tuned(npz, weights, transfer={"freeze_norms": False})
    assert epochs_of(free, tmp_path / "a", monkeypatch)[1] == [{"stem", "stage1", "stage2", "stage3"}] * 2
    slow = free.merge({"transfer": {"unfreeze_every": 1}})
    assert epochs_of(slow, tmp_path / "b", monkeypatch)[1] == [set(), {"stage3"}]


@pytest.mark.parametrize("kind", [nn.BatchNorm1d, nn.BatchNorm2d, nn.SyncBatchNorm])
def test_every_kind_of_batch_norm_is_kept(kind):
    network = create("resnet20")
    network.body.stage3.add_module("more", kind(64))
    settings = RunConfig().transfer
    prepare_to_tune(network, settings, 0)
    assert not any(
        isinstance(layer, nn.modules.batchnorm._BatchNorm) and layer.training for layer in network.modules()
    )
    assert network.training and network.head.training and all(p.requires_grad for p in network.parameters())


def test_thawing_is_a_function_of_the_epoch_alone():
    """A run that goes on asks for its epoch alone, and gets what the uninterrupted one had."""
    settings = RunConfig.from_dict({"transfer": {"unfreeze_every": 1}}).transfer
    walked, jumped = create("resnet20"), create("resnet20")
    for epoch in range(4):
        prepare_to_tune(walked, settings, epoch)
    prepare_to_tune(jumped, settings, 3)
    for one, two in zip(walked.modules(), jumped.modules(), strict=True):
        assert one.training == two.training
    for one, two in zip(walked.parameters(), jumped.parameters(), strict=True):
        assert one.requires_grad == two.requires_grad


# The head first, and the best


@pytest.mark.slow
def test_fine_tuning_starts_from_the_weights_and_a_trained_head(npz, weights, tmp_path):
    watching = Watching()
    session = begin(tuned(npz, weights), tmp_path / "run", watching)
    shipped = build_pretrained(
        open_pretrained(str(weights), model="resnet20"), input_shape=(1, 12, 12), classes=3
    )[0]
    for name, value in shipped.body.state_dict().items():
        assert torch.equal(value, session.network.body.state_dict()[name])
    accuracy = session.job.validate()["accuracy"]
    line = f"head first: validation accuracy {accuracy:.2%} before fine-tuning"
    assert accuracy > 0.7 and line in watching.lines
    assert session.state.progress.best_score == accuracy and session.state.progress.best_epoch == 0
    assert {*session.state.best} == {*session.network.state_dict()}
    assert all(p.requires_grad for p in session.network.parameters())
    assert [*(tmp_path / "run").iterdir()] == [tmp_path / "run" / "split.json"], (
        "the first training leaves nothing"
    )


OTHER_WISHES = {
    "epochs": 1, "batch_size": 7, "optimizer": "adamw", "lr": 5.0, "weight_decay": 0.9, "accumulate": 500,
    "ema": 0.99, "patience": 1, "clip": 1e-9, "schedule": "constant", "warmup": 1.0, "momentum": 0.0,
    "gradient_norms": True,
}  # fmt: skip


@pytest.mark.slow
def test_what_is_asked_of_fine_tuning_does_not_spoil_the_head_before_it(npz, weights, tmp_path):
    heads = []
    for number, train in enumerate(({}, OTHER_WISHES)):
        made = tuned(npz, weights, train=train, augment={"mix": ("none", "both")[number], "policy": "strong"})
        session = begin(made, tmp_path / str(number))
        heads.append(session.network.head.state_dict())
    assert all(torch.equal(value, heads[1][name]) for name, value in heads[0].items())


@pytest.mark.slow
def test_unequal_classes_are_met_by_the_first_head_too(npz, weights, tmp_path):
    heads = []
    for number, imbalance in enumerate(("none", "focal")):
        session = begin(tuned(npz, weights, train={"imbalance": imbalance}), tmp_path / str(number))
        heads.append(session.network.head.state_dict())
    assert not torch.equal(heads[0]["3.weight"], heads[1]["3.weight"])


@pytest.mark.slow
def test_a_run_that_only_gets_worse_ends_with_what_it_began_with(npz, weights, tmp_path, monkeypatch):
    made = tuned(
        npz, weights, train={"lr": 2.0, "clip": 1.0, "schedule": "constant", "warmup": 0.0, "epochs": 2}
    )
    session = begin(made, tmp_path / "before")
    lines = []
    monkeypatch.setattr(Silent, "say", lambda _self, text, style=None: lines.append(text))
    finished = run(made, tmp_path / "run")
    assert (
        "note: no epoch did better on validation than the head before fine-tuning; that one is kept" in lines
    )
    assert max(row["validation_accuracy"] for row in finished.history) < session.state.progress.best_score
    assert finished.metrics["best_epoch"] == 0
    assert finished.metrics["validation"]["top1"] == pytest.approx(session.state.progress.best_score)
    saved = Bundle.load(finished.folder).weights
    assert all(np.array_equal(value.numpy(), saved[name]) for name, value in session.state.best.items())


@pytest.mark.slow
def test_a_loss_that_is_no_number_leaves_the_head_first(npz, weights, tmp_path):
    with pytest.raises(DivergedError, match="the best weights before it are kept in"):
        run(tuned(npz, weights, train={"lr": 1e30, "warmup": 0.0, "schedule": "constant"}), tmp_path / "run")
    assert Bundle.load(tmp_path / "run").metrics["best_epoch"] == 0
    assert load(tmp_path / "run").classify(np.load(npz)["x_test"])[0].label in small_data.CLASSES


@pytest.mark.slow
def test_patience_counts_from_the_head(npz, weights, tmp_path):
    made = tuned(npz, weights, train={"lr": 1e-9, "patience": 2, "epochs": 9})
    finished = run(made, tmp_path / "run")
    assert finished.status == "early" and len(finished.history) == 2


@pytest.mark.slow
def test_ctrl_c_in_the_first_epoch_keeps_the_head(npz, weights, tmp_path, monkeypatch):
    import os
    import signal

    real = loop.update_weights

    def stop(state, settings):
        real(state, settings)
        if len(state.best) > 10:  # the whole network is trained, not the head before it
            os.kill(os.getpid(), signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(loop, "update_weights", stop)
        stopped = run(tuned(npz, weights), tmp_path / "run")
    assert stopped.status == "interrupted" and stopped.metrics["validation"]["top1"] > 0.7
    assert load(stopped.folder).classify(np.load(npz)["x_test"])[0].label in small_data.CLASSES
    again = run(tuned(npz, weights), tmp_path / "run", resume=True)
    assert outcome(again.folder) == outcome(run(tuned(npz, weights), tmp_path / "whole").folder)


# Kills


RESUMED = {
    "augment": {"policy": "basic", "mix": "mixup"},
    "transfer": {"unfreeze_every": 1, "layer_decay": 0.5, "freeze_norms": False},
    "train": {
        "epochs": 4,
        "ema": 0.9,
        "accumulate": 3,
        "checkpoint_seconds": 0.0,
        "optimizer": "adamw",
        "lr": 1e-3,
    },
}


@pytest.fixture(scope="module")
def whole(npz, weights, tmp_path_factory):
    made = tuned(npz, weights, **RESUMED)
    with pytest.MonkeyPatch.context() as patch:
        undrawn(patch.setattr)
        return made, outcome(run(made, tmp_path_factory.mktemp("whole") / "run").folder)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("call", "before"),
    [(1, True), (1, False), (2, False), (3, True), (4, True), (5, False), (6, False), (8, True)],
)
def test_killed_fine_tuning_goes_on_bit_for_bit(whole, call, before, tmp_path, monkeypatch):
    """6 batches an epoch in groups of 3 make checkpoints after 3 and 6 batches and at the end of the
    epoch."""
    made, expected = whole
    with monkeypatch.context() as patch:
        kill_at(patch, call, before=before, of="run")
        with pytest.raises(Killed):
            run(made, tmp_path / "run")
    run(made, tmp_path / "run", resume=True)
    assert outcome(tmp_path / "run") == expected and not (tmp_path / "run-2").exists()


@pytest.mark.slow
def test_a_run_that_goes_on_trains_no_head_first(whole, tmp_path, monkeypatch):
    made, expected = whole
    with monkeypatch.context() as patch:
        kill_at(patch, 2, before=False, of="run")
        with pytest.raises(Killed):
            run(made, tmp_path / "run")
    calls = []
    monkeypatch.setattr("convscope.training.pytorch.engine.train_head_first", lambda *a, **k: calls.append(a))
    run(made, tmp_path / "run", resume=True)
    assert calls == [] and outcome(tmp_path / "run") == expected
    assert callable(train_head_first)


# Weights that are not there any more


@pytest.fixture
def stopped(npz, tmp_path, monkeypatch):
    """A run that was killed in its second epoch, and its own file of weights."""

    def make(mode):
        file = write_weights(tmp_path / "mine.safetensors")
        made = tuned(npz, file, transfer={"mode": mode}, train={"checkpoint_seconds": 1e6})
        with monkeypatch.context() as patch:
            kill_at(patch, 1, before=False, of="run")
            with pytest.raises(Killed):
                run(made, tmp_path / "run")
        return made, file

    return make


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["probe", "finetune"])
def test_a_weight_file_that_vanished(stopped, tmp_path, mode):
    made, file = stopped(mode)
    content = file.read_bytes()
    file.unlink()
    with pytest.raises(
        UserError, match=r"there is no run or weight file at .*mine\.safetensors; give back what was there"
    ):
        run(made, tmp_path / "run", resume=True)
    file.write_bytes(content)
    assert run(made, tmp_path / "run", resume=True).status == "finished"


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["probe", "finetune"])
def test_a_weight_file_that_changed(stopped, tmp_path, mode):
    made, file = stopped(mode)
    write_weights(file, seed=2)
    some = "'[0-9a-f]{12}'"
    message = rf"was started with other settings: transfer\.weights_fingerprint was {some} and is now {some}"
    with pytest.raises(UserError, match=message):
        run(made, tmp_path / "run", resume=True)


def test_weights_by_another_spelling_are_the_same_run(npz, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_weights(tmp_path / "mine.safetensors")
    first = run(tuned(npz, "mine.safetensors", transfer={"mode": "probe"}), tmp_path / "run")
    again = run(tuned(npz, "./mine.safetensors", transfer={"mode": "probe"}), tmp_path / "run", resume=True)
    assert again.folder == first.folder and again.metrics == first.metrics


# The ways side by side


@pytest.mark.slow
@pytest.mark.parametrize("way", ["photographs", "folder of a run"])
def test_fine_tuning_from_every_kind_of_weights(npz, weights, tmp_path, way):
    if way == "photographs":
        source = photographs.write(tmp_path / "set")
        made = photographs.config(source, transfer={"mode": "finetune"}, train={"epochs": 1, "lr": 1e-3})
    else:
        first = run(tuned(npz, weights, train={"epochs": 1}), tmp_path / "first")
        transfer = {"pretrained": str(first.folder), "mode": "finetune"}
        made = RunConfig.from_dict(small_data.settings(lr=1e-3)).merge(
            {"data": {"source": str(npz)}, "transfer": transfer}
        )
        made = made.merge({"model": {"name": None}})
    finished = run(made, tmp_path / "run")
    assert finished.status == "finished" and finished.metrics["test"]["top1"] > 0.6
    bundle = Bundle.load(finished.folder)
    assert bundle.model["head"] == "linear" and bundle.provenance["config"]["transfer"]["mode"] == "finetune"


def test_scratch_takes_the_form_and_leaves_the_weights(npz, weights, tmp_path):
    session = begin(tuned(npz, weights, transfer={"mode": "scratch"}), tmp_path / "run")
    trained = open_pretrained(str(weights), model="resnet20")
    assert session.network.spec.head == "own" and session.plan.config.data.normalise == "weights"
    assert not torch.equal(session.network.body.stem[0].weight, trained.tensors["body.stem.0.weight"])
    assert session.state.best == {}


def test_normalisation_of_weights_needs_some(npz, tmp_path):
    made = RunConfig.from_dict(small_data.settings()).merge(
        {"data": {"source": str(npz), "normalise": "weights"}}
    )
    with pytest.raises(
        UserError, match=r"data\.normalise is weights, and there are no trained weights; add --pretrained"
    ):
        run(made, tmp_path / "run")
    assert [*tmp_path.iterdir()] == []
