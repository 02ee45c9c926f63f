"""Other Pythons: the tests of what needs no torch, in a fresh environment of each interpreter that is named.

`python benchmarks/pythons.py python3.12 python3.13`. The wheel of torch that `constraints.txt` pins may not
exist for them, so it is left out: the rooms called pytorch/ and what stands on them are not tested here.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

from record import record

ROOT = Path(__file__).resolve().parents[1]
TESTED = ("core", "data", "reference", "inference", "tasks")
TOOLS = ("pyarrow", "pytest", "pytest-timeout", "pytest-xdist", "hypothesis", "scikit-learn")


def requirements() -> list[str]:
    """What the package needs, but for torch, and what its tests need."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return [one for one in project["dependencies"] if not one.startswith("torch")] + list(TOOLS)


def tested(interpreter: str, folder: Path) -> dict[str, str]:
    """The version of an interpreter and the last line of the tests under it; SystemExit where one fails."""
    subprocess.run([interpreter, "-m", "venv", str(folder)], check=True)
    python = str(folder / "bin" / "python")
    pip = [python, "-m", "pip", "install", "--quiet", "--constraint", str(ROOT / "constraints.txt")]
    subprocess.run([*pip, *requirements()], check=True)
    paths = [str(ROOT / "tests" / "unit" / name) for name in TESTED]
    done = subprocess.run(
        [python, "-m", "pytest", "-n", "2", "-q", "--ignore-glob=*/pytorch/*", *paths],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    version = subprocess.run([python, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    if done.returncode:
        raise SystemExit(f"{version}: {done.stdout[-3000:]}")
    counts = re.findall(r"\d+ (?:passed|skipped)", done.stdout)
    return {"version": version, "tests": ", ".join(counts)}


def main() -> None:
    """Test each interpreter and write benchmarks/results/pythons.json."""
    if not sys.argv[1:]:
        raise SystemExit("name interpreters, such as: pythons.py python3.12 python3.13")
    rows = []
    for interpreter in sys.argv[1:]:
        with tempfile.TemporaryDirectory() as folder:
            rows.append(tested(interpreter, Path(folder)))
        print(rows[-1], flush=True)
    said = "; ".join(f"{row['version']}: {row['tests']}" for row in rows)
    what = f"tests of {', '.join(TESTED)} without torch, under other Pythons"
    record("pythons", {"rows": rows, "headline": [{"what": what, "measured": said, "reach": "pass"}]})


if __name__ == "__main__":
    main()
