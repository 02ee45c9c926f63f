"""Encoded images read one at a time out of the image column of Parquet files, a row group in memory at
once.
"""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

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
        return pyarrow_parquet().ParquetFile(path, memory_map=True)
    except (OSError, ValueError) as error:
        raise UserError(
            f"{path} cannot be read as Parquet: {str(error).splitlines()[0]}; fetch it again"
        ) from None


class ParquetCells:
    """`cells(row)` gives the bytes of a row's image, rows counted through all files in their order.

    Two row groups are kept, so that reading in order decompresses each once, and threads may share it.
    """

    def __init__(self, paths: Sequence[Path], column: str) -> None:
        """`column` is the path of the binary column: "image", or "image.bytes" inside a struct."""
        self._paths, self._column = tuple(paths), column
        files = [open_parquet(path) for path in paths]
        sizes = [
            (f, g, m.row_group(g).num_rows)
            for f, m in enumerate(x.metadata for x in files)
            for g in range(m.num_row_groups)
        ]
        self._files = files
        self._groups = [(file, group) for file, group, _ in sizes]
        self._starts = [0, *accumulate(count for _, _, count in sizes)]
        self._kept: dict[int, Any] = {}
        self._turn = threading.Lock()

    def __call__(self, row: int) -> bytes:
        """The bytes of one image; empty where the cell is."""
        place = bisect_right(self._starts, row) - 1
        with self._turn:
            cells = self._kept.get(place)
            if cells is None:
                cells = self._read(place)
        value = cells[row - self._starts[place]].as_py()
        return value if isinstance(value, bytes) else b""

    def _read(self, place: int) -> Any:
        file, group = self._groups[place]
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
        while len(self._kept) >= 2:
            del self._kept[next(iter(self._kept))]
        self._kept[place] = cells
        return cells
