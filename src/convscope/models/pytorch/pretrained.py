"""A network that was trained before, by whatever names it: in the package, a run, a file, torchvision or timm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

from torch import Tensor

from convscope.core.bundle import Bundle, find_bundle
from convscope.core.errors import Failure, UserError, unknown_name
from convscope.data.cache_folder import cache_folder
from convscope.data.preprocess import Preprocess, Resize
from convscope.models.pytorch.load_weights import Fit, load_weights, shorten
from convscope.models.pytorch.network import Network
from convscope.models.pytorch.weight_file import read_tensors
from convscope.models.pytorch.zoo import create, networks

SHIPPED = {"squeezenet1_0": (227, "SqueezeNet 1.0, trained on ImageNet, in the package")}
"""The networks whose weights are in the package: side of the images they were trained with, and where from."""

# Channel means and deviations of ImageNet's training images, as nearly every published network uses them.
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
# torchvision converted these two from a release that scales to [−1, 1]; its own code undoes ImageNet's numbers inside.
SYMMETRIC = ("googlenet", "inception_v3")


@dataclass(frozen=True)
class Pretrained:
    """Weights with what is needed to use them: the network's name and options, and the preprocessing they expect.

    `size` is (height, width); `mean` and `std` hold one number a channel on the scale 0..1; `origin` is for people.
    """

    name: str
    origin: str
    tensors: Mapping[str, Tensor] = field(repr=False)
    size: tuple[int, int]
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    resize: Resize = "crop"
    options: Mapping[str, Any] = field(default_factory=dict)

    def statistics(self, channels: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Mean and deviation for images of `channels`: for grey ones the average over the colours, and back."""
        if len(self.mean) == channels:
            return self.mean, self.std
        mean, std = sum(self.mean) / len(self.mean), sum(self.std) / len(self.std)
        return (mean,) * channels, (std,) * channels

    def build(self, *, input_shape: Sequence[int], classes: int) -> tuple[Network, Fit]:
        """The network with these weights and a fresh linear head for K classes, and how they fitted.

        Raises UserError, with the names, where a weight of the body is missing or has another shape.
        """
        network = create(self.name, input_shape=input_shape, classes=classes, options=self.options, head="linear")
        fit = load_weights(network, self.tensors, networks[self.name].layouts)
        if absent := fit.missing_below("body."):
            small = "; for images of up to 64 pixels it has another stem, see data.size" if network.spec.small else ""
            raise UserError(f"{self.origin} does not fit {self.name}: {shorten(absent)} missing or reshaped{small}")
        return network, fit


def open_pretrained(word: str, *, model: str | None = None) -> Pretrained:
    """The trained network that `word` means.

    `word`: a network of `convscope summary` (in the package, or torchvision's weights for it), "torchvision:NAME",
    "timm:NAME", a run folder or bundle, or a weight file (.safetensors, .npz, .pth). `model` says which network the
    weights are for, where the word does not. Weights that are not on this machine are downloaded into the cache.

    Raises UserError for an unknown word and Failure where a download does not work.

    >>> weights = open_pretrained("squeezenet1_0")
    >>> net, fit = weights.build(input_shape=(3, 227, 227), classes=6)
    >>> weights.size, len(fit.loaded), fit.missing
    ((227, 227), 50, ('head.2.mean', 'head.2.std', 'head.3.weight', 'head.3.bias'))
    """
    program, colon, name = word.partition(":")
    if colon and program in ("torchvision", "timm"):
        network = model or name.partition(".")[0]
        if network not in networks:
            raise UserError(f"--pretrained {word} does not say which network of the list it is; add --model NAME")
        return _from_torchvision(name, network) if program == "torchvision" else _from_timm(name, network)
    if word in SHIPPED and model in (None, word):
        side, origin = SHIPPED[word]
        place = files("convscope.models.pytorch") / "shipped" / f"{word}.npz"
        return Pretrained(word, origin, read_tensors(Path(str(place))), (side, side))
    if word in networks and not Path(word).exists():
        return _from_torchvision(word, model or word)
    path = Path(word)
    if path.is_dir() or _is_bundle(path):
        return _from_bundle(path, model)
    if not path.is_file():
        raise unknown_name("trained network (nor file or run)", word, [*networks])
    return _from_file(path, model)


