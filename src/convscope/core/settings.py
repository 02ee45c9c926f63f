"""Settings as people and files write them: dotted keys, TOML, `--set`, and how two configurations differ."""

from __future__ import annotations

import tomllib
from pathlib import Path, PurePath
from typing import Any

from convscope.core.config import RunConfig
from convscope.core.config_keys import RENAMED_KEYS, RENAMED_VALUES
from convscope.core.errors import UserError

NONE_IS_A_VALUE = {"augment.policy"}
"""Keys whose value none says: do nothing; elsewhere it leaves the choice open."""
ADDED_KEYS = (
    "engine",
    "task",
    *(f"train.{key}" for key in ("milestones", "drop", "plateau_patience", "focal_gamma")),
)
"""What version 0.1 wrote down has none of these, and went by what are their defaults."""


def parse_settings(settings: list[str]) -> dict[str, Any]:
    """`["train.lr=0.1", "augment.policy=strong"]` as nested values; a value is read as TOML, else as text.

    The word none leaves open what can be left open, such as data.size.

    >>> parse_settings(["train.lr=0.1", "augment.policy=strong"])
    {'train': {'lr': 0.1}, 'augment': {'policy': 'strong'}}
    """
    result: dict[str, Any] = {}
    # Keys that can be left open: for others none stays text, since some have a choice of that name.
    unset = {key for key, default in flat(RunConfig().to_dict()).items() if default is None} - NONE_IS_A_VALUE
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals or not key.strip():
            raise UserError(f"--set got {setting!r}; it takes KEY=VALUE, such as --set train.lr=0.1")
        *parents, last = key.strip().split(".")
        place = result
        for parent in parents:
            place = place.setdefault(parent, {})
            if not isinstance(place, dict):
                raise UserError(f"--set gives {parent!r} both a value and keys below it")
        place[last] = None if text.strip() == "none" and key.strip() in unset else _value(text.strip())
    return result


def read_toml(path: Path | str) -> dict[str, Any]:
    """The nested values of a TOML file; a missing or broken file is a UserError with the line."""
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"there is no configuration file at {path}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise UserError(f"{path} is not a TOML file that can be read: {error}") from None


def differences(a: RunConfig, b: RunConfig) -> dict[str, tuple[Any, Any]]:
    """The dotted keys in which two configurations differ, with both values.

    >>> differences(RunConfig(), RunConfig(seed=3))
    {'seed': (0, 3)}

    One path in two spellings, such as photos and ./photos/, is no difference.
    """
    left, right = flat(a.to_dict()), flat(b.to_dict())
    changed = {k: (left.get(k), right.get(k)) for k in left | right if left.get(k) != right.get(k)}
    if PurePath(a.data.source) == PurePath(b.data.source):
        changed.pop("data.source", None)
    return changed


def current_settings(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings with dotted keys under the names of this version: what a run or a comparison once wrote down.

    >>> now = current_settings({"data.share": 1.0, "transfer.mode": "head"})
    >>> now["data.train_fraction"], now["transfer.mode"], now["engine"]
    (1.0, 'probe', 'torch')
    """
    defaults = flat(RunConfig().to_dict())
    return {key: defaults[key] for key in ADDED_KEYS} | {
        RENAMED_KEYS.get(key, key): RENAMED_VALUES.get((key, value), value)
        if isinstance(value, str)
        else value
        for key, value in settings.items()
    }


def flat(value: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested values with dotted keys.

    >>> flat({"train": {"lr": 0.1}, "seed": 0})
    {'train.lr': 0.1, 'seed': 0}
    """
    result: dict[str, Any] = {}
    for key, item in value.items():
        result |= (
            # An empty section is a value: without keys it would vanish from a comparison.
            flat(item, f"{prefix}{key}.") if isinstance(item, dict) and item else {f"{prefix}{key}": item}
        )
    return result


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"v = {text}")["v"]
    except tomllib.TOMLDecodeError:
        # TOML writes true and false in small letters, Python does not.
        return {"True": True, "False": False}.get(text, text)
