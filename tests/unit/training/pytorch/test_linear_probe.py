from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import convscope
import photographs
from convscope.core.bundle import Bundle
from convscope.core.errors import UserError
from convscope.core.run.progress import Silent
from convscope.data.preparing.preprocess import Preprocess
from convscope.data.pytorch.augmentation.mix import mixup
from convscope.data.pytorch.augmentation.policies import policy
from convscope.data.pytorch.normalise import normalise
from convscope.experiments.repeat import repeat
from convscope.inference.load import load
from convscope.models.pytorch.heads import Standardise, linear_head
from convscope.models.pytorch.pretrained import build_pretrained, open_pretrained
from convscope.training.prepare_run import prepare_run
from convscope.training.pytorch.features import features_of
from convscope.training.pytorch.linear_probe import FeatureLoader
from convscope.training.train import train_run
from interruption import Killed, kill_at, outcome
from no_drawing import undrawn
from rounding import same_but_for_rounding
from watching import Watching

pytestmark = pytest.mark.usefixtures("no_pictures")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return photographs.write(tmp_path_factory.mktemp("photographs") / "set")


@pytest.fixture(scope="module")
def done(folder, tmp_path_factory):
    """A head, trained with nothing said but that it be quick."""
    with pytest.MonkeyPatch.context() as patch:
        undrawn(patch.setattr)
        return run(photographs.config(folder), tmp_path_factory.mktemp("done") / "run")


def run(made, out, **words):
    return train_run(made, out=out, observer=Silent(), **words)


def begin(made, folder):
    folder.mkdir()
    return prepare_run(made, folder, observer=Silent())


# The layer and the batches


def test_standardised_features_have_mean_0_and_deviation_1():
    layer, x = Standardise(5), torch.randn(200, 5) * torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0]) + 7
    layer.measure(x)
    assert torch.allclose(layer(x).mean(dim=0), torch.zeros(5), atol=1e-5)
    assert torch.allclose(layer(x).std(dim=0, correction=0), torch.ones(5), atol=1e-5)
    assert not [*layer.parameters()] and {*layer.state_dict()} == {"mean", "std"}


def test_a_map_that_is_blank_in_training_drowns_nothing_later():
    layer, x = Standardise(4), torch.randn(50, 4) * 6
    x[:, 0] = 0.0
    layer.measure(x)
    spark = x[:1].clone()
    spark[0, 0] = 6.0
    assert float(layer(spark)[0, 0]) < 20
    assert torch.allclose(layer.std[1:], x.std(dim=0, correction=0)[1:]), "of the others nothing changes"


@pytest.mark.parametrize("x", [torch.ones(1, 3), torch.zeros(5, 3), torch.full((4, 3), 1e20)])
def test_features_without_any_deviation_stay_finite(x):
    layer = Standardise(3)
    layer.measure(x)
    assert torch.isfinite(layer(x)).all() and torch.equal(layer(x), torch.zeros_like(x))


def test_the_linear_head_is_mean_standardise_linear():
    head = linear_head(4)(6, 3, 3)
    x = torch.randn(2, 6, 3, 3)
    head[2].measure(torch.randn(9, 6))
    by_hand = ((x.mean(dim=(2, 3)) - head[2].mean) / head[2].std) @ head[3].weight.T + head[3].bias
    torch.testing.assert_close(head(x), by_hand)
    torch.testing.assert_close(head(x.mean(dim=(2, 3), keepdim=True)), by_hand)  # as it is trained


def loader(**words):
    part = photographs.part(10)
    settings = {
        "split": part,
        "batch_size": 4,
        "augment": policy("none"),
        "mean": (0.5,),
        "std": (0.5,),
    }
    return FeatureLoader(**settings | {"seed": 5, "features": torch.arange(20.0).view(10, 2)} | words)


def test_batches_are_features_of_the_images_in_that_order():
    ours = loader()
    order = ours.order(2)
    batches = [*ours.epoch(2)]
    assert len(batches) == len(ours) == 2
    for number, (x, targets) in enumerate(batches):
        indices = order[4 * number : 4 * number + 4]
        assert x.shape == (4, 2, 1, 1) and torch.equal(
            x[:, :, 0, 0], ours.features[torch.from_numpy(indices)]
        )
        assert torch.equal(targets, torch.from_numpy(ours.split.targets[indices]))
    assert torch.equal(next(ours.epoch(2, start=1))[0], batches[1][0])


