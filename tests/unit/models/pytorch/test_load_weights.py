from __future__ import annotations

import copy
from collections import OrderedDict

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from convscope.models.pretrained import LoadReport, shorten
from convscope.models.pytorch.load_weights import cut, load_weights
from convscope.models.pytorch.zoo import create, key_maps_of

KEY_MAPS = {
    "rows": ((r"^features\.0", "body.conv"), (r"^features\.1", "body.norm"), (r"^classifier", "head")),
    "ordinals": ((r"^first", "body.conv"), (r"^second", "body.norm"), (r"^last", "head")),
}
NAMES = {
    "rows": {"body.conv": "features.0", "body.norm": "features.1", "head": "classifier"},
    "ordinals": {"body.conv": "first", "body.norm": "second", "head": "last"},
    "convscope": {"body.conv": "body.conv", "body.norm": "body.norm", "head": "head"},
}


def network(channels=3, classes=5, head=nn.Linear):
    """A convolution, a norm and a head that tells every one of its numbers from any other."""
    body = nn.Sequential(OrderedDict(conv=nn.Conv2d(channels, 4, 3), norm=nn.BatchNorm2d(4)))
    net = nn.Sequential(OrderedDict(body=body, head=head(4, classes)))
    for value in net.state_dict().values():
        if value.is_floating_point():
            value.uniform_(0.5, 1.5)
    return net


def renamed(state, key_map):
    return {
        new + name.removeprefix(old): value
        for name, value in state.items()
        for old, new in NAMES[key_map].items()
        if name.startswith(old)
    }


def same(one, two):
    states = [
        {name: value for name, value in net.state_dict().items() if "tracked" not in name}
        for net in (one, two)
    ]
    return all(torch.equal(states[0][name], states[1][name]) for name in states[1])


@pytest.mark.parametrize("key_map", list(NAMES))
def test_the_key_map_is_recognised_by_what_fits(key_map):
    one, two = network(), network()
    report = load_weights(two, renamed(one.state_dict(), key_map), KEY_MAPS)
    assert report.key_map == key_map and report.whole and same(one, two)
    assert report.loaded == tuple(name for name in one.state_dict() if "tracked" not in name)
    assert str(report) == f"8 tensors loaded ({key_map} names)"


def test_of_two_key_maps_with_equal_names_the_one_whose_shapes_fit_is_taken():
    pair = nn.ModuleDict({"a": nn.Linear(2, 3), "b": nn.Linear(3, 2)})
    crossed_pair = {"b.weight": torch.ones(3, 2), "a.weight": torch.ones(2, 3)}
    report = load_weights(pair, crossed_pair, {"crossed": ((r"^a", "c"), (r"^b", "a"), (r"^c", "b"))})
    assert report.key_map == "crossed" and report.reshaped == ()
    assert pair["a"].weight.min() == pair["b"].weight.min() == 1


@settings(max_examples=30)
@given(st.randoms(use_true_random=False), st.sampled_from(list(NAMES)), st.booleans())
def test_the_order_of_the_dictionary_changes_nothing(random, key_map, wrapped):
    one = network()
    tensors = renamed(one.state_dict(), key_map) | {"z.left": torch.ones(2), "a.left": torch.ones(2)}
    tensors["first.weight"] = tensors.get("first.weight", torch.ones(1))
    if wrapped:
        tensors = {f"module.{name}": value for name, value in tensors.items()}
    shuffled = list(tensors.items())
    random.shuffle(shuffled)
    two, three = network(), network()
    assert load_weights(two, tensors, KEY_MAPS) == load_weights(three, dict(shuffled), KEY_MAPS)
    assert same(two, one) and same(three, one)


