"""What no file of the project may say."""

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# Written in halves, so that this file does not hold them.
REGISTRIES = ["py" + "pi.org", "python" + "hosted.org", "npm" + "js.org", "download.py" + "torch.org"]


def tracked_text() -> dict[str, str]:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout
    names = [n for n in listed.split("\0") if n and Path(n).suffix not in {".gz", ".png", ".npz"}]
    return {
        n: (ROOT / n).read_text(encoding="utf-8", errors="replace") for n in names if (ROOT / n).is_file()
    }


def test_no_registry_is_named() -> None:
    found = {n for n, text in tracked_text().items() for host in REGISTRIES if host in text}
    assert found == set()


def test_nothing_is_left_to_do_in_code() -> None:
    mark = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|XX" + r"X)\b")
    assert [n for n, text in tracked_text().items() if n.startswith("src/") and mark.search(text)] == []


def test_versions_are_pinned_exactly() -> None:
    lines = [
        line
        for line in (ROOT / "constraints.txt").read_text().splitlines()
        if line and not line.startswith("#")
    ]
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", line) for line in lines)
    assert "torch==2.13.0" in lines
