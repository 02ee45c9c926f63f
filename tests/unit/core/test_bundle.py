from __future__ import annotations

import dataclasses
import io
import json
import pickle
import zipfile

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save

from convscope.core import atomic
from convscope.core.bundle import FILE_NAME, FORMAT, Bundle, find_bundle, read_document, weights_fingerprint
from convscope.core.decision import Decision
from convscope.core.errors import Failure, UserError
from convscope.inference.load import load

WEIGHTS = {"a.weight": np.arange(6, dtype=np.float32).reshape(2, 3), "n": np.array(3, np.int64)}
DOCUMENT = {
    "format": FORMAT,
    "model": {"name": "small_cnn", "options": {}, "input_shape": [1, 8, 8], "classes": 2},
    "preprocess": {},
    "classes": ["é", "b"],
    "decision": {"temperature": 1.5},
    "metrics": {"top1": 0.5},
    "provenance": {"seed": 1},
    "engine": "torch",
    "task": "classification",
    "form": "torch",
}


def bundle():
    return Bundle(
        model=DOCUMENT["model"],
        preprocess={},
        classes=("é", "b"),
        decision=Decision(1.5),
        metrics={"top1": 0.5},
        provenance={"seed": 1},
        weights=WEIGHTS,
    )


def write(path, document, weights=WEIGHTS):
    text = document if isinstance(document, str) else json.dumps(document)
    path.write_bytes(save(weights, metadata={"convscope": text}))
    return path


def refused(path, match):
    """Whoever opens it gets one line; `load`, the bundle and its document agree."""
    for opened in (Bundle.load, read_document, load):
        with pytest.raises(UserError, match=match) as caught:
            opened(path)
        assert "\n" not in str(caught.value)


def test_round_trip(tmp_path):
    path = bundle().save(tmp_path / FILE_NAME)
    for place in (path, str(path), tmp_path):
        back = Bundle.load(place)
        assert {k: v.tobytes() for k, v in back.weights.items()} == {
            k: v.tobytes() for k, v in WEIGHTS.items()
        }
        assert {k: (v.dtype, v.shape) for k, v in back.weights.items()} == {
            k: (v.dtype, v.shape) for k, v in WEIGHTS.items()
        }
        assert (back.classes, back.decision, back.metrics) == (("é", "b"), Decision(1.5), {"top1": 0.5})


def test_the_same_bundle_gives_the_same_bytes(tmp_path):
    one, two = bundle().save(tmp_path / "a"), bundle().save(tmp_path / "b")
    assert one.read_bytes() == two.read_bytes()


def test_anybody_can_read_it_with_safetensors(tmp_path):
    from safetensors import safe_open

    with safe_open(bundle().save(tmp_path / "a"), framework="pt") as file:
        assert json.loads(file.metadata()["convscope"])["classes"] == ["é", "b"]
        assert torch.equal(file.get_tensor("a.weight"), torch.from_numpy(WEIGHTS["a.weight"]))


def test_where_there_is_none(tmp_path):
    refused(tmp_path / "nowhere", "there is no run or bundle at")
    refused(tmp_path, "holds no bundle.safetensors; give a run folder that a finished training wrote")
    assert find_bundle(bundle().save(tmp_path / FILE_NAME)) == tmp_path / FILE_NAME


@pytest.mark.parametrize("number", [FORMAT + 1, 10**9, "2", None, 1.5])
def test_a_newer_format_says_to_update(tmp_path, number):
    refused(write(tmp_path / "a", DOCUMENT | {"format": number}), f"this version reads up to {FORMAT}")


@pytest.mark.parametrize("key", sorted(set(DOCUMENT) - {"format"}))
@pytest.mark.parametrize("value", [None, 3, "text", [], [3], {"x": 1}, "absent"])
def test_a_part_that_is_missing_or_wrong_is_one_line(tmp_path, key, value):
    document = dict(DOCUMENT) | {key: value}
    if value == "absent":
        del document[key]
    path = write(tmp_path / "a", document)
    with pytest.raises(UserError) as caught:
        load(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "nul", "[]", "3", '"x"', "[" * 100_000, "{}"])
def test_a_document_that_is_none_is_one_line(tmp_path, text):
    refused(write(tmp_path / "a", text), "is not a|bundle format None")


