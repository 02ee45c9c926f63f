"""What holds for every engine on the list, and for one that nobody of the package knows."""

from __future__ import annotations

import numpy as np
import pytest

from convscope.core.bundle import Bundle
from convscope.core.contracts import Predictor
from convscope.core.errors import ShapeError, UserError
from convscope.data.preparing.preprocess import Preprocess
from convscope.models import engine as engines
from convscope.models.engine import DEFAULT_ENGINE, engine_named, engine_names, enter_engine, open_network
from convscope.models.spec import ModelSpec
from convscope.models.summary import Row, Summary
from convscope.models.variants.registry import variants

SHAPE, CLASSES = (3, 12, 10), ("cat", "dog", "eel")
PREPROCESS = Preprocess(3, 12, 10, mean=(0.4,) * 3, std=(0.2,) * 3)


class Linear:
    """Logits are one product with the pixels: what the least engine has."""

    def __init__(self, spec):
        self.spec = spec
        size = (spec.classes, int(np.prod(spec.input_shape)))
        self.kernel = np.random.default_rng().standard_normal(size).astype(np.float32)


class LinearPredictor:
    def __init__(self, network, preprocess, names):
        if len(names) != network.spec.classes:
            raise UserError(f"{network.spec.name} has {network.spec.classes} logits for {len(names)} names")
        self.network, self.preprocess, self.classes = network, preprocess, names

    def predict(self, images):
        if images.shape[1:] != self.preprocess.shape or images.dtype != np.uint8:
            raise ShapeError(f"predict got {images.dtype} {images.shape}")
        return (
            self.preprocess.normalise(images).reshape(len(images), self.network.kernel.shape[1])
            @ self.network.kernel.T
        )


class Toy:
    """An engine of NumPy alone, which builds one network whatever the spec is called."""

    name = "toy"

    def build(self, spec, model=None):
        return (model or Linear)(spec)

    def load(self, network, weights):
        if {"kernel"} != set(weights) or weights["kernel"].shape != network.kernel.shape:
            raise UserError(f"the bundle's weights do not fit {network.spec.name}")
        network.kernel[:] = weights["kernel"]

    def weights(self, network):
        return {"kernel": network.kernel.copy()}

    def predictor(self, network, preprocess, names, *, device="auto"):
        if device not in ("auto", "cpu"):
            raise UserError(f"there is no device {device!r}")
        return LinearPredictor(network, preprocess, names)

    def summarise(self, network, input_shape=None):
        if input_shape not in (None, network.spec.input_shape):
            raise ShapeError(f"{network.spec.name} does not take {input_shape} images")
        size = network.kernel.size
        row = Row("linear", "Linear", (network.spec.classes,), size, size, None, None)
        return Summary(network.spec.name, network.spec.input_shape, (row,), size, size, size)


@pytest.fixture(params=[*engine_names(), "toy"])
def engine(request, monkeypatch):
    monkeypatch.setattr(engines, "_entered", {})
    enter_engine(Toy())
    return engine_named(request.param)


def spec(**changes):
    return variants["small_cnn"].spec.with_changes(input_shape=SHAPE, classes=3, **changes)


def images(n=4):
    return np.random.default_rng(0).integers(0, 256, (n, 12, 10, 3), np.uint8)


def predict(engine, network):
    return engine.predictor(network, PREPROCESS, CLASSES, device="cpu").predict(images())


def test_an_engine_is_found_by_its_name(engine):
    assert engine_named(engine.name) is engine and engine.name in engine_names()


def test_a_network_is_built_and_predicts(engine):
    predictor = engine.predictor(engine.build(spec()), PREPROCESS, CLASSES)
    assert isinstance(predictor, Predictor) and tuple(predictor.classes) == CLASSES
    logits = predictor.predict(images())
    assert logits.shape == (4, 3) and logits.dtype == np.float32 and np.isfinite(logits).all()
    assert predictor.predict(images(0)).shape == (0, 3)


def test_weights_go_from_one_network_to_another(engine):
    one, two = engine.build(spec()), engine.build(spec())
    before = predict(engine, two)
    engine.load(two, engine.weights(one))
    assert np.array_equal(predict(engine, one), predict(engine, two))
    assert not np.array_equal(predict(engine, two), before)


def test_weights_that_are_out_stay_as_they_are(engine):
    network = engine.build(spec())
    weights = engine.weights(network)
    kept = {name: value.copy() for name, value in weights.items()}
    engine.load(network, {name: np.asarray(value + 1) for name, value in weights.items()})
    assert all(isinstance(value, np.ndarray) for value in weights.values())
    assert all(np.array_equal(value, kept[name]) for name, value in weights.items())


@pytest.mark.parametrize("change", ["missing", "left over", "another shape"])
def test_weights_that_do_not_fit_are_one_line(engine, change):
    network = engine.build(spec())
    weights = engine.weights(network)
    name = next(iter(weights))
    if change == "missing":
        del weights[name]
    else:
        weights["more" if change == "left over" else name] = np.zeros((9, 9, 9), np.float32)
    with pytest.raises(UserError, match="weights do not fit small_cnn") as caught:
        engine.load(network, weights)
    assert "\n" not in str(caught.value)


def test_what_is_not_prepared_is_refused(engine):
    predictor = engine.predictor(engine.build(spec()), PREPROCESS, CLASSES)
    for wrong in (images()[:, :5], images().astype(np.float32)):
        with pytest.raises(ShapeError):
            predictor.predict(wrong)


def test_names_and_devices_are_checked(engine):
    network = engine.build(spec())
    with pytest.raises(UserError):
        engine.predictor(network, PREPROCESS, ("cat", "dog"))
    with pytest.raises(UserError):
        engine.predictor(network, PREPROCESS, CLASSES, device="abacus")


def test_the_summary_counts_the_weights(engine):
    network = engine.build(spec())
    summary = engine.summarise(network)
    assert isinstance(summary, Summary) and summary.input_shape == SHAPE
    assert summary.parameters == sum(row.parameters for row in summary.rows) > 0
    assert summary.rows[-1].output == (3,)
    with pytest.raises(ShapeError):
        engine.summarise(network, (1, 12, 10))


def test_a_bundle_is_opened_by_the_engine_that_it_names(engine, tmp_path):
    made = engine.build(spec())
    Bundle(
        weights=engine.weights(made),
        model=spec().to_dict(),
        preprocess=PREPROCESS.to_dict(),
        classes=CLASSES,
        engine=engine.name,
    ).save(tmp_path / "bundle.safetensors")
    opener, network = open_network(Bundle.load(tmp_path))
    assert opener is engine and np.array_equal(predict(engine, network), predict(engine, made))


def test_a_custom_model_is_the_engines_own():
    class Net(Linear):
        pass

    assert isinstance(Toy().build(ModelSpec("Net", input_shape=SHAPE, classes=3), Net), Net)


def test_a_name_is_given_once(monkeypatch):
    monkeypatch.setattr(engines, "_entered", {})
    enter_engine(Toy())
    for taken in ("toy", DEFAULT_ENGINE):
        toy = Toy()
        toy.name = taken
        with pytest.raises(ValueError, match=f"engine '{taken}' is registered already"):
            enter_engine(toy)


def test_an_unknown_engine_names_the_nearest():
    with pytest.raises(UserError, match="no engine 'tarch'; did you mean 'torch'"):
        engine_named("tarch")