def test_what_did_not_fit_is_named_and_stays_as_it_was():
    one, two = network(classes=7), network()
    before = copy.deepcopy(two)
    tensors = renamed(one.state_dict(), "rows")
    del tensors["features.1.running_mean"]
    tensors["fc.weight"] = torch.ones(1)
    report = load_weights(two, tensors, KEY_MAPS)
    assert not report.whole and report.key_map == "rows"
    assert report.missing == ("body.norm.running_mean",)
    assert report.unexpected == ("fc.weight",)
    assert report.reshaped == (("head.weight", (7, 4), (5, 4)), ("head.bias", (7,), (5,)))
    assert same(before.head, two.head) and torch.equal(
        before.body.norm.running_mean, two.body.norm.running_mean
    )
    assert torch.equal(one.body.conv.weight, two.body.conv.weight)
    assert str(report) == (
        "5 tensors loaded (rows names); missing: body.norm.running_mean; unexpected: fc.weight; "
        "reshaped: head.weight is 7×4, needs 5×4, head.bias is 7, needs 5"
    )


def test_what_has_no_target_keeps_the_name_it_came_with():
    """A key_map may rename half of it, and nobody would find that in the file."""
    tensors = renamed(network().state_dict(), "ordinals") | {"second.momentum": torch.ones(1)}
    assert load_weights(network(), tensors, KEY_MAPS).unexpected == ("second.momentum",)


def test_two_tensors_for_one_target_are_not_passed_over_in_silence():
    one, two = network(), network()
    tensors = renamed(one.state_dict(), "ordinals") | {"body.conv.bias": one.body.conv.bias + 1}
    report = load_weights(two, tensors, KEY_MAPS)
    assert report.unexpected == ("first.bias",) and not report.whole


def test_without_tensors_nothing_is_loaded():
    two = network()
    before = copy.deepcopy(two)
    report = load_weights(two, {})
    assert len(report.missing) == 8 and report.loaded == () and same(before, two)


@pytest.mark.parametrize("key_map", list(NAMES))
def test_the_prefix_of_data_parallel_does_not_count(key_map):
    one, two = network(), network()
    tensors = {f"module.{name}": value for name, value in renamed(one.state_dict(), key_map).items()}
    report = load_weights(two, tensors, KEY_MAPS)
    assert report.whole and report.key_map == key_map and same(one, two)
    some = {"module.head.bias": one.head.bias, "optimiser.step": torch.ones(1)}
    report = load_weights(two, some)
    assert (report.loaded, report.unexpected) == (("head.bias",), ("optimiser.step",))


def test_a_network_may_call_a_part_of_its_own_module():
    one, two = (nn.ModuleDict({"module": nn.Linear(2, 3)}) for _ in range(2))
    assert load_weights(two, one.state_dict()).whole and same(one, two)


def test_counters_of_batches_are_neither_needed_nor_left_over():
    one, two = network(), network()
    two.body.norm.num_batches_tracked.fill_(7)
    with_counter = one.state_dict()
    assert "body.norm.num_batches_tracked" in with_counter
    without = {name: value for name, value in with_counter.items() if "tracked" not in name}
    for tensors in (with_counter, without):
        report = load_weights(two, tensors)
        assert report.whole and len(report.loaded) == 8 and two.body.norm.num_batches_tracked == 7


def pointwise(inputs, outputs):
    return nn.Conv2d(inputs, outputs, 1)


@pytest.mark.parametrize(("source", "target"), [(nn.Linear, pointwise), (pointwise, nn.Linear)])
@pytest.mark.parametrize("classes", [1, 5])
def test_a_linear_layer_and_a_1x1_convolution_stand_for_each_other(source, target, classes):
    one, two = network(classes=classes, head=source), network(classes=classes, head=target)
    assert load_weights(two, one.state_dict()).whole
    x = torch.randn(2, 4)
    flat, maps = (one, two) if source is nn.Linear else (two, one)
    assert torch.allclose(flat.head(x), maps.head(x[:, :, None, None])[:, :, 0, 0], atol=1e-6)


