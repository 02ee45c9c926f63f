from __future__ import annotations

import json
import re
import shlex
import sys

from convscope.core import provenance


def test_versions_and_hardware_are_json():
    assert {"python", "torch", "numpy"} <= set(provenance.versions())
    json.dumps(provenance.versions() | provenance.hardware())
    assert provenance.processor() and provenance.hardware()["cores"] >= 1


def test_a_package_that_is_missing_is_left_out(monkeypatch):
    monkeypatch.setattr(provenance, "PACKAGES", ("no-such-package",))
    assert list(provenance.versions()) == ["python"]


def test_without_a_list_of_processors_the_platform_is_asked(monkeypatch):
    monkeypatch.setattr(provenance.Path, "read_text", lambda *a, **k: "")
    assert isinstance(provenance.processor(), str)


def test_a_command_can_be_typed_again(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/somewhere/bin/convscope", "train", "my photos", "--set", "a=[1, 2]"])
    assert shlex.split(provenance.command()) == ["convscope", *sys.argv[1:]]


def test_now_is_utc():
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", provenance.now())
