from __future__ import annotations

import http.client
import io
import json
import urllib.error
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file

from convscope.core.bundle import Bundle
from convscope.core.errors import Failure, UserError
from convscope.data.preparing.preprocess import Preprocess
from convscope.data.pytorch.normalise import normalise
from convscope.models.pretrained import IMAGENET_MEAN, IMAGENET_STD, LoadReport, Pretrained
from convscope.models.pytorch import pretrained
from convscope.models.pytorch.pretrained import build_pretrained, open_pretrained
from convscope.models.pytorch.weight_file import read_tensors, tensor_bytes
from convscope.models.pytorch.zoo import create
from convscope.models.references import canonical_reference
from convscope.models.variants.registry import variants

SHIPPED = Path(pretrained.__file__).parent / "shipped" / "squeezenet1_0.npz"
COUNTER = "num_batches_tracked"


def unlike_fresh(name="resnet20", **kwargs):
    """A network in which no tensor is what a fresh one has, running statistics included."""
    network = create(name, **kwargs)
    generator = torch.Generator().manual_seed(1)
    for value in network.state_dict().values():
        if value.is_floating_point():
            value.copy_(torch.rand(value.shape, generator=generator) + 0.5)
    return network


def body(network):
    return {k: v for k, v in network.body.state_dict().items() if not k.endswith(COUNTER)}


def same_body(one, two):
    assert {*body(one)} == {*body(two)}
    return all(torch.equal(value, body(two)[name]) for name, value in body(one).items())


def bundle_of(network, folder, *, name=None, channels=3, mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6)):
    """A finished run's bundle with `network` in it."""
    _, height, width = network.spec.input_shape
    spec = network.spec.to_dict()
    folder.mkdir()
    Bundle(
        weights={k: v.numpy() for k, v in network.state_dict().items()},
        model=spec | {"name": name or spec["name"]},
        preprocess=Preprocess(channels, height, width, "pad", mean, std).to_dict(),
        classes=tuple(f"class{k}" for k in range(network.spec.classes)),
    ).save(folder / "bundle.safetensors")
    return folder


def refused(reference, **kwargs):
    with pytest.raises(UserError) as caught:
        open_pretrained(str(reference), **kwargs)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture(scope="module")
def trained():
    return unlike_fresh()


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CONVSCOPE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "weights"


# What is in the package


def test_the_body_is_that_of_the_package_bit_for_bit_and_the_head_is_fresh():
    with np.load(SHIPPED) as stored:
        expected = {
            name: torch.from_numpy(stored[name]) for name in stored.files if name.startswith("features.")
        }
    torch.manual_seed(3)
    network, report = build_pretrained(open_pretrained("squeezenet1_0"), input_shape=(3, 227, 227), classes=5)
    torch.manual_seed(3)
    fresh = create("squeezenet1_0", input_shape=(3, 227, 227), classes=5, head="linear")
    assert len(expected) == 50 and sum(v.numel() for v in expected.values()) == 735_424
    assert sorted(v.numpy().tobytes() for v in network.body.state_dict().values()) == sorted(
        v.numpy().tobytes() for v in expected.values()
    )
    assert all(torch.equal(v, fresh.head.state_dict()[k]) for k, v in network.head.state_dict().items())
    assert (len(report.loaded), report.adapted, report.missing, report.reshaped) == (50, (), (), ())


def test_the_package_says_which_images_it_was_trained_with():
    weights = open_pretrained("squeezenet1_0", model="squeezenet1_0")
    assert (weights.size, weights.mean, weights.std) == ((227, 227), IMAGENET_MEAN, IMAGENET_STD)
    assert weights.origin == "SqueezeNet 1.0, trained on ImageNet, in the package"


def test_names_of_networks_win_over_folders_of_that_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "squeezenet1_0").mkdir()
    assert open_pretrained("squeezenet1_0").origin.endswith("in the package")
    assert "holds no bundle.safetensors" in refused("./squeezenet1_0")
    (tmp_path / "mine").mkdir()
    assert (
        canonical_reference("squeezenet1_0") == "squeezenet1_0"
        and canonical_reference("timm:resnet18") == "timm:resnet18"
    )
    assert canonical_reference("mine") == canonical_reference("./mine/") == str(tmp_path / "mine")
    assert canonical_reference("x" * 5000) == "x" * 5000