def _is_bundle(path: Path) -> bool:
    if path.suffix != ".safetensors" or not path.is_file():
        return False
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            return "convscope" in (file.metadata() or {})
    except (SafetensorError, OSError):
        return False


def _from_bundle(path: Path, model: str | None) -> Pretrained:
    import torch

    bundle, place = Bundle.load(path), find_bundle(path)
    name = model or bundle.model["name"]
    if name not in networks:
        raise UserError(f"{place} holds weights of the own network {name!r}; transfer needs one of `convscope summary`")
    preprocess = Preprocess.from_dict(bundle.preprocess)
    return Pretrained(
        name,
        f"the run {path}",
        {key: torch.from_numpy(value) for key, value in bundle.weights.items()},
        (preprocess.height, preprocess.width),
        preprocess.mean,
        preprocess.std,
        preprocess.resize,
        bundle.model["options"],
    )


def _from_file(path: Path, model: str | None) -> Pretrained:
    if model is None:
        raise UserError(f"{path} holds weights and no word on the network they are for; add --model NAME")
    _, height, width = networks[model].spec.input_shape
    return Pretrained(model, f"the file {path}", read_tensors(path), (height, width))


def _from_torchvision(name: str, network: str) -> Pretrained:
    from convscope.models.pytorch.torchvision_cpu import import_torchvision

    models = import_torchvision().models
    try:
        weights = models.get_model_weights(name).DEFAULT
    except ValueError:
        raise UserError(
            f"torchvision has no trained weights for {name}; in the package are {', '.join(SHIPPED)}, "
            "or give a file: --pretrained FILE --model NAME"
        ) from None
    import torch

    folder = cache_folder() / "weights"
    try:
        tensors = torch.hub.load_state_dict_from_url(
            weights.url, str(folder), map_location="cpu", progress=False, check_hash=True, weights_only=True
        )
    except (OSError, RuntimeError) as problem:
        raise _no_download(f"torchvision's weights for {name}", weights.url, folder, problem, network) from None
    (side,) = weights.transforms().crop_size
    symmetric = (0.5,) * 3
    mean, std = (symmetric, symmetric) if name in SYMMETRIC else (IMAGENET_MEAN, IMAGENET_STD)
    return Pretrained(network, f"torchvision's {weights}", tensors, (side, side), mean, std)


def _from_timm(name: str, network: str) -> Pretrained:
    from convscope.models.pytorch.torchvision_cpu import allow_torchvision

    allow_torchvision()
    try:
        import timm
    except ModuleNotFoundError:
        raise UserError("timm is not installed; install it with: pip install timm") from None
    folder = cache_folder() / "weights"
    if not timm.is_model(name):
        raise unknown_name("network of timm", name, timm.list_models())
    try:
        built = timm.create_model(name, pretrained=True, cache_dir=str(folder))
    except Exception as problem:  # timm and its hub client raise whatever their own libraries do
        raise _no_download(f"timm's weights for {name}", "its page", folder, problem, network) from None
    cfg: Any = built.pretrained_cfg
    _, height, width = cfg["input_size"]
    return Pretrained(network, f"timm's {name}", built.state_dict(), (height, width), cfg["mean"], cfg["std"])


def _no_download(what: str, place: str, folder: Path, problem: Exception, network: str) -> Failure:
    reason = (str(problem).strip().splitlines() or [type(problem).__name__])[0]
    return Failure(
        f"{what} are not in {folder} and could not be downloaded ({reason}); "
        f"get them from {place} on a machine with a network, and give the file: --pretrained FILE --model {network}"
    )
