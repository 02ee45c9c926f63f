"""Parquet files: opened with a memory map, read by column, and their encoded images one cell at a time."""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convscope.core.errors import Failure, UserError


def pyarrow_parquet() -> Any:
    """The module pyarrow.parquet; a UserError says how to install it where it is missing."""
    try:
        import pyarrow.parquet as module
    except ImportError:
        raise UserError("reading Parquet needs pyarrow; install it: pip install pyarrow") from None
    return module


def open_parquet(path: Path) -> Any:
    """A memory-mapped pyarrow ParquetFile; a UserError where the file is damaged or is no Parquet."""
    try:
        # Mapped: the system reads pages when they are touched, and may drop them again.
        return pyarrow_parquet().ParquetFile(path, memory_map=True)
    except (OSError, ValueError) as error:
        raise UserError(
            f"{path} cannot be read as Parquet: {str(error).splitlines()[0]}; fetch it again"
        ) from None


def column_values(paths: Sequence[Path], column: str) -> NDArray[Any]:
    """All values of a column of whole numbers or of text.

    Args:
        paths: the files, one after another.
        column: its name.

    Returns:
        Whole numbers or text, one a row.

    Raises:
        UserError: a file lacks the column, is damaged, or has an empty cell in it.
    """
    parts = []
    for path in paths:
        file = open_parquet(path)
        if column not in file.schema_arrow.names:
            raise UserError(f"{path} has no column {column!r}, which the other shards have; fetch it again")
        try:
            cells = file.read(columns=[column]).column(0)
        except (OSError, ValueError) as error:
            raise UserError(f"{path} is damaged: {str(error).splitlines()[0]}; fetch it again") from None
        if cells.null_count:
            raise UserError(
                f"{path}: {cells.null_count} cells of the column {column!r} are empty; fill them or drop "
                "the rows"
            )
        # Dictionary columns and large strings become text; floats are no labels.
        whole = str(cells.type).startswith(("int", "uint"))
        parts.append(np.asarray(cells.to_numpy()) if whole else np.array(cells.to_pylist(), dtype=np.str_))
    return np.concatenate(parts)


class ParquetCells:
    """`cells(row)` gives the bytes of a row's image, rows counted through all files in their order.

    Two row groups are kept, so that reading in order decompresses each once, and threads may share it.
    """

    def __init__(self, paths: Sequence[Path], column: str) -> None:
        """`column` is the path of the binary column: "image", or "image.bytes" inside a struct."""
        self._paths, self._column = tuple(paths), column
        files = [open_parquet(path) for path in paths]
        # Row groups are what Parquet compresses; one is the least that can be read.
        sizes = [
            (f, g, m.row_group(g).num_rows)
            for f, m in enumerate(x.metadata for x in files)
            for g in range(m.num_row_groups)
        ]
        self._files = files
        self._groups = [(file, group) for file, group, _ in sizes]
        self._starts = [0, *accumulate(count for _, _, count in sizes)]
        self._kept: dict[int, Any] = {}
        self._lock = threading.Lock()

    def __call__(self, row: int) -> bytes:
        """The bytes of one image; empty where the cell is."""
        group = bisect_right(self._starts, row) - 1
        # Threads that miss together would decompress one group several times.
        with self._lock:
            cells = self._kept.get(group)
            if cells is None:
                cells = self._read(group)
        value = cells[row - self._starts[group]].as_py()
        return value if isinstance(value, bytes) else b""

    def _read(self, number: int) -> Any:
        file, group = self._groups[number]
        try:
            table = self._files[file].read_row_group(group, columns=[self._column])
        except (OSError, ValueError) as error:
            reason = str(error).splitlines()[0]
            raise Failure(
                f"{self._paths[file]}, row group {group}, is damaged: {reason}; fetch the file again"
            ) from None
        cells = table.column(0)
        if "." in self._column:
            import pyarrow.compute as pc

            cells = pc.struct_field(cells, self._column.split(".")[1:])
        while len(self._kept) >= 2:  # two, since threads stand in one group while the next begins
            del self._kept[next(iter(self._kept))]
        self._kept[number] = cells
        return cells
