"""Images in folders named by class, with or without folders for the splits around them.

    photos/cat/a.jpg                       one folder a class
    photos/train/cat/a.jpg                 train (or training) around them, and beside it
    photos/val/cat/b.jpg                   val, valid, validation or dev, and test or testing, in any case

Folders may nest inside a class. Names are read when the source is opened, images when they are asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from convscope.core.errors import UserError
from convscope.data.dataset import FileDataset, hash_of_stats
from convscope.data.sources.class_labels import natural_key
from convscope.data.sources.image_walk import Leftovers, list_folder, shortened, walk_folders
from convscope.data.sources.origin import SPLITS, Source, split_of

# {"train": {"cat": ["train/cat/a.jpg", …], …}, …}: paths relative to the root, by split and class.
_Tree = dict[str, dict[str, list[str]]]

_LAYOUT = "expected one folder a class (cat/…, dog/…), or train/cat/… with val/… and test/… beside train"


def folder_source(root: Path) -> Source:
    """The source over a folder of class folders; a UserError explains the layout where there is none."""
    left, notes = Leftovers(), list[str]()
    base = _unwrapped(root, notes)
    folders, loose = list_folder(base, left)
    splits = _split_folders(base, folders, notes)
    prefix = "" if base == root else f"{base.relative_to(root).as_posix()}/"
    listed = {split: (name, *list_folder(base / name, left)) for split, name in splits.items()}
    listed = listed or {"train": ("", folders, loose)}
    tree = _tree(base, {split: (name, inside) for split, (name, inside, _) in listed.items()}, left, notes)
    for split, (name, _, flat) in listed.items():
        if flat and not any(tree[split].values()):
            raise UserError(
                f"{base / name} holds {len(flat)} images but no class folder with images; {_LAYOUT}"
            )
        if flat:
            notes.append(
                f"{len(flat)} images lie beside the class folders and were left out: {shortened(flat)}"
            )
    classes = _checked_classes(root, tree)
    notes += [*left.notes(), *_differences(tree)]
    names = {split: [prefix + path for found in tree[split].values() for path in found] for split in tree}
    labels = {split: [classes.index(c) for c, found in tree[split].items() for _ in found] for split in tree}

    def open_split(split: str) -> FileDataset:
        return FileDataset(tuple(names[split]), np.array(labels[split], np.int64), classes, root)

    everything = [name for split in names for name in names[split]]
    return Source(
        name=root.resolve().name or "images",
        location=root,
        splits={split: partial(open_split, split) for split in SPLITS if split in tree},
        marker=lambda: hash_of_stats((root / name for name in everything), everything),
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
        if len(folders) > 1 or split_of(folders[0]):
            if depth:
                notes.append(
                    f"the class folders were found {depth} down, in {base.relative_to(root).as_posix()}"
                )
            return base
        base = base / folders[0]
    return root


def _split_folders(base: Path, folders: list[str], notes: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name in folders:
        split = split_of(name)
        # A class may be called "train"; a split holds folders.
        if split is None or not list_folder(base / name, Leftovers())[0]:
            continue
        if split in found:
            raise UserError(
                f"{base} has two folders for the {split} split, {found[split]} and {name}; keep one of them"
            )
        found[split] = name
    if found and "train" not in found:
        raise UserError(f"{base} has {' and '.join(found.values())} but no train folder; {_LAYOUT}")
    others = sorted(set(folders) - set(found.values()))
    if found and others:
        notes.append(f"{len(others)} folders beside the splits were left out: {shortened(others)}")
    return found


def _tree(base: Path, splits: dict[str, tuple[str, list[str]]], left: Leftovers, notes: list[str]) -> _Tree:
    tree: _Tree = {split: {} for split in splits}
    places = [
        (split, name, f"{folder}/{name}" if folder else name)
        for split, (folder, names) in splits.items()
        for name in sorted(names, key=natural_key)
    ]
    walked = walk_folders(base, [path for _, _, path in places])
    for (split, name, path), (found, own) in zip(places, walked, strict=True):
        left.add(own)
        if found or not (own.others or own.loops):
            tree[split][name] = [f"{path}/{image}" for image in found]
        elif own.others:
            notes.append(f"{path} holds files but no image and is not taken for a class")
    return tree


def _checked_classes(root: Path, tree: _Tree) -> tuple[str, ...]:
    classes = tuple(sorted({name for split in tree.values() for name in split}, key=natural_key))
    images = sum(len(found) for split in tree.values() for found in split.values())
    if not images:
        raise UserError(f"{root} holds no image; {_LAYOUT}{_tables(root)}")
    if len(classes) < 2:
        raise UserError(
            f"{root} holds one class, {classes[0]!r}; two or more are needed to tell apart; {_LAYOUT}"
        )
    # A class name goes into the bundle and onto pictures; the bytes of such a name can go into neither.
    if odd := [name for name in classes if not name.isprintable()]:
        raise UserError(
            f"{root}: the name of the class folder {odd[0]!r} cannot be written as text; rename it"
        )
    return classes


def _tables(root: Path) -> str:
    tables = sorted(
        p.name for p in root.iterdir() if p.suffix.lower() in {".csv", ".tsv", ".npz", ".zip", ".tar"}
    )
    return f"; there is a {tables[0]} in it: give that file (unpacked) instead" if tables else ""


def _differences(tree: _Tree) -> Iterator[str]:
    everywhere = {name for split in tree.values() for name in split}
    for split, classes in tree.items():
        missing = sorted(everywhere - set(classes), key=natural_key)
        if missing:
            yield f"the {split} split has no folder for {len(missing)} classes: {shortened(missing)}"
        empty = [name for name, found in classes.items() if not found]
        if empty:
            yield f"{len(empty)} class folders of the {split} split are empty: {shortened(empty)}"
