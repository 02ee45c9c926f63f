"""What tests of whole runs share: a cache of their own, a tiny data set, quiet displays, and runs without
pictures.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

import small_data
from no_drawing import undrawn

# A machine that others use, too, is slow at times; a test that hangs meets pytest's own limit.
# 40 examples in place of 100 meet what these small domains hold in 0.4 of the time.
settings.register_profile("convscope", deadline=None, max_examples=40)
settings.load_profile("convscope")


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CONVSCOPE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def npz(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny data set with an official test split."""
    return small_data.write_npz(tmp_path_factory.mktemp("data") / "small_data.npz")


@pytest.fixture
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures cost a second a run and are tested elsewhere."""
    undrawn(monkeypatch.setattr)
