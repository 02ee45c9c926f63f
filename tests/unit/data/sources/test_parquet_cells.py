"""Cells: any order, any thread, two row groups in memory, empty and damaged cells."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from convscope.core.errors import Failure, UserError
from convscope.data.sources.parquet_cells import ParquetCells, open_parquet

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

STRUCT = pa.struct({"bytes": pa.binary(), "path": pa.string()})


def write(path, cells, *, group=5, struct=False):
    column = (
        pa.array([{"bytes": c, "path": "p"} for c in cells], STRUCT)
        if struct
        else pa.array(cells, pa.binary())
    )
    pq.write_table(pa.table({"image": column}), path, row_group_size=group)
    return path


@pytest.fixture(params=[False, True], ids=["binary", "struct"])
def cells(request, tmp_path):
    parts = [[f"{f}-{i}".encode() for i in range(12)] for f in range(3)]
    paths = [write(tmp_path / f"{f}.parquet", part, struct=request.param) for f, part in enumerate(parts)]
    return ParquetCells(paths, "image.bytes" if request.param else "image"), [
        cell for part in parts for cell in part
    ]


def test_rows_are_counted_through_all_files(cells):
    read, expected = cells
    assert [read(i) for i in range(36)] == expected


def test_any_order_gives_the_same(cells):
    read, expected = cells
    for i in np.random.default_rng(0).permutation(36).tolist():
        assert read(i) == expected[i]


def test_threads_may_share_it(cells):
    read, expected = cells
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(read, list(range(36)) * 20)) == expected * 20


def test_reading_in_order_reads_each_row_group_once(cells, monkeypatch):
    read, _ = cells
    places = []
    original = ParquetCells._read
    monkeypatch.setattr(
        ParquetCells, "_read", lambda self, place: (places.append(place), original(self, place))[1]
    )
    for i in range(36):
        read(i)
    assert places == list(range(9))
    assert len(read._kept) == 2


def test_an_empty_cell_has_no_bytes(tmp_path):
    assert ParquetCells([write(tmp_path / "a.parquet", [b"x", None, b""])], "image")(1) == b""
    nothing = pa.array([None, {"bytes": None, "path": "elsewhere.jpg"}], STRUCT)
    pq.write_table(pa.table({"image": nothing}), tmp_path / "b.parquet")
    read = ParquetCells([tmp_path / "b.parquet"], "image.bytes")
    assert read(0) == read(1) == b""


def test_empty_row_groups_and_files_are_skipped(tmp_path):
    paths = [write(tmp_path / f"{i}.parquet", part) for i, part in enumerate(([], [b"a"], [], [b"b"]))]
    read = ParquetCells(paths, "image")
    assert [read(0), read(1)] == [b"a", b"b"]


def test_damage_in_the_middle_is_a_failure_that_names_the_file(tmp_path):
    rng = np.random.default_rng(0)
    path = write(tmp_path / "a.parquet", [rng.bytes(3000) for _ in range(10)])
    content = bytearray(path.read_bytes())
    content[100:160] = b"\xff" * 60
    content[4:40] = b"\xff" * 36
    path.write_bytes(content)
    with pytest.raises(Failure, match=r"a\.parquet, row group 0, is damaged"):
        ParquetCells([path], "image")(0)


def test_what_is_no_parquet_is_a_users_error(tmp_path):
    (tmp_path / "a.parquet").write_text("hello")
    with pytest.raises(UserError, match="cannot be read as Parquet"):
        open_parquet(tmp_path / "a.parquet")
    with pytest.raises(UserError, match="cannot be read as Parquet"):
        open_parquet(tmp_path / "nowhere.parquet")
