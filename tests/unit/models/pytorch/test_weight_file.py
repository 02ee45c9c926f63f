from __future__ import annotations

import io
import pickle
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import nn

from convscope.core.errors import UserError
from convscope.models.pytorch.weight_file import SUFFIXES, WRAPPERS, read_tensors
from convscope.models.references import is_there

STATE = OrderedDict(
    {
        "conv.weight": torch.arange(24.0).view(2, 3, 2, 2),
        "conv.bias": torch.tensor([0.5, -0.5]),
        "norm.num_batches_tracked": torch.tensor(7),
    }
)


def write(path: Path, state=STATE, *, old: bool = False, wrap: tuple[str, ...] = ()) -> Path:
    if path.suffix.lower() == ".safetensors":
        save_file(dict(state), path)
    elif path.suffix.lower() == ".npz":
        with path.open("wb") as file:
            np.savez_compressed(file, **{name: value.numpy() for name, value in state.items()})
    else:
        for word in wrap:
            state = {word: state, "epoch": 3, "optimizer": {"lr": 0.1, "state": {"step": torch.zeros(2)}}}
        torch.save(state, path, _use_new_zipfile_serialization=not old)
    return path


def same(tensors, expected=STATE):
    assert {*tensors} == {*expected}
    for name, value in tensors.items():
        assert value.dtype == expected[name].dtype and torch.equal(value, expected[name])


def refused(path):
    with pytest.raises(UserError) as caught:
        read_tensors(path)
    assert "\n" not in str(caught.value) and str(path) in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("suffix", [*SUFFIXES, ".PTH", ".NPZ"])
def test_what_was_written_is_read(tmp_path, suffix):
    path = write(tmp_path / f"net{suffix}")
    same(read_tensors(path))
    same(read_tensors(str(path)))


def test_the_old_pickle_of_torch_is_read_too(tmp_path):
    same(read_tensors(write(tmp_path / "old.pth", old=True)))


@pytest.mark.parametrize("wrap", [*((word,) for word in WRAPPERS), ("model", "state_dict")])
def test_a_state_dict_among_other_things(tmp_path, wrap):
    same(read_tensors(write(tmp_path / "checkpoint.pth", wrap=wrap)))


def test_parameters_and_numbers_beside_tensors(tmp_path):
    torch.save({"weight": nn.Parameter(torch.ones(2)), "version": 3, "note": "mine"}, tmp_path / "a.pt")
    tensors = read_tensors(tmp_path / "a.pt")
    assert {*tensors} == {"weight"} and torch.equal(tensors["weight"], torch.ones(2))


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_the_type_of_numbers_stays(tmp_path, suffix, dtype):
    state = {"w": torch.tensor([1.5, -2.25], dtype=dtype)}
    same(read_tensors(write(tmp_path / f"a{suffix}", state)), state)


class Mark:
    """MethodResult it as a pickle writes a file."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return Path.touch, (Path(self.path),)


def malicious(path: Path, mark: Path) -> Path:
    if path.suffix == ".npz":
        with path.open("wb") as file:
            np.savez(file, weight=np.array([Mark(mark)], dtype=object))
    elif path.stem == "plain":
        path.write_bytes(pickle.dumps({"weight": Mark(mark)}))
    else:
        torch.save({"weight": torch.ones(2), "more": Mark(mark)}, path)
    return path


@pytest.mark.parametrize("name", ["zipped.pth", "zipped.bin", "plain.pt", "objects.npz"])
def test_code_in_a_file_is_refused_and_never_run(tmp_path, name):
    mark = tmp_path / "ran"
    path = malicious(tmp_path / name, mark)
    with path.open("rb") as file:
        content = file.read()
    assert b"touch" in content or b"ran" in content, "the attack is in the file"
    assert "torch.save(net.state_dict(), path)" in refused(path) or name == "objects.npz"
    assert not mark.exists()
    pickle.loads(pickle.dumps(Mark(mark)))
    assert mark.exists(), "the attack works where a pickle is trusted"


def test_a_whole_module_is_refused_with_what_to_save_instead(tmp_path):
    torch.save(nn.Linear(2, 2), tmp_path / "net.pth")
    assert "save its state_dict alone: torch.save(net.state_dict(), path)" in refused(tmp_path / "net.pth")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([torch.ones(2)], "holds a list; save the state_dict"),
        (torch.ones(2), "holds a Tensor; save the state_dict"),
        ({}, "holds no tensors by name"),
        ({"epoch": 3}, "holds no tensors by name"),
        ({"state_dict": {}}, "holds no tensors by name"),
    ],
)
def test_other_things_than_a_state_dict(tmp_path, content, message):
    torch.save(content, tmp_path / "a.pth")
    assert message in refused(tmp_path / "a.pth")


def test_archives_without_an_array(tmp_path):
    for name in ("a.npz", "a.safetensors"):
        write(tmp_path / name, {})
        assert "holds no tensors by name" in refused(tmp_path / name)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_an_empty_file_is_damaged(tmp_path, suffix):
    path = tmp_path / f"empty{suffix}"
    path.touch()
    assert "copy it again" in refused(path)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_file_of_another_kind_is_not_what_its_name_says(tmp_path, suffix):
    text = tmp_path / f"text{suffix}"
    text.write_text("<html>404 not found</html>\n" * 40)
    refused(text)
    one_array = io.BytesIO()
    np.save(one_array, np.ones(3))
    text.write_bytes(one_array.getvalue())
    refused(text)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("gone.pth", "there is no weight file at"),
        ("a" * 5000 + ".pth", "there is no weight file at"),
        ("folder.pth", "there is no weight file at"),
        ("photo.jpg", "no weight file by its name; known are .safetensors, .npz, .pth, .pt, .bin"),
        ("weights", "no weight file by its name"),
    ],
)
def test_a_path_to_something_else(tmp_path, name, message):
    (tmp_path / "folder.pth").mkdir()
    (tmp_path / "photo.jpg").touch()
    (tmp_path / "weights").touch()
    assert message in refused(tmp_path / name)


def test_a_name_that_no_file_system_takes_is_not_there(tmp_path):
    assert is_there(tmp_path) and not is_there(tmp_path / "x") and not is_there(tmp_path / ("x" * 5000))


@pytest.fixture(scope="module", params=["new.pth", "old.pth", "a.safetensors", "a.npz"])
def sound(request, tmp_path_factory):
    """A folder to damage files in, the suffix and the bytes of one that is whole."""
    folder = tmp_path_factory.mktemp("damage")
    path = write(folder / request.param, old=request.param == "old.pth")
    return folder, path.suffix, path.read_bytes()


@pytest.mark.slow
@settings(max_examples=60)
@given(data=st.data())
def test_any_damage_is_one_line_or_tensors_but_never_another_error(sound, data):
    """Bits flipped, the end cut off, a piece lost: what a broken disk or download leaves. Warnings are errors
    here.
    """
    folder, suffix, whole = sound
    place = data.draw(st.integers(0, len(whole) - 1))
    kind = data.draw(st.sampled_from(["flip", "cut", "lose"]))
    damaged = bytearray(whole)
    if kind == "flip":
        damaged[place] ^= data.draw(st.integers(1, 255))
    else:
        del damaged[place : None if kind == "cut" else place + data.draw(st.integers(1, 20))]
    path = folder / f"damaged{suffix}"
    path.write_bytes(damaged)
    try:
        tensors = read_tensors(path)
    except UserError as error:
        assert "\n" not in str(error) and str(path) in str(error)
    else:
        assert tensors and all(isinstance(value, torch.Tensor) for value in tensors.values())
