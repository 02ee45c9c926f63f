from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from convscope.core.errors import Failure, UserError
from convscope.data.preparing import pixel_cache
from convscope.data.preparing.pixel_cache import load_cached, store

SHAPE = (4, 5, 3)
ROW = int(np.prod(SHAPE))


@pytest.fixture(autouse=True)
def _nothing_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pixel_cache, "_in_use", set())


def rows(count: int = 2, shade: int = 7) -> Iterator[np.ndarray]:
    return (np.full(SHAPE, shade + i, np.uint8) for i in range(count))


def keep(folder: Path, key: str, count: int = 2, limit: int = 10**6, **changes: Any) -> None:
    facts = {"shape": [count, *SHAPE], "failed": []}
    store(folder, key, changes.pop("rows", rows(count)), need=count * ROW, limit=limit, facts=lambda: facts)


def visible(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name != ".lock")


def test_what_is_stored_is_recalled(tmp_path: Path) -> None:
    assert load_cached(tmp_path / "new", "a") is None
    keep(tmp_path / "new", "a")
    entry = load_cached(tmp_path / "new", "a")
    assert entry is not None
    np.testing.assert_array_equal(entry.images, list(rows()))
    assert isinstance(entry.images, np.memmap)
    assert not entry.images.flags.writeable
    assert entry.facts == {"shape": [2, *SHAPE], "failed": []}
    assert visible(tmp_path / "new") == ["a"]


def test_rows_need_not_be_contiguous(tmp_path: Path) -> None:
    row = np.arange(ROW, dtype=np.uint8).reshape(SHAPE[::-1]).transpose(2, 1, 0)
    keep(tmp_path, "a", 1, rows=iter([row]))
    np.testing.assert_array_equal(load_cached(tmp_path, "a").images[0], row)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "damage",
    [
        lambda place: (place / "images.u8").write_bytes(b"short"),
        lambda place: (place / "images.u8").unlink(),
        lambda place: (place / "entry.json").write_text("{"),
        lambda place: (place / "entry.json").write_text("[]"),
        lambda place: (place / "entry.json").unlink(),
    ],
)
def test_a_damaged_entry_counts_as_absent_and_is_replaced(tmp_path: Path, damage: Any) -> None:
    keep(tmp_path, "a")
    damage(tmp_path / "a")
    assert load_cached(tmp_path, "a") is None
    keep(tmp_path, "a")
    assert load_cached(tmp_path, "a") is not None


def test_the_longest_unused_makes_room(tmp_path: Path) -> None:
    limit = 4 * ROW + 150  # two entries with their facts
    for age, key in enumerate(("old", "new")):
        keep(tmp_path, key, 2, limit=10**6)
        os.utime(tmp_path / key, (age, age))
    keep(tmp_path, "next", 2, limit=limit)
    assert visible(tmp_path) == ["new", "next"]


def test_use_makes_an_entry_young_and_safe(tmp_path: Path) -> None:
    for age, key in enumerate(("first", "second")):
        keep(tmp_path, key)
        os.utime(tmp_path / key, (age, age))
    before = time.time()
    entry = load_cached(tmp_path, "first")
    assert (tmp_path / "first").stat().st_mtime >= before - 1
    keep(tmp_path, "third", limit=2 * ROW)
    assert visible(tmp_path) == ["first", "third"]
    assert entry is not None
    assert entry.images.sum() > 0


def test_more_than_the_limit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="CONVSCOPE_CACHE_LIMIT_GB"):
        keep(tmp_path, "a", 2, limit=ROW)


def test_a_full_disk_is_seen_before_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=1_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(Failure, match=r"need 1\.2 MB in .*, 0\.0 MB are free.*CONVSCOPE_CACHE"):
        keep(tmp_path, "a", 20_000, limit=10**7, rows=iter(()))
    assert visible(tmp_path) == []


def full_disk() -> Iterator[np.ndarray]:
    yield from rows()
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_disk_that_fills_up_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(Failure, match="disk is full") as caught:
        keep(tmp_path, "a", rows=full_disk())
    assert caught.value.exit_code == 1
    assert visible(tmp_path) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_real_write_to_a_full_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pixel_cache, "_PIXELS", "/dev/full")
    with pytest.raises(Failure, match="disk is full"):
        keep(tmp_path, "a")
    assert visible(tmp_path) == []


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS, errno.EIO])
def test_other_refusals_say_where_to_go(tmp_path: Path, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(Failure if number == errno.EIO else UserError, match="set CONVSCOPE_CACHE"):
        keep(tmp_path / "b", "a")


def test_a_file_in_the_place_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "b").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        keep(tmp_path / "b", "a")


def test_an_interruption_leaves_nothing(tmp_path: Path) -> None:
    def interrupted() -> Iterator[np.ndarray]:
        yield from rows()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        keep(tmp_path, "a", rows=interrupted())
    assert visible(tmp_path) == []


SLOW = """
import sys, time, numpy as np
from pathlib import Path
from convscope.data.preparing.pixel_cache import store
def rows():
    yield np.zeros((4, 5, 3), np.uint8)
    print("building", flush=True)
    time.sleep(60)
store(Path(sys.argv[1]), "a", rows(), need=120, limit=10**6, facts=dict)
"""


def test_a_killed_process_leaves_a_part_that_the_next_one_removes(tmp_path: Path) -> None:
    builder = subprocess.Popen([sys.executable, "-c", SLOW, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert builder.stdout is not None
    assert builder.stdout.readline() == "building\n"
    part = [name for name in visible(tmp_path) if name.endswith(".part")]
    assert len(part) == 1
    keep(tmp_path, "b")
    assert visible(tmp_path) == sorted(["b", *part]), "a part that is being built must stay"
    builder.send_signal(signal.SIGKILL)
    builder.communicate()
    assert load_cached(tmp_path, "a") is None
    keep(tmp_path, "a")
    assert visible(tmp_path) == ["a", "b"]
    assert json.loads((tmp_path / "a" / "entry.json").read_text())["shape"] == [2, *SHAPE]
