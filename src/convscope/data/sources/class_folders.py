"""Images in folders named by class, with or without folders for the splits around them.

    photos/cat/a.jpg                       one folder a class
    photos/train/cat/a.jpg                 train (or training) around them, and beside it
    photos/val/cat/b.jpg                   val, valid, validation or dev, and test or testing, in any case

Folders may nest inside a class. Names are read when the source is opened, images on demand.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import chain
from pathlib import Path

import numpy as np

from convscope.core.errors import UserError
from convscope.data.class_labels import natural_key
from convscope.data.dataset import FileDataset, hash_of_stats
from convscope.data.sources.image_walk import Leftovers, list_folder, shortened, walk_folders
from convscope.data.sources.origin import SPLITS, Source, split_of

# {"train": {"cat": ["train/cat/a.jpg", …], …}, …}: paths relative to the root, by split and class.
_Tree = dict[str, dict[str, list[str]]]

_LAYOUT = "expected one folder a class (cat/…, dog/…), or train/cat/… with val/… and test/… beside train"


def folder_source(root: Path) -> Source:
    """The source over a folder of class folders; a UserError explains the layout where there is none."""
    left, notes = Leftovers(), list[str]()
    base = _unwrapped(root, notes)
    tree = _listed_tree(base, left, notes)
    classes = _checked_classes(root, tree)
    notes += [*left.notes(), *_differences(tree)]
    prefix = "" if base == root else f"{base.relative_to(root).as_posix()}/"
    paths = {split: [prefix + path for path in chain.from_iterable(tree[split].values())] for split in tree}

    def open_split(split: str) -> FileDataset:
        folders = tree[split]
        labels = np.repeat(
            [classes.index(name) for name in folders], [len(folders[name]) for name in folders]
        )
        return FileDataset(tuple(paths[split]), labels.astype(np.int64), classes, root)

    everything = list(chain.from_iterable(paths.values()))
    return Source(
        name=root.resolve().name or "images",
        location=root,
        splits={split: partial(open_split, split) for split in SPLITS if split in tree},
        # Not the bytes: at 1 GB/s, 100 GB of photographs would take two minutes.
        compute_fingerprint=lambda: hash_of_stats((root / path for path in everything), everything),
        notes=tuple(notes),
        kind="class folders",
    )


def _unwrapped(root: Path, notes: list[str]) -> Path:
    # An archive often unpacks to photos/photos/cat/…: lone folders down to one with several, or with splits.
    base = root
    for depth in range(3):
        folders, images = list_folder(base, Leftovers())
        if images or not folders:
            break
        # A lone train/ is a split, and nothing that an archive put around it.
        if len(folders) > 1 or split_of(folders[0]):
            if depth:
                below = base.relative_to(root).as_posix()
                notes.append(f"the class folders were found {depth} down, in {below}")
            return base
        base = base / folders[0]
    return root


def _listed_tree(base: Path, left: Leftovers, notes: list[str]) -> _Tree:
    """The images by split and class; without folders for the splits, all of them are train."""
    folders, loose = list_folder(base, left)
    splits = _split_folders(base, folders, notes)
    listed = {split: (name, *list_folder(base / name, left)) for split, name in splits.items()}
    listed = listed or {"train": ("", folders, loose)}
    tree = _tree(base, {split: (name, inside) for split, (name, inside, _) in listed.items()}, left, notes)
    for split, (name, _, flat) in listed.items():
        if flat and not any(tree[split].values()):
            raise UserError(
                f"{base / name} holds {len(flat)} images but no class folder with images; {_LAYOUT}"
            )
        if flat:
            beside = "images lie beside the class folders and were left out"
            notes.append(f"{len(flat)} {beside}: {shortened(flat)}")
    return tree


def _split_folders(base: Path, folders: list[str], notes: list[str]) -> dict[str, str]:
    """The folder of each split; none where the folders are classes."""
    by_split: dict[str, str] = {}
    for name in folders:
        split = split_of(name)
        # A class may be called "train"; a split holds folders.
        if split is None or not list_folder(base / name, Leftovers())[0]:
            continue
        # val/ and dev/ may be two splits or two copies of one: only a person knows.
        if split in by_split:
            two = f"{by_split[split]} and {name}"
            raise UserError(f"{base} has two folders for the {split} split, {two}; keep one of them")
        by_split[split] = name
    if by_split and "train" not in by_split:
        raise UserError(f"{base} has {' and '.join(by_split.values())} but no train folder; {_LAYOUT}")
    # train/ beside cat/ is two layouts at once; the splits are taken, and the rest becomes a note.
    others = sorted(set(folders) - set(by_split.values()))
    if by_split and others:
        notes.append(f"{len(others)} folders beside the splits were left out: {shortened(others)}")
    return by_split


def _tree(base: Path, splits: dict[str, tuple[str, list[str]]], left: Leftovers, notes: list[str]) -> _Tree:
    tree: _Tree = {split: {} for split in splits}
    folders = [
        (split, name, f"{folder}/{name}".removeprefix("/"))
        for split, (folder, names) in splits.items()
        for name in sorted(names, key=natural_key)
    ]
    # All folders in one walk: a link from one class to another is then followed once.
    walked = walk_folders(base, [path for _, _, path in folders])
    for (split, name, path), (images, own) in zip(folders, walked, strict=True):
        left.add(own)
        if images or own.empty:
            tree[split][name] = [f"{path}/{image}" for image in images]
        elif own.others:
            notes.append(f"{path} holds files but no image and is not taken for a class")
    return tree


def _checked_classes(root: Path, tree: _Tree) -> tuple[str, ...]:
    classes = tuple(sorted({name for split in tree.values() for name in split}, key=natural_key))
    if not any(images for split in tree.values() for images in split.values()):
        raise UserError(f"{root} holds no image; {_LAYOUT}{_tables(root)}")
    if len(classes) < 2:
        raise UserError(
            f"{root} holds one class, {classes[0]!r}; two or more are needed to tell apart; {_LAYOUT}"
        )
    # A class name goes into the bundle and onto figures; the bytes of such a name can go into neither.
    if odd := [name for name in classes if not name.isprintable()]:
        raise UserError(
            f"{root}: the name of the class folder {odd[0]!r} cannot be written as text; rename it"
        )
    return classes


def _tables(root: Path) -> str:
    endings = {".csv", ".tsv", ".npz", ".zip", ".tar"}
    tables = sorted(path.name for path in root.iterdir() if path.suffix.lower() in endings)
    return f"; there is a {tables[0]} in it: give that file (unpacked) instead" if tables else ""


def _differences(tree: _Tree) -> Iterator[str]:
    everywhere = {name for split in tree.values() for name in split}
    for split, classes in tree.items():
        missing = sorted(everywhere - set(classes), key=natural_key)
        if missing:
            yield f"the {split} split has no folder for {len(missing)} classes: {shortened(missing)}"
        # Kept as a class, so that every split counts the same ones.
        empty = [name for name, images in classes.items() if not images]
        if empty:
            yield f"{len(empty)} class folders of the {split} split are empty: {shortened(empty)}"