# Files


def save(network, path, **kind):
    state = network.state_dict()
    if kind.get("module"):
        state = {f"module.{name}": value for name, value in state.items()}
    if kind.get("wrap"):
        state = {kind["wrap"]: state, "epoch": 9}
    if path.suffix == ".safetensors":
        save_file(state, path)
    elif path.suffix == ".npz":
        np.savez(path, **{name: value.numpy() for name, value in state.items()})
    else:
        torch.save(state, path)
    return path


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "kind"),
    [
        ("plain.pth", {}),
        ("wrapped.pth", {"wrap": "state_dict"}),
        ("module.pt", {"module": True}),
        ("both.bin", {"wrap": "model", "module": True}),
        ("a.safetensors", {}),
        ("module.safetensors", {"module": True}),
        ("a.npz", {}),
    ],
)
def test_the_body_comes_from_a_file_bit_for_bit(trained, tmp_path, file, kind):
    weights = open_pretrained(str(save(trained, tmp_path / file, **kind)), model="resnet20")
    network, report = build_pretrained(weights, input_shape=(3, 32, 32), classes=4)
    assert same_body(network, trained) and len(report.loaded) == len(body(trained))
    assert (weights.size, weights.mean, weights.std) == ((32, 32), IMAGENET_MEAN, IMAGENET_STD)
    assert str(tmp_path / file) in weights.origin


def test_a_head_of_as_many_classes_does_not_come_along(trained, tmp_path):
    """It answers for other classes; whether they are as many is chance."""
    weights = open_pretrained(str(save(trained, tmp_path / "a.pth")), model="resnet20")
    linear = unlike_fresh(classes=10, head="linear")
    again = open_pretrained(str(save(linear, tmp_path / "b.pth")), model="resnet20")
    for source in (weights, again):
        torch.manual_seed(0)
        network, _ = build_pretrained(source, input_shape=(3, 32, 32), classes=10)
        torch.manual_seed(0)
        fresh = create("resnet20", classes=10, head="linear")
        assert all(torch.equal(v, network.head.state_dict()[k]) for k, v in fresh.head.state_dict().items())


def test_a_file_alone_does_not_say_its_network(trained, tmp_path):
    assert "add --model NAME" in refused(save(trained, tmp_path / "a.pth"))
    assert "did you mean 'resnet20'" in refused(tmp_path / "a.pth", model="resnet_20")


def test_a_damaged_file_says_so_before_it_is_asked_for_its_network(tmp_path):
    for name in ("a.pth", "a.safetensors", "a.npz"):
        (tmp_path / name).write_bytes(b"PK\x03\x04 and no more")
        assert str(tmp_path / name) in refused(tmp_path / name) and "damaged" in refused(tmp_path / name)
    (tmp_path / "photo.jpg").touch()
    assert "no weight file by its name" in refused(tmp_path / "photo.jpg")


def test_half_of_a_larger_network_is_not_taken_for_a_smaller_one(tmp_path):
    """ResNet-32 holds every tensor of ResNet-20, in the same shapes; the maps would be those of neither."""
    path = save(unlike_fresh("resnet32"), tmp_path / "large.pth", module=True)
    with pytest.raises(
        UserError, match=r"does not fit resnet20, which has no place for .*stage1\.3.*and \d+ more"
    ):
        build_pretrained(open_pretrained(str(path), model="resnet20"), input_shape=(3, 32, 32), classes=3)


def test_weights_that_are_missing_or_of_another_shape_are_named(trained, tmp_path):
    path = save(trained, tmp_path / "small.pth")
    with pytest.raises(
        UserError, match=r"small\.pth does not fit resnet32: missing .*body\.stage1\.3\.conv1\.weight"
    ):
        build_pretrained(open_pretrained(str(path), model="resnet32"), input_shape=(3, 32, 32), classes=3)
    wide = Pretrained("resnet20", "X", trained.state_dict(), (32, 32), options={"widths": (8, 32, 64)})
    with pytest.raises(UserError, match=r"body\.stem\.0\.weight is 16×3×3×3, needs 8×3×3×3"):
        build_pretrained(wide, input_shape=(3, 32, 32), classes=3)


