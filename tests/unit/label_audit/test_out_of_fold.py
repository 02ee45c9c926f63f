from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import photographs
import small_data
from convscope.core.config import RunConfig
from convscope.core.errors import UserError
from convscope.core.run.progress import Silent
from convscope.data.prepare_data import PreparedData, measured
from convscope.data.preparing.prepared_split import prepare_split
from convscope.label_audit import out_of_fold as module
from convscope.label_audit.out_of_fold import assign_folds, out_of_fold
from convscope.training.engine import training_engine
from convscope.training.prepare_run import resolve_run
from convscope.training.pytorch import engine as engine_module
from convscope.training.pytorch import session as session_module
from watching import Watching

SETTINGS = small_data.settings(epochs=1)


def fold_of(labels, folds=3, seed=0, groups=None):
    labels = np.array(labels)
    return assign_folds(
        labels, [str(i) for i in range(len(labels))], folds=folds, seed=seed, groups=groups or {}
    )


# Folds


@given(st.lists(st.integers(0, 3), min_size=6, max_size=60), st.integers(2, 3), st.integers(0, 3))
def test_every_class_is_spread_evenly(labels, folds, seed):
    assigned = fold_of(labels, folds, seed)
    assert assigned.min() >= 0 and assigned.max() < folds
    for k in set(labels):
        counts = np.bincount(assigned[np.array(labels) == k], minlength=folds)
        assert counts.max() - counts.min() <= 1


@given(st.data())
def test_images_of_a_group_stay_together(data):
    labels = np.arange(40) % 2
    groups = {str(i): data.draw(st.integers(0, 8)) for i in range(0, 40, 2)}
    assigned = fold_of(labels, 4, groups=groups)
    for number in set(groups.values()):
        assert len({int(assigned[int(name)]) for name, group in groups.items() if group == number}) == 1


def test_the_folds_are_a_function_of_the_seed():
    labels = np.arange(60) % 3
    assert np.array_equal(fold_of(labels, seed=1), fold_of(labels, seed=1))
    assert not np.array_equal(fold_of(labels, seed=1), fold_of(labels, seed=2))


def test_groups_of_images_that_are_not_here_do_no_harm():
    assert np.array_equal(fold_of([0, 1] * 4), fold_of([0, 1] * 4, groups={"elsewhere": 5}))


@pytest.mark.parametrize(("count", "folds"), [(10, 1), (10, 0), (10, 6), (3, 2), (0, 5)])
def test_numbers_of_folds_that_do_not_fit(count, folds):
    with pytest.raises(
        UserError, match=f"{count} images cannot be divided into {folds} folds; (give 2|that takes 4)"
    ):
        fold_of([0] * count, folds)


def test_images_that_all_show_the_same():
    with pytest.raises(UserError, match="nothing is left to learn from"):
        fold_of([0, 1] * 4, groups={str(i): 0 for i in range(8)})


# Predictions


def setting(config):
    """The plan for all images of the training split; its folder is replaced."""
    run = resolve_run(config, observer=Silent())
    split = prepare_split(run.source.open("train"), run.preprocess)
    preprocess = measured(run.preprocess, split, run.config.data)
    data = PreparedData(run.source, preprocess, split, split, lambda: split, run.names)
    return run.plan(data, Path(), Silent())


@pytest.fixture(scope="module")
def small(npz):
    return setting(RunConfig.from_dict(SETTINGS).merge({"data": {"source": str(npz)}}))


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = photographs.write(tmp_path_factory.mktemp("photographs") / "set")
    return setting(photographs.config(folder, train={"epochs": 8}))


def predict(plan, fold_of, folder):
    folder.mkdir(exist_ok=True)
    return out_of_fold(replace(plan, folder=folder), training_engine("torch"), fold_of)


def thirds(made):
    part = made.data.train
    return assign_folds(part.targets, part.names, folds=3, seed=0, groups={})


@pytest.fixture(scope="module", params=["small", "photos"])
def predicted(request, tmp_path_factory):
    """A network from scratch and a linear probe, their folds and logits, each with a folder of its own."""
    made = request.getfixturevalue(request.param)
    folder = tmp_path_factory.mktemp("folds") / request.param
    return made, thirds(made), predict(made, thirds(made), folder), folder


@pytest.mark.slow
def test_every_image_is_predicted(predicted):
    made, _, logits, folder = predicted
    assert (
        logits.shape == (len(made.data.train), 3) and logits.dtype == np.float32 and np.isfinite(logits).all()
    )
    assert sorted(p.name for p in folder.iterdir()) == ["fold_1.npz", "fold_2.npz", "fold_3.npz"]


def test_a_probe_knows_photographs_that_it_never_saw(photos, tmp_path):
    logits = predict(photos, thirds(photos), tmp_path / "a")
    assert (logits.argmax(axis=1) == photos.data.train.targets).mean() > 0.8


@pytest.mark.slow
def test_the_same_call_gives_the_same_logits(predicted, tmp_path):
    made, fold_of, logits, _ = predicted
    assert np.array_equal(predict(made, fold_of, tmp_path / "again"), logits)


@pytest.mark.slow
def test_the_labels_of_a_fold_do_not_change_its_own_logits(predicted, tmp_path):
    """Out of fold: with other labels in fold 0 its own logits are the same, and those of others are not."""
    made, fold_of, logits, _ = predicted
    train = made.data.train
    labels = train.whole.targets.copy()
    rows = train.rows[fold_of == 0]
    labels[rows] = (labels[rows] + 1) % 3
    other = replace(train, whole=replace(train.whole, targets=labels))
    changed = predict(replace(made, data=replace(made.data, train=other)), fold_of, tmp_path / "changed")
    assert np.array_equal(changed[fold_of == 0], logits[fold_of == 0])
    for fold in (1, 2):
        assert not np.array_equal(changed[fold_of == fold], logits[fold_of == fold])


