import pytest
import torch
from torch import nn

from convscope.core.errors import UserError
from convscope.explanation.feature_visualisation.channel import Unit, activations, class_units, find_unit
from convscope.models.pytorch.zoo import create
from rounding import same_but_for_rounding

CLASSES = ("cat", "Dog", "stage1:0", "dog", "<b>$=", "a:b")


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    return create("small_cnn", input_shape=(1, 8, 8), classes=len(CLASSES)).eval()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cat", Unit(None, 0, "cat")),
        ("CAT", Unit(None, 0, "cat")),
        ("dog", Unit(None, 3, "dog")),  # the exact name goes before another spelling of it
        ("Dog", Unit(None, 1, "Dog")),
        ("stage1:0", Unit(None, 2, "stage1:0")),  # a class may be called like a unit
        ("stage1:1", Unit("stage1", 1, "map 1 of stage1")),
        ("body.stage2:07", Unit("body.stage2", 7, "map 7 of body.stage2")),
        ("a:b", Unit(None, 5, "a:b")),
    ],
)
def test_a_person_names_units(net, text, expected):
    assert find_unit(text, net, CLASSES) == expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("catt", "did you mean 'cat'.*such as stage2:0"),
        ("", "there is no unit ''"),
        ("stage1", "a map as LAYER:NUMBER"),
        ("stage1:x", "there is no unit"),
        ("stage1:-1", "there is no unit"),
        ("stage9:1", "there is no layer 'stage9'"),
        (":1", "there is no layer ''"),
    ],
)
def test_what_is_no_unit_is_said_so(net, text, said):
    with pytest.raises(UserError, match=said):
        find_unit(text, net, CLASSES)


def test_activations_are_the_maps_and_logits_themselves(net):
    x = torch.randn(3, 1, 8, 8)
    units = [Unit("stage2", 5, ""), Unit(None, 1, ""), Unit("stage1", 0, "")]
    with torch.no_grad():
        found = activations(net, x, units)
        maps, logits = net.features(x), net(x)
    for ours, expected in zip(
        found, (maps["stage2"][:, 5], logits[:, 1, None, None], maps["stage1"][:, 0]), strict=True
    ):
        assert same_but_for_rounding(ours, expected)


def test_a_map_that_is_not_there_is_named(net):
    with pytest.raises(UserError, match="layer 'stage1' has 32 maps and no map 32; give 0 to 31"):
        activations(net, torch.zeros(1, 1, 8, 8), [Unit("stage1", 32, "")])
    with pytest.raises(UserError, match="layer '1' gives no maps"):
        activations(
            nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten()), torch.zeros(1, 1, 4, 4), [Unit("1", 0, "")]
        )


def test_the_units_of_classes_are_their_logits():
    assert [(unit.layer, unit.index, unit.title) for unit in class_units(("a", "b"))] == [
        (None, 0, "a"),
        (None, 1, "b"),
    ]
