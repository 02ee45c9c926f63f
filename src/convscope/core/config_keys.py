"""The keys of a configuration: their earlier names, and what is said to a wrong one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from convscope.core.errors import UserError, nearest

RENAMED_KEYS = {
    "data.share": "data.train_fraction",
    "transfer.thaw": "transfer.unfreeze_every",
    "transfer.weights_digest": "transfer.weights_fingerprint",
}
RENAMED_VALUES = {("transfer.mode", "head"): "probe"}
"""Keys and values of version 0.1, which are read (never written) until 0.3."""


def with_current_names(values: Any) -> tuple[Any, list[str]]:
    """Nested values under the names of this version, and a line for each name of an earlier one.

    Raises UserError where a value is given under both names.

    >>> with_current_names({"transfer": {"mode": "head", "thaw": 2}})
    ({'transfer': {'mode': 'probe', 'unfreeze_every': 2}}, ['transfer.thaw is now transfer.unfreeze_every', \
'transfer.mode=head is now transfer.mode=probe'])
    """
    if not isinstance(values, dict):
        return values, []  # validation says what is wrong with it
    current = {name: dict(part) if isinstance(part, dict) else part for name, part in values.items()}
    return current, [*_rename_keys(current), *_rename_values(current)]


def _rename_keys(current: dict[str, Any]) -> list[str]:
    notes = []
    for old, new in RENAMED_KEYS.items():
        section, _, key = old.partition(".")
        part, name = current.get(section), new.partition(".")[2]
        if isinstance(part, dict) and key in part:
            # Taking one of the two would drop a setting in silence.
            if name in part:
                raise UserError(f"{old} and {new} were both given, and mean the same; leave {old} out")
            part[name] = part.pop(key)
            notes.append(f"{old} is now {new}")
    return notes


def _rename_values(current: dict[str, Any]) -> list[str]:
    notes = []
    for (dotted, old), new in RENAMED_VALUES.items():
        section, _, key = dotted.partition(".")
        part = current.get(section)
        if isinstance(part, dict) and part.get(key) == old:
            part[key] = new
            notes.append(f"{dotted}={old} is now {dotted}={new}")
    return notes


def explain_problem(problem: Any, sections: Mapping[str, Sequence[str]]) -> UserError:
    """One teaching line from a problem that validation found.

    Args:
        problem: as pydantic describes it.
        sections: the keys of each section, none for a key outside all sections.
    """
    path = [str(part) for part in problem["loc"]]
    # Pydantic adds the branch of a union that it tried to the path, such as "constrained-int".
    dotted = ".".join(
        p for p in path if not p.startswith(("constrained", "function-", "literal", "int", "none"))
    )
    if problem["type"] in {"unexpected_keyword_argument", "extra_forbidden"}:
        return _unknown_key(path, dotted, sections)
    given = problem["input"]
    if problem["type"] == "dataclass_type":
        example = f"{dotted}.{sections[dotted][0]}" if sections.get(dotted) else "train.lr"
        return UserError(f"{dotted} is a section and was given {given!r}; set a key in it, such as {example}")
    message = problem["msg"].removeprefix("Input should be ").replace("'", '"')
    return UserError(f"{dotted} was given {given!r}; it must be {message}")


def _unknown_key(path: list[str], dotted: str, sections: Mapping[str, Sequence[str]]) -> UserError:
    """The error for a key that no section has, with the nearest right one, or the section that has it."""
    if len(path) > 1:
        allowed = [f"{path[0]}.{key}" for key in sections[path[0]]]
    else:
        owner = next((f"{name}.{path[0]}" for name, keys in sections.items() if path[0] in keys), None)
        if owner:
            return UserError(f"there is no configuration key {dotted!r}; did you mean {owner!r}?")
        allowed = sorted(sections, key=lambda name: not sections[name])  # sections first, as a file has them
    guess = nearest(dotted, allowed)
    hint = f"did you mean {guess!r}? " if guess else ""
    return UserError(f"there is no configuration key {dotted!r}; {hint}allowed: {', '.join(allowed)}")