@pytest.mark.slow
def test_the_small_form_of_a_network_for_photographs_is_named_as_the_reason():
    large = unlike_fresh("resnet18", input_shape=(3, 96, 96))
    weights = Pretrained("resnet18", "X", large.state_dict(), (96, 96))
    assert same_body(build_pretrained(weights, input_shape=(3, 96, 96), classes=3)[0], large)
    with pytest.raises(
        UserError, match=r"body\.stem\.0\.weight is 64×3×7×7.*up to 64 pixels.*see data\.size"
    ):
        build_pretrained(weights, input_shape=(3, 64, 64), classes=3)


@pytest.mark.slow
def test_googlenet_comes_without_its_auxiliary_heads_and_with_its_own_preprocessing(tmp_path):
    """Fresh ones would pull at a trained body; torchvision's weights are of a release that scales to [−1,
    1]."""
    whole = unlike_fresh("googlenet", input_shape=(3, 72, 72), classes=3)
    weights = open_pretrained(str(save(whole, tmp_path / "a.pth")), model="googlenet")
    assert (weights.mean, weights.std) == ((0.5,) * 3, (0.5,) * 3)
    network, report = build_pretrained(weights, input_shape=(3, 72, 72), classes=3)
    assert len(whole.auxiliary) == 2 and len(network.auxiliary) == 0 and same_body(network, whole)
    assert {name.partition(".")[0] for name in report.unexpected} == {"auxiliary", "head"}
    assert [*network.train().features(torch.zeros(2, 3, 72, 72))] == [*network.stages]


# Runs


def test_a_run_gives_body_options_and_preprocessing(tmp_path):
    network = unlike_fresh("small_cnn", options={"widths": (5, 6), "hidden": 7}, input_shape=(3, 20, 24))
    folder = bundle_of(network, tmp_path / "run")
    for reference in (folder, folder / "bundle.safetensors"):
        weights = open_pretrained(str(reference))
        assert (weights.name, weights.size) == ("small_cnn", (20, 24))
        assert (weights.mean, weights.std) == ((0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
        built, _ = build_pretrained(weights, input_shape=(3, 20, 24), classes=3)
        assert built.spec.options["widths"] == (5, 6) and same_body(built, network)


def test_a_run_and_a_reference_that_say_different_networks(trained, tmp_path):
    folder = bundle_of(trained, tmp_path / "run")
    assert open_pretrained(str(folder), model="resnet20").name == "resnet20"
    assert "holds weights of resnet20, and --model says resnet32" in refused(folder, model="resnet32")
    message = refused("squeezenet1_0", model="squeezenet1_1")
    assert "squeezenet1_0 are weights of squeezenet1_0, and --model says squeezenet1_1" in message


def test_a_run_of_a_network_of_ones_own_has_no_name_on_the_list(trained, tmp_path):
    folder = bundle_of(trained, tmp_path / "own", name="Net")
    assert "weights of the own network 'Net'; transfer needs one of `convscope summary`" in refused(folder)
    assert same_body(
        build_pretrained(open_pretrained(str(folder), model="resnet20"), input_shape=(3, 32, 32), classes=2)[
            0
        ],
        trained,
    )


def test_a_damaged_bundle_is_one_line(trained, tmp_path):
    folder = bundle_of(trained, tmp_path / "run")
    content = (folder / "bundle.safetensors").read_bytes()
    (folder / "bundle.safetensors").write_bytes(content[:-100])
    assert "it is damaged" in refused(folder) and "it is damaged" in refused(folder / "bundle.safetensors")
    (folder / "bundle.safetensors").write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert "are not those that were saved" in refused(folder)


# References that mean nothing


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("", "there is no trained network (nor file or run) ''"),
        ("   ", "there is no trained network (nor file or run) '   '"),
        ("squezenet1_0", "did you mean 'squeezenet1_0'"),
        ("weights.pth", "there is no run or weight file at weights.pth"),
        ("artifacts/torch_x", "there is no run or weight file at artifacts/torch_x"),
        ("w" * 5000, "there is no trained network (nor file or run)"),
        ("folder/" + "w" * 5000, "there is no run or weight file at folder/"),
        ("empty", "holds no bundle.safetensors; give a run folder"),
        ("session", "is a run that has not ended; go on with it"),
        ("torchvision:", "does not say which network of the list it is; add --model NAME"),
        ("torchvision:swin_t", "does not say which network of the list it is; add --model NAME"),
        ("timm:", "add --model NAME"),
        ("hub:resnet18", "there is no trained network (nor file or run) 'hub:resnet18'"),
    ],
)
def test_a_reference_that_means_nothing(tmp_path, monkeypatch, reference, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "session").mkdir()
    (tmp_path / "session" / "checkpoint.safetensors").touch()
    assert message in refused(reference)


