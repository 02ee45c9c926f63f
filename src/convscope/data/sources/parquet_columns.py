"""Which columns of a Parquet file hold images, labels, splits and names, from its schema alone.

Hugging Face writes into the schema's metadata which column is an image and which a class label, with the
class names. Other files go by type (binary, or a struct with bytes) and by the usual names.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from convscope.core.errors import UserError
from convscope.data.sources.parquet_cells import open_parquet

_IMAGE = ("image", "img", "picture", "photo")
_LABEL = ("label", "labels", "fine_label", "class", "target", "category")
_NAME = ("name", "file_name", "filename", "image_id")


@dataclass(frozen=True)
class Columns:
    """Which columns to read: `image` is a path such as image.bytes, an absent `split` or `name` is empty.

    `classes` are the class names that the schema gives; none where labels are names or bare numbers.
    """

    image: str
    label: str
    split: str
    name: str
    classes: tuple[str, ...]


def find_columns(path: Path) -> Columns:
    """The columns of a file; a UserError names those it has where images or labels are missing."""
    schema = open_parquet(path).schema_arrow
    metadata = schema.metadata or {}
    features = _features(metadata)
    image = _image_column(schema, features)
    label = _named(schema, _declared(features, "ClassLabel", schema.names), _LABEL)
    if not (image and label):
        missing = "a label column" if image else "an image column (binary, or a struct with bytes)"
        raise UserError(
            f"{path} has no {missing}; its columns are {', '.join(schema.names)}; expected image and label"
        )
    return Columns(
        image=image,
        label=label,
        split="split" if "split" in schema.names else "",
        name=next((name for name in _NAME if _is_text(schema, name)), ""),
        classes=_class_names(features.get(label, {}), metadata),
    )


def _class_names(feature: dict[str, Any], metadata: dict[bytes, bytes]) -> tuple[str, ...]:
    return tuple(str(name) for name in feature.get("names") or _json(metadata, b"classes") or ())


def _image_column(schema: Any, features: dict[str, Any]) -> str:
    """The path of the image's bytes: image, or image.bytes inside a struct; empty where no column has any."""
    # A text column of paths is no image: the files lie elsewhere.
    usable = [name for name in schema.names if _path_of_bytes(schema, name)]
    column = _named(schema, _declared(features, "Image", usable), _IMAGE)
    # A single column of bytes needs no usual name.
    if column not in usable:
        column = usable[0] if len(usable) == 1 else ""
    return _path_of_bytes(schema, column) if column else ""


def _path_of_bytes(schema: Any, name: str) -> str:
    kind = schema.field(name).type
    if str(kind) in {"binary", "large_binary"}:
        return name
    if not str(kind).startswith("struct"):
        return ""
    inner = {kind.field(i).name for i in range(kind.num_fields)}
    return f"{name}.bytes" if "bytes" in inner else ""


def _is_text(schema: Any, name: str) -> bool:
    return name in schema.names and str(schema.field(name).type).endswith("string")


def _declared(features: dict[str, Any], kind: str, names: Sequence[str]) -> list[str]:
    return [name for name in names if features.get(name, {}).get("_type") == kind]


def _named(schema: Any, declared: Sequence[str], usual: Sequence[str]) -> str:
    # What the schema declares comes first, but of several (fine_label, coarse_label) the usual name.
    among = [name for name in usual if name in (declared or schema.names)]
    return next(iter([*among, *declared]), "")


def _features(metadata: dict[bytes, bytes]) -> dict[str, Any]:
    # {"info": {"features": {"label": {"_type": "ClassLabel", "names": […]}}}}
    info = _json(metadata, b"huggingface")
    features = info.get("info", {}).get("features", {}) if isinstance(info, dict) else {}
    return {name: entry for name, entry in features.items() if isinstance(entry, dict)}


def _json(metadata: dict[bytes, bytes], key: bytes) -> Any:
    try:
        return json.loads(metadata.get(key, b"null"))
    except ValueError:
        return None