def test_mixup_blends_features_and_targets_alike_and_again():
    """Of one-hot features every blend is its own target."""
    labels = torch.from_numpy(photographs.part(10).targets)
    one_hot = lambda targets: nn.functional.one_hot(targets, 3).float()  # noqa: E731
    ours = loader(mix=mixup, mixable=one_hot, features=one_hot(labels))
    for x, targets in ours.epoch(0):
        torch.testing.assert_close(x[:, :, 0, 0], targets)
        assert bool(((targets > 0) & (targets < 1)).any())
    first, again = ([x for x, _ in ours.epoch(1)] for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[0], next(ours.epoch(2))[0])


# What a run of a head leaves


@pytest.mark.slow
def test_it_learns_and_ends_like_every_other_run(done):
    assert done.status == "finished" and done.metrics["test"]["top1"] > 0.7 and len(done.history) == 3
    bundle = Bundle.load(done.folder)
    assert bundle.model["head"] == "linear" and bundle.model["name"] == "squeezenet1_0"
    assert done.metrics["parameters"] == 735_424 + 512 * 3 + 3
    config = bundle.provenance["config"]
    assert (config["transfer"]["mode"], config["transfer"]["pretrained"]) == ("probe", "squeezenet1_0")
    assert config["transfer"]["weights_fingerprint"] == open_pretrained("squeezenet1_0").fingerprint()
    assert (config["data"]["normalise"], config["augment"]["policy"], config["train"]["lr"]) == (
        "weights",
        "none",
        0.02,
    )


def test_the_body_is_the_package_s_bit_for_bit(done):
    shipped = build_pretrained(open_pretrained("squeezenet1_0"), input_shape=(3, 72, 72), classes=3)[
        0
    ].body.state_dict()
    weights = Bundle.load(done.folder).weights
    assert len(shipped) == 50
    assert all(
        weights[f"body.{name}"].tobytes() == value.numpy().tobytes() for name, value in shipped.items()
    )


def test_standardisation_is_that_of_the_training_images_alone(done, folder, tmp_path):
    session = begin(photographs.config(folder), tmp_path / "again")
    data = session.plan.data
    words = {"precision": "float32", "progress": lambda *_: None}
    x = features_of(session.network, data.train, data.preprocess, **words).double().numpy()
    weights = Bundle.load(done.folder).weights
    np.testing.assert_allclose(weights["head.2.mean"], x.mean(axis=0), rtol=1e-5, atol=1e-5)
    deviation = x.std(axis=0)
    np.testing.assert_allclose(
        weights["head.2.std"], np.maximum(deviation, 0.1 * deviation.mean()), rtol=1e-5, atol=1e-5
    )


def test_the_answers_are_body_and_head_by_hand(done):
    network = load(done.folder)
    images, labels = photographs.pictures(9, seed=7)
    preprocess = Preprocess.from_dict(Bundle.load(done.folder).preprocess)
    batch = np.stack([preprocess.prepare(image) for image in images])
    by_hand = build_pretrained(open_pretrained("squeezenet1_0"), input_shape=(3, 72, 72), classes=3)[0].eval()
    by_hand = by_hand.to(memory_format=torch.channels_last)
    head = {
        name: torch.from_numpy(v)
        for name, v in Bundle.load(done.folder).weights.items()
        if name.startswith("head.")
    }
    by_hand.load_state_dict(by_hand.state_dict() | head)
    with torch.inference_mode():
        x = normalise(torch.from_numpy(batch).permute(0, 3, 1, 2), preprocess.mean, preprocess.std)
        expected = by_hand.head(by_hand.body(x))
    assert same_but_for_rounding(network.predict(batch), expected)
    found = [answer.label for answer in network.classify(images)]
    assert np.mean([name == photographs.CLASSES[k] for name, k in zip(found, labels, strict=True)]) > 0.7


def test_evaluate_measures_what_training_measured(done, tmp_path):
    measured = convscope.evaluate(done.folder, out=tmp_path)
    assert measured.result.to_dict() == done.metrics["test"]
    assert measured.metrics.images == 9


