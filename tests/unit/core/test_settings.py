from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convscope.core.config import RunConfig
from convscope.core.errors import UserError
from convscope.core.settings import ADDED_KEYS, current_settings, differences, flat, parse_settings, read_toml


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("data.size=none", {"data": {"size": None}}),
        ("augment.mix=none", {"augment": {"mix": "none"}}),
        ("augment.policy=none", {"augment": {"policy": "none"}}),
        ("train.nesterov=false", {"train": {"nesterov": False}}),
        ("train.nesterov=False", {"train": {"nesterov": False}}),
        ("train.lr=1e-3", {"train": {"lr": 1e-3}}),
        ("model.options.widths=[8, 16]", {"model": {"options": {"widths": [8, 16]}}}),
        ("data.source=a=b", {"data": {"source": "a=b"}}),
        (" seed = 3 ", {"seed": 3}),
        ('data.source="007"', {"data": {"source": "007"}}),
    ],
)
def test_settings_as_they_are_typed(text, value):
    assert parse_settings([text]) == value


@pytest.mark.parametrize("words", [["x"], ["=3"], ["  =3"], ["train=1", "train.lr=2"]])
def test_settings_that_are_none(words):
    with pytest.raises(UserError, match="--set g"):
        parse_settings(words)


def test_the_last_of_two_settings_wins():
    assert parse_settings(["seed=1", "seed=2"]) == {"seed": 2}


@pytest.mark.slow
@settings(deadline=None)
@given(st.text(), st.text())
def test_no_setting_is_a_traceback(key, value):
    try:
        RunConfig().merge(parse_settings([f"{key}={value}"]))
    except UserError as error:
        assert str(error)


def test_differences_have_dotted_names():
    assert differences(RunConfig(), RunConfig().merge({"train": {"lr": 0.5}, "seed": 1})) == {
        "train.lr": (None, 0.5),
        "seed": (0, 1),
    }


def test_toml(tmp_path):
    (tmp_path / "a.toml").write_text('seed = 3\n[train]\nlr = 0.5\n[data]\nsource = "é"\n')
    assert read_toml(tmp_path / "a.toml") == {"seed": 3, "train": {"lr": 0.5}, "data": {"source": "é"}}
    with pytest.raises(UserError, match="there is no configuration file"):
        read_toml(tmp_path / "b.toml")


@pytest.mark.parametrize("content", [b"[train\n", b"x", b"\xff\xfe", b"a = 1\na = 2"])
def test_a_file_that_is_no_toml_is_one_line(tmp_path, content):
    (tmp_path / "a.toml").write_bytes(content)
    with pytest.raises(UserError, match="is not a TOML file that can be read"):
        read_toml(tmp_path / "a.toml")
    with pytest.raises(UserError, match="is not a TOML file that can be read"):
        read_toml(tmp_path)


@pytest.mark.parametrize("other", ["./photos", "photos/", "photos/."])
def test_one_path_in_two_spellings_is_no_difference(other):
    a, b = (RunConfig().merge({"data": {"source": source}}) for source in ("photos", other))
    assert differences(a, b) == {}
    assert "data.source" in differences(a, RunConfig())


def test_settings_of_version_0_1_are_those_of_today():
    """Its names are read, and what it did not write down is what it did."""
    today = flat(RunConfig.from_dict({"transfer": {"mode": "probe", "unfreeze_every": 3}}).to_dict())
    old = {key: value for key, value in today.items() if key not in ADDED_KEYS}
    old |= {"data.share": old.pop("data.train_fraction"), "transfer.thaw": old.pop("transfer.unfreeze_every")}
    old |= {"transfer.weights_digest": old.pop("transfer.weights_fingerprint"), "transfer.mode": "head"}
    assert current_settings(old) == today == current_settings(today)
