"""What version 0.1.0 wrote is read for ever: runs answer and score as they did, go on, and are compared."""

from __future__ import annotations

import json
import shutil
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open

import convscope
from convscope.core.settings import ADDED_KEYS
from fixtures.v0_1_0.make import COMPARE, EVERY_KEY, EXPECTED_IMAGES, HERE, PLACE, RUN, moved
from golden.road import said

ALL = ("finished", "head", "comparison/torch_lenet5_animals")
CLOSE = {"rtol": 1e-3, "atol": 1e-4}
"""Of what was computed on another processor."""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of everything, where it may be written to and the paths in it are true."""
    for path in HERE.rglob("*"):
        if path.is_file() and path.name != "make.py" and "__pycache__" not in path.parts:
            target = tmp_path / path.relative_to(HERE)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(moved(path, PLACE, str(tmp_path)))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def expected() -> dict[str, Any]:
    return json.loads((HERE / "expected.json").read_text(encoding="utf-8"))


def images() -> np.ndarray:
    with np.load(HERE / "animals.npz") as data:
        return data["x_test"][:EXPECTED_IMAGES]


def weights(run: Path) -> dict[str, np.ndarray]:
    with safe_open(run / "bundle.safetensors", framework="numpy") as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)


def test_the_fixture_is_small() -> None:
    assert sum(path.stat().st_size for path in HERE.rglob("*") if path.is_file()) < 600_000


@pytest.mark.parametrize("run", ALL)
def test_a_run_answers_as_it_did(place: Path, expected: dict[str, Any], run: str) -> None:
    net = convscope.load(run, device="cpu")
    np.testing.assert_allclose(net.predict(images()), expected[run]["logits"], **CLOSE)
    answers = net.classify(images())
    labels, probabilities, unknown = zip(*expected[run]["answers"], strict=True)
    assert [(a.label, a.unknown) for a in answers] == list(zip(labels, unknown, strict=True))
    np.testing.assert_allclose([a.probability for a in answers], probabilities, **CLOSE)


@pytest.mark.parametrize("number", [1, 2])
def test_a_bundle_of_each_format_answers_as_it_did(
    place: Path, expected: dict[str, Any], number: int
) -> None:
    net = convscope.load(f"bundle_format_{number}.safetensors", device="cpu")
    np.testing.assert_allclose(net.predict(images()), expected["finished"]["logits"], **CLOSE)
    assert net.decision.temperature == expected["temperature"]
    answers, before = net.classify(images()), expected["finished"]["answers"]
    assert [a.label for a in answers] == [label for label, *_ in before]
    assert [a.unknown for a in answers] == [number == 2 and unknown for *_, unknown in before]


def test_some_of_its_answers_are_unknown(expected: dict[str, Any]) -> None:
    """Otherwise the two formats could not be told apart."""
    assert {unknown for *_, unknown in expected["finished"]["answers"]} == {True, False}


@pytest.mark.parametrize("run", ALL)
def test_a_run_scores_as_it_did(place: Path, expected: dict[str, Any], run: str) -> None:
    before, now = expected[run]["metrics"], convscope.evaluate(run, out="evaluated").to_dict()
    assert now["images"] == before["images"]
    for key in ("top1", "loss", "macro_f1"):
        assert now[key] == pytest.approx(before[key], rel=1e-3), key


def test_a_bundle_of_format_1_is_evaluated(place: Path, expected: dict[str, Any]) -> None:
    now = convscope.evaluate("bundle_format_1.safetensors", "animals.npz", out="evaluated").to_dict()
    assert now["top1"] == pytest.approx(expected["finished"]["metrics"]["top1"])


def test_runs_are_compared(place: Path, expected: dict[str, Any]) -> None:
    groups = convscope.compare(ALL).to_dict()["groups"]
    assert [Path(folder).name for group in groups for folder in group["folders"]] == [
        Path(run).name for run in ALL
    ]
    for run, group in zip(ALL, groups, strict=True):
        assert group["figures"]["test_accuracy"]["mean"] == pytest.approx(expected[run]["metrics"]["top1"])
    shown = said("compare " + " ".join(ALL), columns=120)
    assert all(f"{100 * expected[run]['metrics']['top1']:.2f}" in shown for run in ALL)


def test_a_run_is_explained(place: Path) -> None:
    explained = convscope.explain("finished", list(images()[:1]), method="occlusion", out="explained")
    assert (place / "explained" / "explanation.json").is_file()
    assert explained.to_dict()["images"][0]["methods"][0]["refused"] is None


def test_a_killed_run_goes_on_to_the_end_that_it_would_have_had(place: Path) -> None:
    """On one processor bit for bit; beside the run that nothing stopped, within the tolerance."""
    shutil.copytree("killed", "twin")
    for folder in ("killed", "twin"):
        told = said(f"{RUN} --out {folder} --resume")
        assert "resumed at epoch 2, batch 4 of 6" in told and "exit 0" in told, told
    ends = {name: weights(place / name) for name in ("killed", "twin", "finished")}
    for name, value in ends["finished"].items():
        assert ends["killed"][name].tobytes() == ends["twin"][name].tobytes(), name
        np.testing.assert_allclose(ends["killed"][name], value, rtol=1e-3, atol=1e-5, err_msg=name)
    before, now = (
        json.loads((place / run / "metrics.json").read_text())["test"] for run in ("finished", "killed")
    )
    assert now["top1"] == before["top1"] and now["loss"] == pytest.approx(before["loss"], rel=1e-3)


def test_the_killed_run_was_killed_on_the_way(place: Path) -> None:
    told = said("evaluate killed")
    assert "not ended" in told and "exit 2" in told


@pytest.mark.parametrize("words", [f"{RUN} --out finished", "train --config head.toml --out head"])
def test_a_finished_run_is_known_by_the_same_words(place: Path, words: str) -> None:
    told = said(f"{words} --resume")
    assert "finished already" in told and "exit 0" in told, told


def test_a_comparison_goes_on_and_trains_nothing(place: Path, expected: dict[str, Any]) -> None:
    told = said(COMPARE, columns=120)
    assert told.count("finished already") == 2 and "exit 0" in told, told
    assert f"{100 * expected[ALL[2]]['metrics']['top1']:.2f}" in told
    assert not (place / "comparison-2").exists()


def test_a_run_is_started_from_it(place: Path) -> None:
    told = said(
        "train animals.npz --pretrained finished --mode finetune --epochs 1 --set train.threads=1 --out more"
    )
    assert "exit 0" in told, told


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    for key, item in value.items():
        if isinstance(item, dict) and item:
            yield from leaves(item, f"{path}{key}.")
        else:
            yield f"{path}{key}", item


def test_configurations_with_every_key_are_read(place: Path) -> None:
    read = convscope.RunConfig.from_dict(json.loads((place / "every_key.json").read_text(encoding="utf-8")))
    assert (
        convscope.RunConfig().merge(tomllib.loads((place / "every_key.toml").read_text(encoding="utf-8")))
        == read
    )
    default = dict(leaves(convscope.RunConfig().to_dict()))
    ignored = {key for key, value in leaves(read.to_dict()) if default.get(key, "no such key") == value}
    assert ignored == set(ADDED_KEYS), "every value there differs from its default, and 0.1.0 had no others"
    values = sorted(repr(v) for key, v in leaves(read.to_dict()) if key not in ADDED_KEYS)
    renamed = {"head": "probe"}
    assert values == sorted(repr(renamed.get(str(value), value)) for _, value in leaves(EVERY_KEY))
