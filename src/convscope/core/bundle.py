"""The bundle: everything a network needs to answer, in one safetensors file.

Tensors are the weights; the file's metadata holds one JSON document: the network's name and options,
preprocessing, class names, decision, metrics and provenance. One file is saved in one atomic step and cannot
lose a part on its way to somebody else. Nothing in it is code and nothing is ever unpickled.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from convscope.core.atomic import write_bytes
from convscope.core.decision import Decision
from convscope.core.errors import UserError

if TYPE_CHECKING:
    from numpy.typing import NDArray

FORMAT = 2
"""2 has a decision that may answer *unknown*; 1 had its temperature alone, and is read as well."""
FILE_NAME = "bundle.safetensors"
DECISION = {key.name for key in fields(Decision)}


@dataclass(frozen=True)
class Bundle:
    """A trained network on disk or on its way there.

    `weights`: arrays by parameter name. `model`: name, options, input_shape (C, H, W) and, for a person's own
    network, source path and hash. `preprocess`: the one preprocessing as a dictionary. `classes`: the K
    names. `decision`: from logits to an answer. `metrics`: figures by split. `provenance`: data, command,
    seed, versions, hardware, date.
    """

    weights: dict[str, NDArray[np.generic]]
    model: dict[str, Any]
    preprocess: dict[str, Any]
    classes: tuple[str, ...]
    decision: Decision = field(default_factory=Decision)
    metrics: dict[str, Any] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)

    @property
    def seed(self) -> int:
        """That of the training; 0 where nobody wrote it down."""
        return int(self.provenance.get("seed") or 0)

    def save(self, path: Path | str) -> Path:
        """Write the bundle to `path` in one atomic step and return the path.

        Raises UserError for a read-only folder and Failure for a full disk; a bundle that was there stays
        whole.
        """
        from safetensors.numpy import save

        document = {
            "format": FORMAT,
            "model": self.model,
            "preprocess": self.preprocess,
            "classes": list(self.classes),
            "decision": self.decision.to_dict(),
            "metrics": self.metrics,
            "provenance": self.provenance,
            "weights_sha256": weights_fingerprint(self.weights),
        }
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
        document, weights = _read(target)
        if not isinstance(document.get("format"), int) or document["format"] > FORMAT:
            raise UserError(
                f"{target} has bundle format {document.get('format')!r}, this version reads up to {FORMAT}; "
                "update with: pip install --upgrade convscope"
            )
        _check_whole(target, document)
        if document.get("weights_sha256") != weights_fingerprint(weights):
            raise UserError(
                f"the weights in {target} are not those that were saved; copy it again from where it was made"
            )
        return cls(
            weights=weights,
            model=document["model"],
            preprocess=document["preprocess"],
            classes=tuple(document["classes"]),
            decision=Decision.from_dict(document["decision"]),
            metrics=document["metrics"],
            provenance=document["provenance"],
        )


def weights_fingerprint(weights: dict[str, NDArray[np.generic]]) -> str:
    """SHA-256 over the names, shapes and bytes of all weights: a flipped bit would answer without a word."""
    digest = hashlib.sha256()
    for name in sorted(weights):
        digest.update(f"{name}{weights[name].shape}{weights[name].dtype}".encode())
        digest.update(np.ascontiguousarray(weights[name]).data)
    return digest.hexdigest()


def find_bundle(path: Path) -> Path:
    """The bundle file at `path`, which is the file itself or a run folder; UserError when there is none."""
    if path.is_dir():
        if not (path / FILE_NAME).is_file():
            if (path / "checkpoint.safetensors").is_file():
                raise UserError(
                    f"{path} is a run that has not ended; go on with it: the same train words and --resume"
                )
            raise UserError(f"{path} holds no {FILE_NAME}; give a run folder that a finished training wrote")
        return path / FILE_NAME
    if not path.is_file():
        raise UserError(f"there is no run or bundle at {path}; runs lie in artifacts/, see: ls artifacts")
    return path


def _check_whole(path: Path, document: dict[str, Any]) -> None:
    """UserError unless everything that a bundle is read for is there and of its kind."""
    model = document.get("model")
    model = model if isinstance(model, dict) else {}
    classes, shape, decision = document.get("classes"), model.get("input_shape"), document.get("decision")
    sound = {
        "classes": isinstance(classes, list) and all(isinstance(name, str) for name in classes),
        "model.name": isinstance(model.get("name"), str),
        "model.options": isinstance(model.get("options"), dict),
        "model.input_shape": isinstance(shape, list) and all(isinstance(side, int) for side in shape),
        "model.classes": isinstance(classes, list) and model.get("classes") == len(classes),
        "decision": isinstance(decision, dict) and {"temperature"} <= decision.keys() <= DECISION,
    } | {name: isinstance(document.get(name), dict) for name in ("preprocess", "metrics", "provenance")}
    wrong = [name for name, right in sound.items() if not right]
    if wrong:
        raise UserError(
            f"{path} is not a whole bundle: {', '.join(wrong)} missing or wrong; train or copy it again"
        )


def _read(path: Path) -> tuple[dict[str, Any], dict[str, NDArray[np.generic]]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            document = json.loads((file.metadata() or {})["convscope"])
            if not isinstance(document, dict):
                raise ValueError("its metadata is no JSON object")
            return document, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
    except (SafetensorError, OSError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise UserError(
            f"{path} is not a Convscope bundle, or it is damaged ({error}); train or copy it again"
        ) from None
