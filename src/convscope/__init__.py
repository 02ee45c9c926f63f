"""Train convolutional networks you can see through.

    import convscope

    run = convscope.train("fashion_mnist", epochs=3)
    run.network.classify("shirt.png")

Nothing heavy is imported before it is used: `import convscope` wakes neither torch nor NumPy.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.2.0"

# For editors and type checkers; at run time `__getattr__` imports what is asked for.
if TYPE_CHECKING:
    from convscope.core.config import RunConfig
    from convscope.core.errors import ConvscopeError, Failure, UserError
    from convscope.data.scanning.scan import scan
    from convscope.evaluation.evaluate import evaluate
    from convscope.experiments.compare import compare
    from convscope.explanation.explain import explain
    from convscope.inference.load import load
    from convscope.label_audit.audit import find_label_issues
    from convscope.models.describe import summary
    from convscope.report.write import write_report
    from convscope.training.train import train

_HOMES = {
    "ConvscopeError": "convscope.core.errors",
    "Failure": "convscope.core.errors",
    "RunConfig": "convscope.core.config",
    "UserError": "convscope.core.errors",
    "compare": "convscope.experiments.compare",
    "evaluate": "convscope.evaluation.evaluate",
    "explain": "convscope.explanation.explain",
    "find_label_issues": "convscope.label_audit.audit",
    "load": "convscope.inference.load",
    "scan": "convscope.data.scanning.scan",
    "summary": "convscope.models.describe",
    "train": "convscope.training.train",
    "write_report": "convscope.report.write",
}

__all__ = [
    "ConvscopeError",
    "Failure",
    "RunConfig",
    "UserError",
    "__version__",
    "compare",
    "evaluate",
    "explain",
    "find_label_issues",
    "load",
    "scan",
    "summary",
    "train",
    "write_report",
]


# Names of 0.1.0 that still work for one release.
_OLD_NAMES = {"find_label_errors": "find_label_issues"}


def __getattr__(name: str) -> Any:
    """Import a public name when it is asked for (PEP 562)."""
    if name in _OLD_NAMES:
        from warnings import warn

        warn(
            f"convscope.{name} is now convscope.{_OLD_NAMES[name]}; the old name goes with the next release",
            DeprecationWarning,
            stacklevel=2,
        )
        return getattr(import_module(_HOMES[_OLD_NAMES[name]]), _OLD_NAMES[name])
    if name not in _HOMES:
        raise AttributeError(
            f"module 'convscope' has no attribute {name!r}; public names: {', '.join(__all__)}"
        )
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