def test_its_validation_is_that_of_the_whole_network(done):
    """Judged on features within training, on images at its end."""
    best = max(row["validation_accuracy"] for row in done.history)
    assert done.metrics["validation"]["top1"] == pytest.approx(best, abs=1e-9)
    row = done.history[done.metrics["best_epoch"] - 1]
    assert row["validation_loss"] == pytest.approx(done.metrics["validation"]["loss"], rel=1e-4)


def test_a_run_on_features_starts_the_next_one(done, folder, tmp_path):
    """A run of a head is weights for another: the body alone is taken, the head is new."""
    made = photographs.config(folder, transfer={"pretrained": str(done.folder)}, train={"epochs": 1})
    watching = Watching()
    second = train_run(made, out=tmp_path / "run", observer=watching)
    assert "weights: all 50 tensors of the body (convscope names); the head is new" in watching.lines
    first, second = Bundle.load(done.folder), Bundle.load(second.folder)
    assert all(
        np.array_equal(v, second.weights[k]) for k, v in first.weights.items() if k.startswith("body.")
    )
    assert not np.array_equal(first.weights["head.3.weight"], second.weights["head.3.weight"])
    assert first.preprocess == second.preprocess


def count_body(monkeypatch):
    """How many images pass the body while features are computed."""
    from convscope.training.pytorch import features

    seen = []
    real = features._compute
    monkeypatch.setattr(
        features, "_compute", lambda n, part, p, **w: seen.append(len(part)) or real(n, part, p, **w)
    )
    return seen


@pytest.mark.slow
def test_another_seed_over_the_same_split_computes_no_feature(tmp_path, monkeypatch):
    """A source with its own validation and test split has the same images in train with every seed."""
    for number, split in enumerate(("train", "val", "test")):
        images, labels = photographs.pictures(18, seed=number)
        for k, image in enumerate(images):
            place = tmp_path / "set" / split / photographs.CLASSES[labels[k]]
            place.mkdir(parents=True, exist_ok=True)
            photographs.Image.fromarray(image).save(place / f"{k}.png")
    seen = count_body(monkeypatch)
    made = photographs.config(tmp_path / "set", train={"epochs": 1})
    first = run(made, tmp_path / "a")
    assert seen == [18, 18]
    second = run(made.merge({"seed": 8}), tmp_path / "b")
    assert seen == [18, 18], "nothing was computed again"
    weights = [Bundle.load(r.folder).weights for r in (first, second)]
    assert np.array_equal(weights[0]["head.2.mean"], weights[1]["head.2.mean"])
    assert not np.array_equal(weights[0]["head.3.weight"], weights[1]["head.3.weight"])


# Every setting of a training


SETTINGS = {
    "mixup": {"augment": {"mix": "mixup"}},
    "average": {"train": {"ema": 0.9}},
    "sampler": {"train": {"imbalance": "sampler"}},
    "focal": {"train": {"imbalance": "focal"}},
    "weights": {"train": {"imbalance": "weights", "label_smoothing": 0.1}},
    "accumulate": {"train": {"accumulate": 2, "batch_size": 5}},
    "patience": {"train": {"patience": 1, "lr": 1e-7, "epochs": 30}},
    "clip": {"train": {"clip": 0.1}},
    "adamw, cosine": {"train": {"optimizer": "adamw", "lr": 0.01, "schedule": "cosine"}},
    "gradient norms": {"train": {"gradient_norms": True}},
    "bfloat16": {"train": {"precision": "bfloat16"}},
    "symmetric": {"data": {"normalise": "symmetric"}},
    "statistics": {"data": {"normalise": "statistics"}},
    "a batch for all": {"train": {"batch_size": 1000}},
}


@pytest.mark.slow
@pytest.mark.parametrize("name", SETTINGS)
def test_a_head_takes_what_every_training_takes(folder, tmp_path, name):
    finished = run(photographs.config(folder, **SETTINGS[name]), tmp_path / "run")
    assert finished.status == ("early" if name == "patience" else "finished")
    assert finished.metrics["test"]["images"] == 9
    assert {a.label for a in load(finished.folder).classify(photographs.pictures(2)[0])} <= {
        *photographs.CLASSES
    }
    if name == "gradient norms":
        assert {*finished.history[0]["gradient_norms"]} == {"3.weight", "3.bias"}
    if name == "symmetric":
        assert Bundle.load(finished.folder).preprocess["mean"] == [0.5, 0.5, 0.5]


