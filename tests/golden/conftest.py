"""One walk for all tests, also where several processes share them."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from golden.road import DEFAULT, WALK, walk


def _walked(factory: pytest.TempPathFactory, name: str, steps: Mapping[str, str]) -> Path:
    """The folder of a walk: the first process that needs it walks, the others wait."""
    base = factory.getbasetemp()
    base = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder, done = base / name, base / f"{name}.done"
    with (base / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            walk(folder, steps)
            done.touch()
    return folder


@pytest.fixture(scope="session")
def road(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which every verb was walked."""
    return _walked(tmp_path_factory, "road", WALK)


@pytest.fixture(scope="session")
def default_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which the default recipe was trained for six steps."""
    return _walked(tmp_path_factory, "default", DEFAULT)
