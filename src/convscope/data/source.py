"""From what a person types (a name or a path) to a Source."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from convscope.core.contracts import Progress
from convscope.core.errors import UserError, nearest
from convscope.data.sources.class_folders import folder_source
from convscope.data.sources.csv_table import csv_source
from convscope.data.sources.fashion_mnist_bundle import fashion_mnist
from convscope.data.sources.idx import find_idx, idx_source
from convscope.data.sources.image_walk import is_image, shortened
from convscope.data.sources.npz import npz_source
from convscope.data.sources.origin import Source
from convscope.data.sources.parquet import find_parquet, parquet_source
from convscope.data.sources.published import PUBLISHED, published_source

__all__ = ["NAMES", "Source", "open_source"]

NAMES = ("fashion_mnist", *PUBLISHED)

_ENDINGS = {".csv": csv_source, ".tsv": csv_source, ".npz": npz_source, ".parquet": parquet_source}
_ARCHIVES = frozenset({".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".7z", ".rar"})
_KINDS = "a folder of class folders, of IDX or of Parquet files, or a .csv, .npz or .parquet file"


def open_source(data: str | Path, *, progress: Progress | None = None) -> Source:
    """The source that `data` means: a data set's name ("fashion_mnist", "cifar10", … in any spelling), or a
    path.

    A path is a folder of class folders, of IDX or of Parquet files, or a .csv, .npz or .parquet file. No
    image is read here. `progress(done, total)` in bytes follows a download. A UserError names the nearest
    name or path.

    >>> open_source("Fashion-MNIST").split_names
    ('train', 'test')
    """
    if not str(data).strip():
        raise UserError(f"the data set's name is empty ({data!r}); allowed: {', '.join(NAMES)}, or {_KINDS}")
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
    """Class folders where there are any, for a stray file beside them is likelier than stray class
    folders.
    """
    pairs, shards = find_idx(folder), find_parquet(folder)
    try:
        source = folder_source(folder)
    except UserError:
        if pairs:
            return idx_source(pairs, name=folder.resolve().name, location=folder)
        if shards:
            return parquet_source(folder)
        raise
    tables = [path for path in folder.iterdir() if path.suffix.lower() in _ENDINGS and path.is_file()]
    files = {*tables, *shards, *(path for parts in pairs.values() for path in parts.values())}
    if not files:
        return source
    names = shortened(sorted(path.relative_to(folder).as_posix() for path in files))
    note = f"the class folders were taken, and not the data files beside them: {names}; give such a file to use it"
    return replace(source, notes=(*source.notes, note))


def _missing(path: Path) -> UserError:
    parent = path.parent
    try:
        beside = {
            entry.name: str(parent / entry.name)
            for entry in parent.iterdir()
            if not entry.name.startswith(".")
        }
    except OSError:
        beside = {}
    names = {} if len(path.parts) > 1 else {name: name for name in NAMES}
    guess = nearest(path.name, [*names, *beside])
    hint = f"did you mean {({**beside, **names})[guess]!r}? " if guess else ""
    return UserError(
        f"there is no data set or path {str(path)!r}; {hint}allowed: {', '.join(NAMES)}, or {_KINDS}"
    )
