"""cache_folder: which variable wins, and that nothing is created."""

from __future__ import annotations

from pathlib import Path

import pytest

from convscope.data.cache_folder import UnusableCache, cache_folder


@pytest.fixture(autouse=True)
def _clean(monkeypatch, tmp_path):
    monkeypatch.delenv("CONVSCOPE_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


def test_home_is_the_last_resort(tmp_path):
    assert cache_folder() == tmp_path / "home" / ".cache" / "convscope"


def test_xdg_goes_before_home(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg" / "convscope"


def test_our_own_variable_goes_before_xdg(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("CONVSCOPE_CACHE", str(tmp_path / "own"))
    assert cache_folder() == tmp_path / "own"


@pytest.mark.parametrize("value", ["", "relative/folder"])
def test_an_empty_or_relative_xdg_variable_counts_as_unset(monkeypatch, tmp_path, value):
    monkeypatch.setenv("XDG_CACHE_HOME", value)
    assert cache_folder() == tmp_path / "home" / ".cache" / "convscope"


def test_a_tilde_and_a_relative_path_become_absolute(monkeypatch, tmp_path):
    monkeypatch.setenv("CONVSCOPE_CACHE", "~/big")
    assert cache_folder() == tmp_path / "home" / "big"
    monkeypatch.setenv("CONVSCOPE_CACHE", "here")
    assert cache_folder() == Path.cwd() / "here"


def test_it_creates_nothing(tmp_path):
    cache_folder()
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("own", ["", "~/cache"])
def test_no_home_folder_is_explained(monkeypatch, own):
    def homeless(*_):
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setenv("CONVSCOPE_CACHE", own)
    monkeypatch.setattr(Path, "home", homeless)
    monkeypatch.setattr(Path, "expanduser", homeless)
    with pytest.raises(UnusableCache, match=r"no home folder.*set CONVSCOPE_CACHE"):
        cache_folder()
