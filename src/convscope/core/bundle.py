"""The bundle: everything a network needs to predict, in one safetensors file.

Tensors are the weights; the file's metadata holds one JSON document: engine, task and form, the network's
name and options, preprocessing, class names, decision, metrics and provenance. One file is saved in one
atomic step and cannot lose a part on its way to somebody else. Nothing in it is code and nothing is ever
unpickled.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from convscope.core.atomic import write_bytes
from convscope.core.decision import Decision
from convscope.core.errors import UserError

if TYPE_CHECKING:
    from numpy.typing import NDArray

FORMAT = 3
"""3 names engine, task, form; 2 a decision that may be *unknown*, 1 its temperature alone. All are read."""
FILE_NAME = "bundle.safetensors"
DECISION = {key.name for key in fields(Decision)}
BEFORE_FORMAT_3 = {"engine": "torch", "task": "classification", "form": "torch"}
"""The only engine, task and form there were before a document named them."""


@dataclass(frozen=True, kw_only=True)
class BundleDocument:
    """What a bundle says of its network; everything but the weights.

    `model`: name, options, input_shape (C, H, W), classes (K) and, for a custom model, source path and hash.
    `preprocess`: the one preprocessing as a dictionary. `classes`: the names of the K outputs. `decision`:
    from logits to a prediction. `metrics`: figures by split. `provenance`: data, command, seed, versions,
    hardware, date. `engine`: the framework that trained it. `task`: what the outputs mean. `form`: what the
    weights are, and so what opens them.
    """

    model: dict[str, Any]
    preprocess: dict[str, Any]
    classes: tuple[str, ...]
    decision: Decision = field(default_factory=Decision)
    metrics: dict[str, Any] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)
    engine: str = BEFORE_FORMAT_3["engine"]
    task: str = BEFORE_FORMAT_3["task"]
    form: str = BEFORE_FORMAT_3["form"]

    @property
    def seed(self) -> int:
        """The seed of the training; 0 where nobody wrote it down."""
        return int(self.provenance.get("seed") or 0)


@dataclass(frozen=True)
class Bundle(BundleDocument):
    """A trained network on disk or on its way there: document and `weights`, arrays by parameter name."""

    weights: dict[str, NDArray[np.generic]]

    def save(self, path: Path | str) -> Path:
        """Write the bundle to `path` in one atomic step and return the path.

        Raises UserError for a read-only folder and Failure for a full disk; a bundle that was there stays
        whole.
        """
        from safetensors.numpy import save

        # The names of the fields are the names in the file.
        document = {"format": FORMAT} | {key.name: getattr(self, key.name) for key in fields(BundleDocument)}
        document |= {
            "classes": list(self.classes),
            "decision": self.decision.to_dict(),
            "weights_sha256": weights_fingerprint(self.weights),
        }
        # The metadata of safetensors are strings: https://github.com/huggingface/safetensors#format
        text = json.dumps(document, ensure_ascii=False, allow_nan=False)
        target = Path(path)
        write_bytes(target, save(self.weights, metadata={"convscope": text}))
        return target

    @classmethod
    def load(cls, path: Path | str) -> Bundle:
        """Read a bundle: its file, or the run folder that holds one.

        Raises UserError when there is none, when the file is not a bundle or is damaged, and when it was
        written in a newer format than this version reads.
        """
        target = find_bundle(Path(path))
        with _opened(target) as file:
            document = _checked_document(target, file)
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
        # safetensors checks lengths and not contents.
        if document.get("weights_sha256") != weights_fingerprint(weights):
            raise UserError(
                f"the weights in {target} are not those that were saved; copy it again from where it was made"
            )
        return cls(weights=weights, **_fields_of(document))


def read_document(path: Path | str) -> BundleDocument:
    """The document of a bundle, read without its weights: a few kilobytes of a file of any size.

    Args:
        path: the bundle's file, or the run folder that holds one.

    Raises:
        UserError: as `Bundle.load` does, except that the weights are not checked.
    """
    target = find_bundle(Path(path))
    with _opened(target) as file:
        return BundleDocument(**_fields_of(_checked_document(target, file)))


def weights_fingerprint(weights: dict[str, NDArray[np.generic]]) -> str:
    """SHA-256 over the names, shapes and bytes of all weights: a flipped bit would go unnoticed."""
    digest = hashlib.sha256()
    # Sorted: the order of a dictionary is that in which layers were made.
    for name in sorted(weights):
        # Shape and type count: the same bytes read as other numbers are other weights.
        digest.update(f"{name}{weights[name].shape}{weights[name].dtype}".encode())
        # `.data` is a view: tobytes() would copy each layer once more.
        digest.update(np.ascontiguousarray(weights[name]).data)
    return digest.hexdigest()


def find_bundle(path: Path) -> Path:
    """The bundle file at `path`, which is the file itself or a run folder; UserError when there is none."""
    if path.is_dir():
        if not (path / FILE_NAME).is_file():
            # Most folders without a bundle are runs that were stopped, and those can go on.
            if (path / "checkpoint.safetensors").is_file():
                raise UserError(
                    f"{path} is a run that has not ended; go on with it: the same train words and --resume"
                )
            raise UserError(f"{path} holds no {FILE_NAME}; give a run folder that a finished training wrote")
        return path / FILE_NAME
    if not path.is_file():
        raise UserError(f"there is no run or bundle at {path}; runs lie in artifacts/, see: ls artifacts")
    return path


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """The open safetensors file; whatever goes wrong while it is read is one UserError."""
    from safetensors import SafetensorError, safe_open

    try:
        # The header is read here, and each tensor only when it is asked for.
        with safe_open(path, framework="numpy") as file:
            yield file
    # RecursionError: a document of a hundred thousand brackets.
    except (SafetensorError, OSError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise UserError(
            f"{path} is not a Convscope bundle, or it is damaged ({error}); train or copy it again"
        ) from None


def _checked_document(path: Path, file: Any) -> dict[str, Any]:
    document = json.loads((file.metadata() or {})["convscope"])
    if not isinstance(document, dict):
        raise ValueError("its metadata is no JSON object")
    # Before anything else: a newer document may lack what this version asks for.
    if not isinstance(document.get("format"), int) or document["format"] > FORMAT:
        raise UserError(
            f"{path} has bundle format {document.get('format')!r}, this version reads up to {FORMAT}; "
            "update with: pip install --upgrade convscope"
        )
    if document["format"] < FORMAT:
        document = document | BEFORE_FORMAT_3
    # All of them at once: a file that was cut by hand lacks more than one thing.
    wrong = [name for name, sound in (_sound_model(document) | _sound_rest(document)).items() if not sound]
    if wrong:
        raise UserError(
            f"{path} is not a whole bundle: {', '.join(wrong)} missing or wrong; train or copy it again"
        )
    return document


def _sound_model(document: dict[str, Any]) -> dict[str, bool]:
    """Whether each thing that a network is rebuilt from is there and of its kind."""
    model, classes = document.get("model"), document.get("classes")
    model = model if isinstance(model, dict) else {}
    return {
        "classes": _is_list_of(str, classes),
        "model.name": isinstance(model.get("name"), str),
        "model.options": isinstance(model.get("options"), dict),
        "model.input_shape": _is_list_of(int, model.get("input_shape")),
        # K outputs with another number of names would give wrong labels.
        "model.classes": isinstance(classes, list) and model.get("classes") == len(classes),
    }


def _sound_rest(document: dict[str, Any]) -> dict[str, bool]:
    decision = document.get("decision")
    # Of format 1 the temperature alone; an unknown key would change predictions if it were ignored.
    sound = {"decision": isinstance(decision, dict) and {"temperature"} <= decision.keys() <= DECISION}
    sound |= {name: isinstance(document.get(name), dict) for name in ("preprocess", "metrics", "provenance")}
    return sound | {name: isinstance(document.get(name), str) for name in BEFORE_FORMAT_3}


def _is_list_of(kind: type, value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, kind) for item in value)


def _fields_of(document: dict[str, Any]) -> dict[str, Any]:
    # The rest of a document (format, checksum) was for reading it.
    known = {key.name: document[key.name] for key in fields(BundleDocument)}
    return known | {
        "classes": tuple(document["classes"]),
        "decision": Decision.from_dict(document["decision"]),
    }
