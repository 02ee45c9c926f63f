from __future__ import annotations

import copy
import hashlib
import sys

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from convscope.core.errors import ShapeError, UserError
from convscope.models.pytorch.custom_model import load_custom_model, wrap_custom_model
from convscope.models.pytorch.network import Network
from convscope.models.pytorch.summary import summarise
from convscope.models.pytorch.zoo import create
from convscope.models.references import is_custom_model
from convscope.models.spec import ModelSpec

FILE = """
import torch
from torch import nn
from torch.nn import functional as F

class Net(nn.Module):
    def __init__(self, in_channels=3, classes=10, width=4):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, width, 3)
        self.pool = nn.MaxPool2d(2)
        self.fc = nn.LazyLinear(classes)

    def forward(self, x):
        return self.fc(self.pool(F.relu(self.conv(x))).flatten(1))

class Fixed(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3 * 8 * 8, 2)

    def forward(self, x):
        return self.fc(x.flatten(1))

def grown(num_classes):
    return nn.Sequential(nn.Conv2d(3, num_classes, 8), nn.Flatten())

def demanding(width, height=3):
    return None

def forgets():
    pass

def breaks(classes):
    raise ValueError("no such luck")

number = 3
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "my_net.py"
    path.write_text(FILE)
    yield path
    sys.modules.pop("convscope_own_my_net", None)


def load(target, shape=(3, 8, 8), classes=2):
    return load_custom_model(str(target), input_shape=shape, classes=classes)


class Hand(nn.Module):
    """Branches and functions between its layers, as people write them."""

    def __init__(self, classes=2):
        super().__init__()
        self.a = nn.Conv2d(3, 4, 3, padding=1)
        self.b = nn.Conv2d(3, 4, 5, padding=2)
        self.fc = nn.Linear(4, classes)

    def forward(self, x):
        return self.fc(F.relu(self.b(x) + self.a(x)).mean((2, 3)))


def test_a_class_from_a_file(file):
    net = load(f"{file}:Net", (1, 9, 9), 5)
    assert isinstance(net, Network)
    assert (net.spec.name, net.spec.input_shape, net.spec.classes) == ("Net", (1, 9, 9), 5)
    assert net.spec.source == str(file.resolve())
    assert net.spec.source_sha256 == hashlib.sha256(FILE.encode()).hexdigest()
    assert net(torch.zeros(2, 1, 9, 9)).shape == (2, 5)
    assert {k: tuple(v.shape) for k, v in net.features(torch.zeros(2, 1, 9, 9)).items()} == {
        "conv": (2, 4, 7, 7),
        "pool": (2, 4, 3, 3),
    }
    assert list(net.stages) == ["conv", "pool"]


def test_a_constructor_gets_only_what_it_takes(file):
    assert load(f"{file}:Fixed").spec.name == "Fixed"
    assert load(f"{file}:grown", classes=4).spec.classes == 4


def test_the_file_may_import_its_neighbours(file):
    (file.parent / "my_neighbour.py").write_text("WIDTH = 6")
    file.write_text(FILE.replace("import torch\n", "import torch\nfrom my_neighbour import WIDTH\n", 1))
    before = list(sys.path)
    try:
        assert load(f"{file}:Net").spec.name == "Net"
    finally:
        sys.modules.pop("my_neighbour", None)
    assert sys.path == before


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("net", r"no network class in .*my_net\.py 'net'; did you mean 'Net'"),
        ("number", "no network class in"),
        ("torch", "no network class in"),
        (
            "demanding",
            r"demands width, and only in_channels=3 and classes=2 are passed .* give the others defaults",
        ),
        ("forgets", r"gave a NoneType; it must give a torch\.nn\.Module"),
        ("breaks", r"failed when called with \(classes=2\): ValueError: no such luck"),
    ],
)
def test_wrong_names_and_makers(file, name, says):
    with pytest.raises(UserError, match=says):
        load(f"{file}:{name}")


@pytest.mark.parametrize("target", ["my_net.py", "my_net:Net", "my_net.py:", "Net", ""])
def test_a_target_must_name_file_and_class(target):
    with pytest.raises(UserError, match=r"write FILE\.py:CLASS"):
        load(target)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(UserError, match=r"there is no file .*nothing\.py"):
        load(tmp_path / "nothing.py:Net")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("class Net(:\n", r"SyntaxError: .*\(line 1\)"),
        ("import a_module_nobody_has\n", "ModuleNotFoundError: .*a_module_nobody_has"),
        ("1 / 0\n", "ZeroDivisionError"),
        ("\0", "SyntaxError|ValueError"),
    ],
)
def test_a_file_that_does_not_run(tmp_path, text, says):
    path = tmp_path / "bad.py"
    path.write_text(text)
    with pytest.raises(UserError, match=f"cannot be run: ({says})") as error:
        load(f"{path}:Net")
    assert "\n" not in str(error.value)
    assert "convscope_own_bad" not in sys.modules


def test_what_names_a_file():
    assert all(map(is_custom_model, ["my_net.py", "a/b/my_net.py:Net", r"C:\nets\my_net.py:Net"]))
    assert not any(map(is_custom_model, ["small_cnn", "py", "my_net:Net", ""]))


def test_wrapping_changes_no_logits_and_no_name():
    module = Hand().eval()
    net = wrap_custom_model(module, input_shape=(3, 8, 8), classes=2)
    x = torch.randn(4, 3, 8, 8)
    assert torch.equal(net(x), module(x))
    assert {k.removeprefix("module.") for k in net.state_dict()} == set(module.state_dict())
    # In the order in which they are called, which is not the one in which they were made.
    assert list(net.stages) == list(net.features(x)) == ["b", "a"]
    assert net.spec == ModelSpec("Hand", title="Hand", idea=net.spec.idea, input_shape=(3, 8, 8), classes=2)


def test_a_cover_is_looked_into():
    net = wrap_custom_model(
        nn.Sequential(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 2))),
        input_shape=(3, 8, 8),
        classes=2,
    )
    assert list(net.stages) == ["0.0", "0.1"]


def test_a_network_without_maps_has_no_stages():
    net = wrap_custom_model(nn.Sequential(nn.Flatten(), nn.Linear(192, 2)), input_shape=(3, 8, 8), classes=2)
    assert net.stages == net.features(torch.zeros(1, 3, 8, 8)) == {}


def test_a_network_of_ours_comes_back_as_it_is():
    net = create("small_cnn")
    assert wrap_custom_model(net, input_shape=(3, 32, 32), classes=10) is net
    with pytest.raises(ShapeError, match="small_cnn gave 2×10 for 2 images; 3 classes need 2×3"):
        wrap_custom_model(net, input_shape=(3, 32, 32), classes=3)
    with pytest.raises(ShapeError, match=r"small_cnn was built for 3×32×32 .*needs 3 channels"):
        wrap_custom_model(net, input_shape=(1, 32, 32), classes=10)


class Gives(nn.Module):
    def __init__(self, answer):
        super().__init__()
        self.answer = answer

    def forward(self, x):
        return self.answer(x)


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (lambda x: x.mean((2, 3)), "gave 2×3 for 2 images; 5 classes need 2×5: let its last layer"),
        (lambda x: x, "gave 2×3×8×8 for 2 images"),
        (lambda x: (x, x), "gave a tuple; it must give one tensor of logits N×5"),
        (lambda x: None, "gave a NoneType"),
        (lambda x: x.view(-1)[:5], "gave 5 for 2 images"),
        (lambda x: x.nothing, r"Gives got 3×8×8 and fails: 'Tensor' object has no attribute 'nothing'"),
    ],
)
def test_an_output_that_is_not_logits(answer, says):
    with pytest.raises(ShapeError, match=says):
        wrap_custom_model(Gives(answer), input_shape=(3, 8, 8), classes=5)


def test_a_batch_that_fails_where_one_image_passes():
    with pytest.raises(
        ShapeError, match=r"Gives does not take 3×8×8 images: RuntimeError: shape '\[1, 192\]'"
    ):
        wrap_custom_model(Gives(lambda x: x.view(1, 192)), input_shape=(3, 8, 8), classes=5)


def test_what_is_no_module():
    with pytest.raises(UserError, match=r"must be a torch\.nn\.Module and this is a str"):
        wrap_custom_model("small_cnn", input_shape=(3, 8, 8), classes=2)


def test_wrong_shapes_name_the_layer():
    net = wrap_custom_model(Hand(), input_shape=(3, 8, 8), classes=2)
    for call in (net, net.features):
        with pytest.raises(
            ShapeError, match=r"Hand was built for 3×8×8 .* layer b \(Conv2d\) .* needs 3 channels"
        ):
            call(torch.zeros(1, 1, 8, 8))
        with pytest.raises(ShapeError, match="needs a batch N×3×8×8"):
            call(torch.zeros(3, 8, 8))


def test_trying_out_leaves_no_trace():
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(144, 2))
    wrap_custom_model(module, input_shape=(3, 8, 8), classes=2)
    assert module.training and module[1].num_batches_tracked == 0
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in module.modules())


def test_copies_stand_alone():
    net = wrap_custom_model(Hand(), input_shape=(3, 8, 8), classes=2)
    twin = copy.deepcopy(net)
    nn.init.zeros_(twin.module.a.weight)
    assert twin.stages["a"] is twin.module.a is not net.stages["a"]
    assert net.module.a.weight.abs().sum() > 0


def test_it_can_be_summarised():
    summary = summarise(wrap_custom_model(Hand(), input_shape=(3, 8, 8), classes=2))
    assert [(row.name, row.receptive_field) for row in summary.rows] == [
        ("b", (5, 5)),
        ("a", (3, 3)),
        ("fc", None),
    ]


def test_it_learns():
    net = wrap_custom_model(Hand(), input_shape=(3, 8, 8), classes=2)
    F.cross_entropy(net(torch.randn(4, 3, 8, 8)), torch.tensor([0, 1, 0, 1])).backward()
    assert all(p.grad is not None for p in net.parameters())