@pytest.mark.parametrize(
    ("shape", "needed"),
    [
        ((4, 2, 1, 7), (4, 2, 7, 1)),  # a row of weights is no column
        ((4, 1, 3, 3), (1, 4, 3, 3)),  # a kernel a map is no sum over maps
        ((4, 2), (2, 4)),
        ((4, 2, 3, 3), (4, 18)),
        ((1, 4), (4,)),
        ((4, 4, 3, 3), (4, 1, 3, 3)),
        ((2, 3, 3, 3), (4, 1, 3, 3)),
        ((4, 1, 3, 3), (4, 3, 3, 3)),
    ],
)
def test_other_shapes_with_as_many_numbers_are_not_taken(shape, needed):
    net = nn.Module()
    net.weight = nn.Parameter(torch.zeros(needed))
    report = load_weights(net, {"weight": torch.ones(shape)})
    assert report.reshaped == (("weight", shape, needed),) and net.weight.abs().max() == 0


def test_ones_at_the_end_of_a_shape_do_not_count():
    net = nn.Module()
    net.scale = nn.Parameter(torch.zeros(4, 1, 1))
    assert load_weights(net, {"scale": torch.arange(4.0)}).whole
    assert net.scale.flatten().tolist() == [0, 1, 2, 3]


@settings(max_examples=20)
@given(st.integers(0, 10**6), st.integers(3, 7), st.integers(3, 7))
def test_colours_added_up_see_grey_as_they_saw_it_three_times(seed, height, width):
    torch.manual_seed(seed)
    colour, grey = network(3).double(), network(1).double()
    report = load_weights(grey, colour.state_dict())
    assert report.adapted == ("body.conv.weight",) and report.whole
    assert "body.conv.weight: colours added up" in str(report)
    x = torch.randn(2, 1, height, width, dtype=torch.float64)
    assert torch.allclose(
        grey.eval().body(x), colour.eval().body(x.expand(-1, 3, -1, -1)), rtol=1e-12, atol=1e-12
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", ["resnet50", "seresnet50", "wrn_28_10", "small_cnn"])
def test_a_whole_network_for_colours_fits_grey_images(name):
    with torch.device("meta"):
        colour, grey = (create(name, input_shape=(channels, 32, 32)) for channels in (3, 1))
    report = load_weights(grey, colour.state_dict(), key_maps_of(name))
    assert report.whole and len(report.adapted) == 1


def test_half_precision_is_taken_and_the_network_keeps_its_own():
    one, two = network(), network()
    report = load_weights(two, {name: value.half() for name, value in one.state_dict().items()})
    assert report.whole and two.body.conv.weight.dtype == torch.float32
    assert torch.equal(two.body.conv.weight, one.body.conv.weight.half().float())


def test_gradients_are_not_recorded():
    two = network()
    load_weights(two, network().state_dict())
    assert all(p.requires_grad and p.grad_fn is None for p in two.parameters())


def test_a_row_of_layers_is_cut_into_stages_and_no_index_is_mistaken():
    renames = cut("features", {"stem": 3, "stage1": 9})
    row = nn.ModuleDict({"features": nn.Sequential(*(nn.Linear(2, 2) for _ in range(12)))})
    stages = {"stem": nn.Sequential(*row["features"][:3]), "stage1": nn.Sequential(*row["features"][3:])}
    net = copy.deepcopy(nn.ModuleDict({"body": nn.ModuleDict(stages)}))
    for parameter in net.parameters():
        nn.init.zeros_(parameter)
    assert load_weights(net, row.state_dict(), {"row": renames}).whole
    assert torch.equal(net["body"]["stage1"][7].weight, row["features"][10].weight)
    assert torch.equal(net["body"]["stem"][1].weight, row["features"][1].weight)


def test_long_lists_are_shortened():
    assert shorten([]) == "" and shorten(["a"]) == "a" and shorten(list("abcd")) == "a, b, c, d"
    assert shorten(list("abcde"), limit=2) == "a, b and 3 more"
    report = LoadReport("own", (), (), tuple("abcdef"), (), ())
    assert str(report) == "0 tensors loaded (own names); missing: a, b, c, d and 2 more"
