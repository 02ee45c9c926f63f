"""Where a result comes from: command, date, versions, hardware."""

from __future__ import annotations

import os
import platform
import shlex
import sys
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

# Pillow is among them: another version may decode or resize to other pixels.
PACKAGES = ("convscope", "torch", "numpy", "pillow", "safetensors", "pyarrow")


def versions() -> dict[str, str]:
    """The versions of Python and of the packages that decide a result; a missing package is left out."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            # Asked of the installation: importing torch for its version would take seconds.
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def processor() -> str:
    """The processor's name as the operating system knows it."""
    try:
        # platform.processor() is empty or "x86_64" on most Linux systems.
        lines = Path("/proc/cpuinfo").read_text(errors="replace").splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def hardware() -> dict[str, Any]:
    """The machine: system, architecture, processor and cores."""
    return {
        "system": platform.system(),
        "machine": platform.machine(),
        "cpu": processor(),
        # Logical cores of the machine, also those that a container may not use.
        "cores": os.cpu_count(),
    }


def command() -> str:
    """What was typed, as it could be typed again; for a Python program, its script."""
    # Without the folder of the program, which differs between machines.
    return shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])


def now() -> str:
    """The date and time, UTC, ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")
