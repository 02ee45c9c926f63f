import importlib.util

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from convscope.core.errors import UserError
from convscope.data.dataset import ArrayDataset
from convscope.data.preparing.prepared_split import PreparedSplit, prepare_split
from convscope.data.preparing.preprocess import Preprocess
from convscope.explanation.explained_model import ExplainedModel
from convscope.explanation.feature_visualisation import embedding
from convscope.explanation.feature_visualisation.embedding import (
    Embedding,
    check_projection,
    embed,
    embedding_figure,
    pca,
    project,
)
from convscope.models.pytorch.custom_model import wrap_custom_model
from convscope.models.pytorch.predictor import TorchPredictor
from convscope.models.pytorch.zoo import create

CLASSES = ("a", "$b$" + "x" * 60, "<i>")


def part_of(count, channels=1):
    rng = np.random.default_rng(count)
    labels = np.arange(count) % 3
    images = rng.integers(0, 100, (count, 12, 12, channels), dtype=np.uint8)
    images += (labels * 70).astype(np.uint8)[:, None, None, None]
    return prepare_split(ArrayDataset(images, labels, CLASSES), Preprocess(channels, 12, 12))


def explained_model(channels=1, module=None):
    torch.manual_seed(0)
    shape = (channels, 12, 12)
    net = wrap_custom_model(
        module or create("small_cnn", input_shape=shape, classes=3), input_shape=shape, classes=3
    ).eval()
    return ExplainedModel.of(TorchPredictor(net, Preprocess(channels, 12, 12), CLASSES))


@pytest.mark.slow
@settings(max_examples=30)
@given(st.integers(2, 30), st.integers(1, 12), st.integers(0, 1000))
def test_pca_is_that_of_scikit_learn(count, width, seed):
    from sklearn.decomposition import PCA

    features = np.random.default_rng(seed).normal(size=(count, width)) * np.arange(1, width + 1)
    points, fractions = pca(features)
    axes = min(2, width, count)
    oracle = PCA(axes, svd_solver="full").fit(features)
    expected = oracle.transform(features)
    assert np.allclose(np.abs(points[:, :axes]), np.abs(expected), atol=1e-6 * np.abs(features).max())
    assert np.allclose(fractions[:axes], oracle.explained_variance_ratio_, atol=1e-9)
    assert points.shape == (count, 2) and not points[:, axes:].any()


def test_pca_of_equal_features_is_one_point_and_its_sign_is_fixed():
    points, fractions = pca(np.ones((5, 3)))
    assert not points.any() and fractions == (0.0, 0.0)
    features = np.random.default_rng(0).normal(size=(9, 4))
    assert np.allclose(pca(features)[0], -pca(-features)[0])


@pytest.mark.parametrize("channels", [1, 3])
def test_images_are_laid_out_in_their_order(channels, monkeypatch):
    monkeypatch.setattr(embedding, "max_batch_size", lambda *_: 8)
    found, part, told = explained_model(channels), part_of(20, channels), []
    result = embed(found, part, progress=lambda *each: told.append(each))
    images = part.take(np.arange(20))
    last = found.inside().last_features(found.inputs(images))
    assert np.allclose(result.points, pca(last.features)[0], atol=1e-4) and result.layer == last.layer
    assert np.array_equal(result.predicted, last.logits.argmax(axis=1)) and np.array_equal(
        result.labels, part.targets
    )
    assert told == [("embed", done, 20) for done in (8, 16, 20)] and result.width == last.features.shape[1]
    assert 0 < sum(result.fractions) <= 1


def test_too_few_images():
    part = part_of(9)
    with pytest.raises(UserError, match="3 images cannot be laid out"):
        embed(explained_model(), PreparedSplit(part.whole, part.rows[:3]))


@pytest.mark.slow
@pytest.mark.parametrize("count", [4, 40])
def test_t_sne_puts_groups_apart_and_is_the_same_twice(count):
    groups = np.arange(count) % 2
    features = np.random.default_rng(0).normal(size=(count, 6)) + 30 * groups[:, None]
    points, fractions = project(features, "tsne")
    assert (
        points.shape == (count, 2)
        and fractions is None
        and np.array_equal(points, project(features, "tsne")[0])
    )
    if count > 4:
        middles = [points[groups == k].mean(axis=0) for k in (0, 1)]
        extent = max(np.linalg.norm(points[groups == k] - middles[k], axis=1).mean() for k in (0, 1))
        assert np.linalg.norm(middles[0] - middles[1]) > extent


def test_umap_is_asked_for_with_a_seed_and_as_many_neighbours_as_there_are(monkeypatch):
    asked = {}

    class Fake:
        def __init__(self, **options):
            asked.update(options)

        def fit_transform(self, features):
            return features[:, :2]

    real = embedding.import_module
    fake = type("umap", (), {"UMAP": Fake})
    monkeypatch.setattr(embedding, "import_module", lambda name: fake if name == "umap" else real(name))
    points, _ = project(np.ones((6, 3), np.float32), "umap", seed=4)
    assert points.dtype == np.float64 and asked == {"n_neighbors": 5, "random_state": 4, "n_jobs": 1}


def test_what_is_missing_says_how_it_is_installed(monkeypatch):
    monkeypatch.setattr(embedding, "find_spec", lambda name: None)
    with pytest.raises(
        UserError, match=r'UMAP needs the package umap-learn; install it with pip install "convscope'
    ):
        check_projection("umap")
    with pytest.raises(UserError, match="t-SNE needs the package scikit-learn"):
        embed(explained_model(), part_of(9), "tsne")
    check_projection("pca")
    assert embedding.missing_projections() == ["t-SNE", "UMAP"]
    monkeypatch.setattr(embedding, "find_spec", importlib.util.find_spec)
    with pytest.raises(UserError, match="did you mean 'tsne'"):
        check_projection("t-sne")


def of(classes, count, *, wrong=3):
    rng = np.random.default_rng(0)
    labels = np.arange(count) % classes
    predicted = labels.copy()
    predicted[:wrong] = (predicted[:wrong] + 1) % classes
    return Embedding(rng.normal(size=(count, 2)), labels, predicted, "pca", "head", 9, (0.5, 0.2))


@pytest.mark.slow
@pytest.mark.parametrize("classes", [2, 10, 20, 21, 100])
def test_the_legend_names_classes_and_counts_errors(classes):
    names = [f"${k}" for k in range(classes)]
    figure = embedding_figure(of(classes, 200), names)
    figure.draw_without_rendering()
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    many = [rf"\${k}" for k in range(classes)] if classes <= 20 else [f"{classes} classes"]
    assert legend == [*many, "error (3)"]
    looks = {
        (str(c.get_facecolor()), c.get_paths()[0].vertices.tobytes()) for c in figure.axes[0].collections
    }
    assert len(looks) == len(legend)
    assert figure.axes[0].get_xlabel() == "PCA 1, 50% of the variance"


def test_without_errors_none_are_marked():
    figure = embedding_figure(of(2, 8, wrong=0), ["a", "b"])
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["a", "b"]


def test_an_svg_of_many_points_stays_small(tmp_path):
    embedding_figure(of(10, 2000), list("abcdefghij")).savefig(tmp_path / "e.svg")
    assert (tmp_path / "e.svg").stat().st_size < 250_000