# Grey images


def test_grey_images_meet_the_kernels_added_up_and_average_statistics():
    """The same maps as from the grey image given three times, with the averaged statistics for every
    colour."""
    weights = open_pretrained("squeezenet1_0")
    grey, report = build_pretrained(weights, input_shape=(1, 72, 72), classes=3)
    colour, _ = build_pretrained(weights, input_shape=(3, 72, 72), classes=3)
    assert report.adapted == ("body.stem.0.weight",) and len(report.loaded) == 49
    stem = colour.body.stem[0].weight
    assert torch.equal(grey.body.stem[0].weight, stem.sum(dim=1, keepdim=True))
    mean, std = weights.statistics(1)
    assert mean == pytest.approx((np.mean(IMAGENET_MEAN),)) and std == pytest.approx((np.mean(IMAGENET_STD),))
    image = torch.randint(0, 256, (2, 1, 72, 72), dtype=torch.uint8)
    with torch.no_grad():
        one = grey.body(normalise(image, mean, std))
        three = colour.body(normalise(image.expand(2, 3, 72, 72), mean * 3, std * 3))
    torch.testing.assert_close(one, three, rtol=1e-4, atol=1e-3)


@given(st.tuples(*[st.floats(0.01, 1)] * 3), st.tuples(*[st.floats(0.01, 1)] * 3))
def test_statistics_for_as_many_channels_are_the_own_ones(mean, std):
    weights = Pretrained("resnet20", "X", {}, (8, 8), mean, std)
    assert weights.statistics(3) == (mean, std)
    assert weights.statistics(1) == (pytest.approx((sum(mean) / 3,)), pytest.approx((sum(std) / 3,)))
    grey = Pretrained("resnet20", "X", {}, (8, 8), mean[:1], std[:1])
    assert grey.statistics(3) == (mean[:1] * 3, std[:1] * 3)


def test_weights_for_grey_images_do_not_make_up_colours(tmp_path):
    grey = unlike_fresh(input_shape=(1, 32, 32))
    weights = open_pretrained(str(bundle_of(grey, tmp_path / "run", channels=1, mean=(0.3,), std=(0.2,))))
    assert same_body(build_pretrained(weights, input_shape=(1, 32, 32), classes=3)[0], grey)
    with pytest.raises(
        UserError, match=r"is 16×1×3×3, needs 16×3×3×3; they are for grey images: --set data\.channels=1"
    ):
        build_pretrained(weights, input_shape=(3, 32, 32), classes=3)


# What tells weights apart


def test_the_digest_follows_names_shapes_and_values_and_nothing_else():
    def digest(**tensors):
        return Pretrained("resnet20", "X", tensors, (8, 8)).fingerprint()

    a, b = torch.arange(6.0).view(2, 3), torch.tensor(1)
    first = digest(a=a, b=b)
    assert len(first) == 12 and int(first, 16) >= 0
    assert digest(b=b.clone(), a=a.clone()) == first == digest(a=a.t().contiguous().t(), b=b)
    others = [
        digest(a=a),
        digest(a=a, c=b),
        digest(a=a.view(3, 2), b=b),
        digest(a=a + 1e-6, b=b),
        digest(a=a, b=b + 1),
    ]
    assert len({first, *others}) == 6
    assert open_pretrained("squeezenet1_0").fingerprint() == open_pretrained("squeezenet1_0").fingerprint()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.int64, torch.bool])
def test_bytes_of_any_type_and_shape(dtype):
    value = torch.tensor([[0, 1, 1], [1, 0, 1]]).to(dtype)
    assert len(tensor_bytes(value)) == 6 * value.element_size()
    assert tensor_bytes(value.t()) == tensor_bytes(value.t().contiguous()) != tensor_bytes(value)
    assert len(tensor_bytes(value[0, 0])) == value.element_size() and len(tensor_bytes(value[:0])) == 0


