"""Each case runs in a fresh interpreter: torchvision can be imported, well or badly, only once."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

needs_torchvision = pytest.mark.skipif(
    importlib.util.find_spec("torchvision") is None, reason="torchvision is not installed"
)


def python(code, *arguments):
    run = subprocess.run(
        [sys.executable, *arguments, "-W", "error", "-c", code], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    return run.stdout


@needs_torchvision
def test_it_imports_without_a_warning():
    code = (
        "from convscope.models.pytorch.torchvision_cpu import import_torchvision as tv\n"
        "first = tv(); assert tv() is first\n"
        "import torch; print(first.models.resnet18(num_classes=3)(torch.zeros(2, 3, 64, 64)).shape)"
    )
    assert python(code) == "torch.Size([2, 3])\n"


@needs_torchvision
def test_an_import_by_somebody_else_works_too():
    code = (
        "from convscope.models.pytorch.torchvision_cpu import allow_torchvision as allow\n"
        "import sys; allow(); allow(); assert sum('Declarer' in type(f).__name__ for f in sys.meta_path) == "
        "1\n"
        "assert 'torchvision' not in sys.modules\n"
        "from torchvision.transforms import v2; print(v2.RandomCrop.__name__)"
    )
    assert python(code) == "RandomCrop\n"


def test_nothing_is_declared_where_the_extension_loaded():
    code = (
        "import torch\n"
        "library = torch.library.Library('torchvision', 'DEF')\n"
        "for name in ('nms', 'qnms'):\n"
        "    library.define(f'{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor')\n"
        "from convscope.models.pytorch.torchvision_cpu import declare_missing\n"
        "print(declare_missing())"
    )
    assert python(code) == "[]\n"


def test_only_what_is_missing_is_declared():
    code = (
        "import torch\n"
        "library = torch.library.Library('torchvision', 'DEF')\n"
        "library.define('nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor')\n"
        "from convscope.models.pytorch.torchvision_cpu import declare_missing\n"
        "print(declare_missing(), declare_missing())"
    )
    assert python(code) == "['qnms'] []\n"


def test_without_torchvision_the_error_says_what_to_do():
    code = (
        "import sys; sys.modules['torchvision'] = None\n"
        "from convscope.core.errors import UserError\n"
        "from convscope.models.pytorch.torchvision_cpu import import_torchvision\n"
        "try: import_torchvision()\n"
        "except UserError as error: print(error)"
    )
    said = python(code)
    assert (
        "torchvision is not installed" in said and "pip install torchvision" in said and said.count("\n") == 1
    )


def test_a_module_that_torchvision_lacks_is_not_hidden(tmp_path):
    package = tmp_path / "torchvision"
    package.mkdir()
    (package / "__init__.py").write_text("import a_module_that_is_not_there")
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "from convscope.models.pytorch.torchvision_cpu import import_torchvision\n"
        "try: import_torchvision()\n"
        "except ModuleNotFoundError as error: print(error.name)"
    )
    assert python(code) == "a_module_that_is_not_there\n"