@pytest.mark.parametrize("key", ["name", "input_shape", "classes", "options"])
@pytest.mark.parametrize("value", ["absent", None, "small_cnn.py", 10**9, [3], {}, [1, 2, 3], "../x"])
def test_a_model_that_is_none_is_one_line(tmp_path, key, value):
    preprocess = {"channels": 1, "height": 8, "width": 8, "resize": "crop", "mean": [0.5], "std": [0.5]}
    model = dict(DOCUMENT["model"]) | {key: value}
    if value == "absent":
        del model[key]
    path = write(tmp_path / "a", DOCUMENT | {"model": model, "preprocess": preprocess})
    with pytest.raises(UserError) as caught:
        load(path)
    assert "\n" not in str(caught.value)


class Bomb:
    def __reduce__(self):
        return (pytest.fail, ("a pickle was opened",))


def bad_inputs():
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("data.pkl", pickle.dumps(Bomb()))
    text = io.BytesIO()
    torch.save({"x": torch.zeros(2)}, text)
    return {
        "pickle": pickle.dumps(Bomb()),
        "zip": archive.getvalue(),
        "torch": text.getvalue(),
        "empty": b"",
        "text": b"hello",
        "a header as long as memory": (2**62).to_bytes(8, "little") + b"{}",
        "no metadata": save(WEIGHTS),
    }


@pytest.mark.parametrize("kind", list(bad_inputs()))
def test_what_is_no_bundle_is_one_line(tmp_path, kind):
    (tmp_path / "a").write_bytes(bad_inputs()[kind])
    refused(tmp_path / "a", "is not a Convscope bundle, or it is damaged")


@settings(deadline=None)
@given(cut=st.floats(0, 1, exclude_max=True))
def test_cut_anywhere_it_is_damaged(tmp_path_factory, cut):
    folder = tmp_path_factory.mktemp("cut")
    whole = bundle().save(folder / "a").read_bytes()
    (folder / "a").write_bytes(whole[: int(cut * len(whole))])
    refused(folder / "a", "is not a Convscope bundle, or it is damaged")


@settings(deadline=None)
@given(data=st.binary(max_size=200))
def test_random_bytes_are_damaged(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("random") / "a"
    path.write_bytes(data)
    refused(path, "is not a Convscope bundle, or it is damaged")


def test_a_full_disk_keeps_the_old_bundle(tmp_path, monkeypatch):
    path = bundle().save(tmp_path / FILE_NAME)
    before = path.read_bytes()

    def full(_fd):
        import errno

        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(atomic.os, "fsync", full)
    with pytest.raises(Failure, match="the disk is full"):
        bundle().save(path)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def test_a_run_that_has_not_ended_is_to_go_on(tmp_path):
    (tmp_path / "checkpoint.safetensors").write_bytes(b"")
    with pytest.raises(UserError, match="--resume"):
        find_bundle(tmp_path)


def test_a_flipped_bit_in_the_weights_is_noticed(tmp_path):
    path = bundle().save(tmp_path / FILE_NAME)
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)
    for opened in (Bundle.load, load):
        with pytest.raises(UserError, match="are not those that were saved"):
            opened(path)


def test_the_document_is_read_apart_from_the_weights(tmp_path):
    path = bundle().save(tmp_path / FILE_NAME)
    content = bytearray(path.read_bytes())
    content[-3] ^= 1  # in the weights, which are not looked at
    path.write_bytes(content)
    for place in (path, tmp_path):
        document = read_document(place)
        assert (document.classes, document.decision, document.seed) == (("é", "b"), Decision(1.5), 1)
        assert (document.engine, document.task, document.form) == ("torch", "classification", "torch")
        assert not hasattr(document, "weights")


def test_engine_task_and_form_come_back(tmp_path):
    made = dataclasses.replace(bundle(), engine="numpy", task="mean colour", form="onnx")
    back = Bundle.load(made.save(tmp_path / FILE_NAME))
    assert (back.engine, back.task, back.form) == ("numpy", "mean colour", "onnx")


@pytest.mark.parametrize("number", [1, 2])
def test_earlier_formats_are_torch_and_classification(tmp_path, number):
    earlier = {key: value for key, value in DOCUMENT.items() if key not in {"engine", "task", "form"}}
    document = earlier | {"format": number, "weights_sha256": weights_fingerprint(WEIGHTS)}
    back = Bundle.load(write(tmp_path / "a", document))
    assert (back.engine, back.task, back.form) == ("torch", "classification", "torch")
    assert back.decision == Decision(1.5)
