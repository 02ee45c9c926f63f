"""`convscope summary`: the list in two terminals, and the facts below the layers of one network."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from convscope.cli import main
from convscope.models.spec_text import short_count, short_paper
from convscope.models.variants.registry import variants


@pytest.fixture
def invoke(capsys, monkeypatch):
    def call(width, *arguments):
        monkeypatch.setenv("COLUMNS", str(width))
        assert main(["summary", *arguments]) == 0
        return capsys.readouterr().out

    return call


@pytest.mark.parametrize("width", [80, 160])
def test_each_network_is_one_line_that_nothing_is_cut_from(invoke, width):
    lines = invoke(width).splitlines()
    assert max(map(len, lines)) <= width and not any("…" in line for line in lines)
    rows = {line.split()[0]: line for line in lines if line.startswith("  ")}
    for name in variants:
        spec = variants[name].spec
        for figure in (f"{spec.parameters:,}", short_count(spec.macs), f" {spec.receptive_field} px"):
            assert figure in rows[name], name


def test_networks_stand_under_their_idea_and_paper(invoke):
    heading, above = "", {}
    for line in invoke(400).splitlines():
        if line.startswith("  "):
            above[line.split()[0]] = heading
        heading = heading if line.startswith("  ") else line
    for name in variants:
        spec = variants[name].spec
        assert spec.idea in above[name] and short_paper(spec) in above[name]


def test_json_holds_the_whole_spec(invoke):
    assert json.loads(invoke(80, "--json")) == json.loads(
        json.dumps([variants[name].spec.to_dict() for name in variants])
    )


def test_the_facts_stand_below_the_layers(invoke):
    text = " ".join(invoke(80, "lenet5").split())
    for part in (
        "idea shared weights",
        "60 k parameters (section II-B)",
        "deviations ReLU",
        "default options activation=relu",
    ):
        assert part in text
    assert "small form" not in text
    assert "small form up to 64 px: " in " ".join(invoke(160, "resnet18", "--input", "3x32x32").split())


def test_a_custom_model_has_no_facts_of_another(invoke, tmp_path):
    (tmp_path / "own.py").write_text(
        "from torch import nn\nclass lenet5(nn.Sequential):\n    def __init__(self):\n"
        "        super().__init__(nn.Flatten(), nn.Linear(3072, 10))\n"
    )
    assert "deviations" not in invoke(160, f"{tmp_path / 'own.py'}:lenet5")


@pytest.mark.slow
def test_the_list_imports_nothing_that_it_does_not_need():
    code = (
        "import sys\nfrom convscope.cli import main\nmain(['summary'])\n"
        "imported = [m for m in ('torchvision', 'timm', 'matplotlib', 'pydantic', 'scipy') if m in "
        "sys.modules]\n"
        "print(imported, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"