@pytest.mark.slow
def test_the_pixels_of_a_fold_do_not_change_its_logits_through_training(small, tmp_path):
    """Half of fold 0 is made black; the other half of it is predicted as before."""
    train = small.data.train
    fold_of = thirds(small)
    before = predict(small, fold_of, tmp_path / "before")
    images = train.whole.images.copy()
    black, kept = np.flatnonzero(fold_of == 0)[::2], np.flatnonzero(fold_of == 0)[1::2]
    images[train.rows[black]] = 0
    other = replace(train, whole=replace(train.whole, images=images))
    after = predict(replace(small, data=replace(small.data, train=other)), fold_of, tmp_path / "after")
    assert np.allclose(after[kept], before[kept], atol=1e-5) and not np.allclose(after[black], before[black])


def test_finished_folds_are_not_trained_again(predicted, monkeypatch):
    made, fold_of, logits, folder = predicted
    monkeypatch.setattr(module, "_predict", lambda *a, **k: pytest.fail("a fold was trained again"))
    assert np.array_equal(predict(made, fold_of, folder), logits)


@pytest.mark.slow
@pytest.mark.parametrize(
    "damage", [lambda p: p.unlink(), lambda p: p.write_bytes(b"PK"), lambda p: p.write_bytes(b"")]
)
def test_a_fold_that_is_gone_or_damaged_is_trained_again_alone(small, tmp_path, monkeypatch, damage):
    fold_of = thirds(small)
    logits = predict(small, fold_of, tmp_path)
    damage(tmp_path / "fold_2.npz")
    trained = []
    real = module._predict
    monkeypatch.setattr(
        module, "_predict", lambda plan, start: trained.append(plan.data.validation.rows) or real(plan, start)
    )
    assert np.array_equal(predict(small, fold_of, tmp_path), logits)
    held = small.data.train.rows[fold_of == 1]
    assert [rows.tolist() for rows in trained] == [held.tolist()]


@pytest.mark.slow
def test_the_logits_of_other_folds_are_not_taken_over(small, tmp_path):
    predict(small, thirds(small), tmp_path)
    other = (thirds(small) + 1) % 3
    assert np.array_equal(predict(small, other, tmp_path), predict(small, other, tmp_path / "fresh"))


def test_ctrl_c_keeps_what_is_finished_and_nothing_else(small, tmp_path, monkeypatch):
    real, calls = session_module.fit, []

    def stopped(*arguments):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(*arguments)

    monkeypatch.setattr(session_module, "fit", stopped)
    with pytest.raises(KeyboardInterrupt):
        predict(small, thirds(small), tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["fold_1.npz"]


def test_the_features_of_photographs_are_computed_once(photos, tmp_path, monkeypatch):
    real, calls = engine_module.features_of, []
    monkeypatch.setattr(
        engine_module, "features_of", lambda *a, **k: calls.append(len(a[1])) or real(*a, **k)
    )
    predict(photos, thirds(photos), tmp_path)
    assert calls == [len(photos.data.train)]


@pytest.mark.slow
def test_averaged_weights_predict(small, tmp_path):
    averaged = replace(small, config=replace(small.config, train=replace(small.config.train, ema=0.9)))
    a, b = predict(small, thirds(small), tmp_path / "a"), predict(averaged, thirds(small), tmp_path / "b")
    assert not np.array_equal(a, b)


@pytest.mark.slow
@pytest.mark.parametrize("channels", [1, 3])
def test_fine_tuning_and_both_numbers_of_channels(tmp_path, channels):
    folder = photographs.write(tmp_path / "set", count=18, channels=channels)
    made = setting(
        photographs.config(folder, transfer={"mode": "finetune"}, train={"epochs": 1, "batch_size": 6})
    )
    logits = predict(made, thirds(made), tmp_path / "out")
    assert logits.shape == (18, 3) and np.isfinite(logits).all()


def test_progress_runs_over_all_folds_and_says_nothing_else():
    outer = Watching()
    for fold in range(2):
        observer = module._FoldObserver(outer, fold, 2)
        observer.say("device: cpu")
        for epoch in range(2):
            for batch in (0, 9):
                observer.step((epoch, batch), (2, 10), {})
    assert [done for _, done, _ in outer.work] == [0, 9, 10, 19, 20, 29, 30, 39]
    assert {(what, total) for what, _, total in outer.work} == {("fold 1/2", 40), ("fold 2/2", 40)}
    assert outer.lines == []


def test_a_class_that_only_one_fold_has(tmp_path):
    """Its one image is predicted for by a network that has seen no other, and that has a place for the
    class."""
    images, labels = small_data.pictures(30)
    labels = np.where(labels == 2, 1, labels)
    labels[7] = 2
    path = tmp_path / "odd.npz"
    np.savez(path, x_train=images, y_train=labels, classes=np.array(small_data.CLASSES))
    made = setting(RunConfig.from_dict(SETTINGS).merge({"data": {"source": str(path)}}))
    for imbalance in ("none", "weights", "sampler"):
        config = replace(made.config, train=replace(made.config.train, imbalance=imbalance))
        logits = predict(replace(made, config=config), thirds(made), tmp_path / imbalance)
        assert logits.shape == (30, 3) and np.isfinite(logits).all()
