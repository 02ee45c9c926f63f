"""From what a person types (a name or a path) to a Source."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from convscope.core.errors import UserError, nearest
from convscope.core.run.progress import Progress
from convscope.data.sources.class_folders import folder_source
from convscope.data.sources.csv_table import csv_source
from convscope.data.sources.idx import find_idx, idx_source
from convscope.data.sources.image_walk import is_image, shortened
from convscope.data.sources.npz import npz_source
from convscope.data.sources.origin import Source
from convscope.data.sources.parquet import find_parquet, parquet_source
from convscope.data.sources.published import PUBLISHED, fashion_mnist, published_source

__all__ = ["NAMES", "Source", "open_source"]

NAMES = ("fashion_mnist", *PUBLISHED)

_ENDINGS = {".csv": csv_source, ".tsv": csv_source, ".npz": npz_source, ".parquet": parquet_source}
_ARCHIVES = frozenset({".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".7z", ".rar"})
_KINDS = "a folder of class folders, of IDX or of Parquet files, or a .csv, .npz or .parquet file"


def open_source(data: str | Path, *, progress: Progress | None = None) -> Source:
    """The source that `data` means; no image is read here.

    Args:
        data: a data set's name ("fashion_mnist", "cifar10", … in any spelling), or a path: a folder of class
            folders, of IDX or of Parquet files, or a .csv, .npz or .parquet file.
        progress: is called with "download" and bytes when a split that has to be fetched is opened.

    Raises:
        UserError: there is no such data; it names the nearest name or path.

    >>> open_source("Fashion-MNIST").split_names
    ('train', 'test')
    """
    if not str(data).strip():
        raise UserError(f"the data set's name is empty ({data!r}); allowed: {', '.join(NAMES)}, or {_KINDS}")
    # Fashion-MNIST, fashion_mnist and "fashion mnist" are one name; a Path is never a name.
    name = re.sub(r"[-_ ]", "", data.lower()) if isinstance(data, str) else ""
    known = next((known for known in NAMES if known.replace("_", "") == name), None)
    if known is None:
        try:
            return _open_path(Path(data).expanduser())
        except (OSError, RuntimeError) as error:  # a name too long, a closed folder, no home to expand ~ to
            reason = getattr(error, "strerror", None) or str(error)
            raise UserError(f"{str(data)[:200]!r} cannot be opened: {reason}; allowed: {_KINDS}") from None
    source = fashion_mnist() if known == "fashion_mnist" else published_source(known, progress=progress)
    if Path(data).exists():
        # A folder called mnist is likelier forgotten than meant, so the choice is a note and no question.
        clash = f"{data!r} is taken for the published set; write ./{data} for the path of that name"
        return replace(source, notes=(*source.notes, clash))
    return source


def _open_path(path: Path) -> Source:
    if path.is_dir():
        return _open_folder(path)
    if not path.exists():
        raise _missing(path)
    opener = _ENDINGS.get(path.suffix.lower())
    if opener:
        return opener(path)
    if path.suffix.lower() in _ARCHIVES:
        raise UserError(f"{path} is an archive; unpack it and give the folder")
    if is_image(path.name):
        raise UserError(f"{path} is one image; a data set is {_KINDS}")
    raise UserError(f"{path} is no data set that is understood; allowed: {_KINDS}")


def _open_folder(folder: Path) -> Source:
    """Class folders where there are any: a stray file beside them is likelier than stray class folders."""
    pairs, shards = find_idx(folder), find_parquet(folder)
    try:
        source = folder_source(folder)
    except UserError:
        if pairs:
            return idx_source(pairs, name=folder.resolve().name, location=folder)
        if shards:
            return parquet_source(folder)
        raise
    # Only where class folders were found: then arrays beside them are what a person may have meant.
    arrays = [path for parts in pairs.values() for path in parts.values()]
    return _with_note_of(source, folder, [*arrays, *shards])


def _with_note_of(source: Source, folder: Path, files: Iterable[Path]) -> Source:
    """The source with a note of the data files and tables that lie beside its class folders."""
    tables = {path for path in folder.iterdir() if path.suffix.lower() in _ENDINGS and path.is_file()}
    beside = sorted(path.relative_to(folder).as_posix() for path in tables.union(files))
    if not beside:
        return source
    ignored = f"the class folders were taken, and not the data files beside them: {shortened(beside)}"
    return replace(source, notes=(*source.notes, f"{ignored}; give such a file to use it"))


def _missing(path: Path) -> UserError:
    parent = path.parent
    try:
        # What lies in the folder is the best guess at a misspelt path.
        names = [entry.name for entry in parent.iterdir() if not entry.name.startswith(".")]
    except OSError:
        names = []
    beside = {name: str(parent / name) for name in names}
    published = {} if len(path.parts) > 1 else {name: name for name in NAMES}
    guess = nearest(path.name, [*published, *beside])
    hint = f"did you mean {({**beside, **published})[guess]!r}? " if guess else ""
    return UserError(
        f"there is no data set or path {str(path)!r}; {hint}allowed: {', '.join(NAMES)}, or {_KINDS}"
    )