def test_the_line_on_a_body_frightens_nobody():
    _, report = build_pretrained(open_pretrained("squeezenet1_0"), input_shape=(3, 227, 227), classes=3)
    assert report.body_line() == "all 50 tensors of the body (torchvision names); the head is new"
    _, report = build_pretrained(open_pretrained("squeezenet1_0"), input_shape=(1, 227, 227), classes=3)
    assert (
        report.body_line()
        == "all 50 tensors of the body (torchvision names; colours added up for grey images); the head is new"
    )
    assert isinstance(report, LoadReport)


# Downloads, without a network


def served(monkeypatch, answer):
    """In place of every download: `answer(target)`, which writes the file or raises; the addresses asked
    for."""
    asked = []

    def download(url, target, hash_prefix=None, progress=True):
        asked.append((url, hash_prefix))
        answer(Path(target))

    monkeypatch.setattr("torch.hub.download_url_to_file", download)
    return asked


def raises(problem):
    def answer(_target):
        raise problem

    return answer


PROBLEMS = {
    "no network": urllib.error.URLError(OSError(-3, "Temporary failure in name resolution")),
    "not found": urllib.error.HTTPError(
        "https://x", 404, "Not Found", http.client.HTTPMessage(), io.BytesIO()
    ),
    "time out": TimeoutError("timed out"),
    "cut off": http.client.IncompleteRead(b"x", 10),
    "corrupt": RuntimeError('invalid hash value (expected "b8a52dc0", got "00")'),
    "no room": OSError(28, "No space left on device"),
}


@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.parametrize("reference", ["squeezenet1_1", "torchvision:squeezenet1_1"])
def test_a_download_that_fails_is_one_line_with_what_to_do(cache, monkeypatch, capsys, reference, problem):
    asked = served(monkeypatch, raises(PROBLEMS[problem]))
    with pytest.raises(Failure) as caught:
        open_pretrained(reference)
    message = str(caught.value)
    assert message.startswith("torchvision's weights for squeezenet1_1 are not in ") and "\n" not in message
    assert f"get them from {asked[0][0]} on a machine with a network" in message
    assert message.endswith("and give the file: --pretrained FILE --model squeezenet1_1")
    assert not cache.exists() or [*cache.iterdir()] == []


def test_torch_is_asked_to_check_what_it_downloads(cache, monkeypatch):
    asked = served(monkeypatch, raises(OSError("no")))
    with pytest.raises(Failure):
        open_pretrained("squeezenet1_1")
    assert [prefix for _, prefix in asked] == ["b8a52dc0"]


@pytest.fixture(scope="module")
def theirs():
    """torchvision's own network, untrained but for numbers that are all its own."""
    from convscope.models.pytorch.torchvision_cpu import import_torchvision

    network = import_torchvision().models.squeezenet1_1(weights=None)
    generator = torch.Generator().manual_seed(2)
    for value in network.state_dict().values():
        value.copy_(torch.rand(value.shape, generator=generator) - 0.5)
    return network.eval()


def test_what_torchvision_has_is_fetched_once_and_gives_its_features(cache, monkeypatch, theirs):
    asked = served(monkeypatch, lambda target: torch.save(theirs.state_dict(), target))
    weights = open_pretrained("squeezenet1_1")
    open_pretrained("torchvision:squeezenet1_1")
    assert len(asked) == 1 and [p.name for p in cache.iterdir()] == ["squeezenet1_1-b8a52dc0.pth"]
    assert (
        weights.size == (224, 224) and weights.origin == "torchvision's SqueezeNet1_1_Weights.IMAGENET1K_V1"
    )
    network, _ = build_pretrained(weights, input_shape=(3, 96, 96), classes=3)
    x = torch.randn(2, 3, 96, 96)
    with torch.no_grad():
        torch.testing.assert_close(network.eval().body(x), theirs.features(x), rtol=1e-5, atol=1e-5)