@pytest.mark.slow
def test_the_switches_reach_the_head(folder, tmp_path):
    def job(name, **sections):
        return begin(photographs.config(folder, **sections), tmp_path / name).job

    assert job("a", augment={"mix": "mixup"}).loader.mix is mixup
    assert job("b", train={"imbalance": "sampler"}).loader.weights is not None
    assert job("c").loader.mix is None and job("d").loader.weights is None


@pytest.mark.parametrize("mix", ["cutmix", "both"])
def test_boxes_cannot_be_cut_out_of_features(folder, tmp_path, mix):
    with pytest.raises(
        UserError, match=rf"augment\.mix is {mix}, and a head learns from features, .*--mode finetune"
    ):
        run(photographs.config(folder, augment={"mix": mix}), tmp_path / "run")
    assert [*tmp_path.iterdir()] == []


@pytest.mark.slow
def test_a_policy_that_was_asked_for_is_not_dropped_in_silence(folder, tmp_path):
    def notes(policy):
        watching = Watching()
        made = photographs.config(folder, augment={"policy": policy}, train={"epochs": 1})
        train_run(made, out=tmp_path / policy, observer=watching)
        return [line for line in watching.lines if line.startswith("note:")]

    assert notes("strong") == [
        "note: augment.policy has no effect, since a head learns from features that are computed once; "
        "for fine-tuning add --mode finetune"
    ]
    assert notes("none") == []


@pytest.mark.slow
def test_grey_photographs(tmp_path):
    grey = photographs.write(tmp_path / "set", channels=1)
    finished = run(photographs.config(grey), tmp_path / "run")
    bundle = Bundle.load(finished.folder)
    assert bundle.preprocess["channels"] == 1 and len(bundle.preprocess["mean"]) == 1
    assert bundle.weights["body.stem.0.weight"].shape == (96, 1, 7, 7)
    assert finished.metrics["test"]["top1"] > 0.6
    assert load(finished.folder).classify(photographs.pictures(3, channels=1)[0])[0].error is None


@pytest.mark.slow
def test_several_seeds(folder, tmp_path):
    made = photographs.config(folder, train={"epochs": 1})
    runs = repeat(made, 2, out=tmp_path / "run", observer=Silent()).runs
    assert [r.folder.name for r in runs] == ["run", "run-2"]
    again = repeat(made, 2, out=tmp_path / "run", resume=True, observer=Silent())
    assert [r.metrics for r in again.runs] == [r.metrics for r in runs]


# Kills


RESUMED = {
    "augment": {"mix": "mixup"},
    "train": {"epochs": 4, "ema": 0.9, "accumulate": 2, "checkpoint_seconds": 0.0, "batch_size": 4},
}


@pytest.fixture(scope="module")
def whole(folder, tmp_path_factory):
    made = photographs.config(folder, **RESUMED)
    with pytest.MonkeyPatch.context() as patch:
        undrawn(patch.setattr)
        return made, outcome(run(made, tmp_path_factory.mktemp("whole") / "run").folder)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("call", "before"), [(1, True), (1, False), (2, True), (2, False), (4, True), (5, False)]
)
def test_a_killed_head_goes_on_bit_for_bit(whole, call, before, tmp_path, monkeypatch):
    made, expected = whole
    with monkeypatch.context() as patch:
        kill_at(patch, call, before=before)
        with pytest.raises(Killed):
            run(made, tmp_path / "run")
    run(made, tmp_path / "run", resume=True)
    assert outcome(tmp_path / "run") == expected and not (tmp_path / "run-2").exists()


@pytest.mark.slow
def test_the_checkpoint_of_a_head_is_small(whole, tmp_path):
    """The body changes no more than the pictures do, and stands where it came from."""
    run(whole[0], tmp_path / "run")
    assert (tmp_path / "run" / "checkpoint.safetensors").stat().st_size < 100_000


def test_the_best_weights_are_those_of_the_whole_network(folder, tmp_path):
    session = begin(photographs.config(folder), tmp_path / "run")
    network, state = session.network, session.state
    assert session.best_weights() == {} and session.outcome().weights is None, "there is no epoch yet"
    state.best = {name: torch.full_like(value, 2.0) for name, value in state.network.state_dict().items()}
    best = session.best_weights()
    assert {*best} == {*network.state_dict()} == {*session.outcome().weights}
    assert all(bool((best[name] == 2).all()) == name.startswith("head.") for name in best)