def test_a_file_in_the_cache_that_broke_since_is_removed(cache, monkeypatch, theirs):
    served(monkeypatch, lambda target: torch.save(theirs.state_dict(), target))
    open_pretrained("squeezenet1_1")
    (file,) = cache.iterdir()
    file.write_bytes(file.read_bytes()[:5000])
    with pytest.raises(
        Failure, match=r"squeezenet1_1-b8a52dc0\.pth was damaged and is removed; type the same again"
    ):
        open_pretrained("squeezenet1_1")
    assert not file.exists()
    assert open_pretrained("squeezenet1_1").size == (224, 224)


@pytest.mark.parametrize(
    "name", [n for n in ("lenet5", "small_cnn", "resnet20", "resnet110") if n in variants]
)
def test_a_network_that_nobody_trained_says_what_there_is(name):
    message = refused(name)
    assert f"torchvision has no trained weights for {name}; in the package are squeezenet1_0" in message
    assert "or give a file: --pretrained FILE --model NAME" in message


def test_what_torchvision_has_for_other_tasks_is_not_asked_for(monkeypatch):
    asked = served(monkeypatch, raises(AssertionError("no download was due")))
    assert "torchvision has no trained weights for fcn_resnet50" in refused(
        "torchvision:fcn_resnet50", model="resnet50"
    )
    assert "did you mean resnet18?" in refused("torchvision:resnt18", model="resnet18")
    assert asked == []


@pytest.fixture(scope="module")
def timm():
    from convscope.models.pytorch.torchvision_cpu import allow_torchvision

    allow_torchvision()
    return pytest.importorskip("timm")


@pytest.mark.slow
@pytest.mark.parametrize(
    "problem",
    [OSError("We couldn't connect\nto the hub"), RuntimeError("No pretrained weights exist"), KeyError("x")],
)
def test_timm_without_a_network_is_one_line(timm, cache, monkeypatch, problem):
    def create_model(*_arguments, **_kwargs):
        raise problem

    monkeypatch.setattr(timm, "create_model", create_model)
    with pytest.raises(Failure) as caught:
        open_pretrained("timm:resnet18.a1_in1k")
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("timm's weights for resnet18.a1_in1k are not in ")
    assert str(caught.value).endswith("--pretrained FILE --model resnet18")


@pytest.mark.slow
def test_what_timm_has_comes_with_its_own_preprocessing(timm, cache, monkeypatch):
    real, asked = timm.create_model, []

    def create_model(name, *, pretrained, cache_dir):
        asked.append((name, pretrained, cache_dir))
        torch.manual_seed(4)
        return real(name, pretrained=False)

    monkeypatch.setattr(timm, "create_model", create_model)
    weights = open_pretrained("timm:resnet18.a1_in1k")
    assert asked == [("resnet18.a1_in1k", True, str(cache))]
    assert (weights.name, weights.size, weights.mean) == ("resnet18", (224, 224), IMAGENET_MEAN)
    network, report = build_pretrained(weights, input_shape=(3, 72, 72), classes=3)
    torch.manual_seed(4)
    expected = real("resnet18.a1_in1k", pretrained=False).eval()
    x = torch.randn(1, 3, 72, 72)
    with torch.no_grad():
        torch.testing.assert_close(network.eval().body(x), expected.forward_features(x), rtol=1e-4, atol=1e-4)
    assert len(report.loaded) == len(body(network))


def test_a_name_that_timm_does_not_know(timm):
    assert "there is no network of timm 'resnet18x'" in refused("timm:resnet18x", model="resnet18")


def test_timm_and_torchvision_may_be_absent(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "timm", None)
    assert refused("timm:resnet18") == "timm is not installed; install it with: pip install timm"


def test_bundles_and_files_hold_the_same(trained, tmp_path):
    """`open_pretrained` of a run and of its bundle under another name; a plain safetensors file is no
    bundle."""
    folder = bundle_of(trained, tmp_path / "run")
    copy = tmp_path / "copied.safetensors"
    copy.write_bytes((folder / "bundle.safetensors").read_bytes())
    assert open_pretrained(str(copy)).fingerprint() == open_pretrained(str(folder)).fingerprint()
    assert (
        open_pretrained(str(copy)).fingerprint()
        == Pretrained("x", "", read_tensors(copy), (1, 1)).fingerprint()
    )
    save_file({"a": torch.ones(1)}, tmp_path / "plain.safetensors", metadata={"format": json.dumps("pt")})
    assert "add --model NAME" in refused(tmp_path / "plain.safetensors")
