"""A person's own network: any torch module, from a file of theirs or from Python, behind the Model contract.

A file is only ever run because somebody named it: `--model my_net.py:Net`. A bundle stores its path and
SHA-256 for the record, never its code.
"""

from __future__ import annotations

import hashlib
import inspect
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import Tensor, nn

from convscope.core.errors import ShapeError, UserError, unknown_name
from convscope.models.pytorch.network import Network
from convscope.models.pytorch.shapes import dummy_input, eval_mode, explain, format_shape
from convscope.models.pytorch.torchvision_cpu import allow_torchvision
from convscope.models.spec import ModelSpec, check_shape


class CustomModel(Network):
    """A module of anybody's as a Network: its stages are those of its top-level children that give maps
    N×C×H×W.

    Made by `wrap` and by `load_custom_model`. Weights lie under the names that the module gives them, after
    "module.".
    """

    def __init__(self, spec: ModelSpec, module: nn.Module, stages: Sequence[str]) -> None:
        nn.Module.__init__(self)
        self.spec = spec
        self.module = module
        self.auxiliary = nn.ModuleDict()
        self._names = tuple(stages)

    @property
    def stages(self) -> dict[str, nn.Module]:
        """The children that give maps, by their dotted names, in the order in which they are called."""
        return {name: self.module.get_submodule(name) for name in self._names}

    @property
    def pipeline(self) -> nn.Module:
        """The module itself."""
        return self.module

    def features(self, x: Tensor) -> dict[str, Tensor]:
        """The maps N×C×H×W that each stage gives for images N×C×H×W; its last call counts."""
        self.check_rank(x)
        try:
            maps = _outputs(self.module, self.stages, x)
        except RuntimeError as problem:
            self.explain_failure(x, problem)
        return {name: maps[name] for name in self._names}

    def forward(self, x: Tensor) -> Tensor:
        """Logits N×K for normalised images, float N×C×H×W; a ShapeError names the layer that they do not
        fit.
        """
        self.check_rank(x)
        try:
            logits: Tensor = self.module(x)
        except RuntimeError as problem:
            self.explain_failure(x, problem)
        return logits


def is_custom_model(model: str) -> bool:
    """Does a `--model` value name a file, as in my_net.py:Net, and not a network of the zoo?

    >>> is_custom_model("nets/my_net.py:Net"), is_custom_model("small_cnn")
    (True, False)
    """
    return model.endswith(".py") or ".py:" in model


def load_custom_model(target: str, *, input_shape: Sequence[int], classes: int) -> Network:
    """The network that FILE.py:CLASS names, for images C×H×W and K classes. This runs the file.

    The class is called with those of `in_channels=C` and `classes=K` (or `num_classes=K`) that it takes, and
    with nothing else. UserError where the file, the class or its arguments are wrong.
    """
    text, _, name = target.rpartition(":")
    path = Path(text)
    if not is_custom_model(target) or not text.endswith(".py") or not name:
        raise UserError(f"{target!r} does not say which network; write FILE.py:CLASS, such as my_net.py:Net")
    if not path.is_file():
        raise UserError(f"there is no file {path}; give the path of the file that holds {name}")
    source = path.read_bytes()
    namespace = _run(path, source)
    makers = {k: v for k, v in vars(namespace).items() if _makes_networks(v, namespace.__name__)}
    if name not in makers:
        raise unknown_name(f"network class in {path}", name, makers)
    module = construct(makers[name], f"{path}:{name}", input_shape=check_shape(input_shape), classes=classes)
    return wrap_custom_model(
        module,
        input_shape=input_shape,
        classes=classes,
        name=name,
        source=str(path.resolve()),
        source_sha256=hashlib.sha256(source).hexdigest(),
    )


def wrap_custom_model(
    module: nn.Module,
    *,
    input_shape: Sequence[int],
    classes: int,
    name: str | None = None,
    source: str = "",
    source_sha256: str = "",
) -> Network:
    """`module` as a Network for images C×H×W and K classes; a Network that fits comes back as it is.

    It is tried on two blank images. ShapeError where they do not fit and where the answer is not one row of K
    numbers an image.

    >>> net = wrap_custom_model(nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(144, 5)), input_shape=(3, 8, 8), classes=5)
    >>> list(net.stages), net.spec.name
    (['0'], 'Sequential')
    """
    if not isinstance(module, nn.Module):
        raise UserError(f"a network must be a torch.nn.Module and this is a {type(module).__name__}")
    name = name or (module.spec.name if isinstance(module, Network) else type(module).__name__)
    shape = check_shape(input_shape)
    answer, stages = _try_out(module, name, shape)
    if not isinstance(answer, Tensor):
        raise ShapeError(
            f"{name} gave a {type(answer).__name__}; it must give one tensor of logits N×{classes}"
        )
    if tuple(answer.shape) != (2, classes):
        raise ShapeError(
            f"{name} gave {format_shape(answer.shape)} for 2 images; {classes} classes need 2×{classes}: "
            "let its last layer give one number a class"
        )
    if isinstance(module, Network):
        return module
    spec = ModelSpec(
        name,
        title=name,
        idea="a network of one's own",
        input_shape=shape,
        classes=classes,
        source=source,
        source_sha256=source_sha256,
    )
    return CustomModel(spec, module, stages)


def _try_out(module: nn.Module, name: str, shape: tuple[int, int, int]) -> tuple[Any, list[str]]:
    """The answer for two blank images, and the names of the children that gave maps on the way.

    A module that is a mere cover of another (one child, no maps) is looked into.
    """
    images = dummy_input(module, shape).repeat(2, 1, 1, 1)
    try:
        with eval_mode(module):
            answer = module(images)
            prefix, parent = "", module
            while True:
                children = {prefix + n: child for n, child in parent.named_children()}
                maps = _outputs(module, children, images)
                if maps or len(children) != 1:
                    return answer, list(maps)
                ((prefix, parent),) = children.items()
                prefix += "."
    except ShapeError:
        raise
    except Exception as problem:
        reason = explain(module, shape) or f"{type(problem).__name__}: {problem}"
        raise ShapeError(f"{name} does not take {format_shape(shape)} images: {reason}") from problem


def _outputs(module: nn.Module, parts: dict[str, nn.Module], x: Tensor) -> dict[str, Tensor]:
    """The maps that `parts` of `module` give while it answers for `x`, in the order in which they are
    called.
    """
    maps: dict[str, Tensor] = {}

    def watcher(name: str) -> Callable[..., None]:
        def keep(_layer: nn.Module, _inputs: Any, output: Any) -> None:
            if isinstance(output, Tensor) and output.ndim == 4:
                maps[name] = output

        return keep

    with ExitStack() as hooks:
        for name, part in parts.items():
            hooks.callback(part.register_forward_hook(watcher(name)).remove)
        module(x)
    return maps


def _run(path: Path, source: bytes) -> ModuleType:
    """The names that the file defines; its own folder is where its imports look first, as when Python runs
    it.
    """
    allow_torchvision()
    namespace = ModuleType(f"convscope_own_{path.stem}")
    namespace.__file__ = str(path)
    sys.modules[namespace.__name__] = namespace
    sys.path.insert(0, str(path.resolve().parent))
    try:
        exec(compile(source, str(path), "exec"), vars(namespace))
    except Exception as problem:
        del sys.modules[namespace.__name__]
        line = f" (line {problem.lineno})" if isinstance(problem, SyntaxError) else ""
        raise UserError(f"{path} cannot be run: {type(problem).__name__}: {problem}{line}") from problem
    finally:
        sys.path.remove(str(path.resolve().parent))
    return namespace


def _makes_networks(value: Any, module_name: str) -> bool:
    """A class of networks, also an imported one, or a function that the file itself defines."""
    if inspect.isclass(value):
        return issubclass(value, nn.Module) and value is not nn.Module
    return inspect.isfunction(value) and value.__module__ == module_name


def construct(maker: Callable[..., Any], what: str, *, input_shape: Sequence[int], classes: int) -> nn.Module:
    """`maker` called with those of in_channels, classes and num_classes that it takes; `what` is its name for
    errors.

    UserError where it demands more, fails, or gives something else than a module.
    """
    offered = {"in_channels": input_shape[0], "classes": classes, "num_classes": classes}
    parameters = inspect.signature(maker).parameters
    demanded = [
        name
        for name, p in parameters.items()
        if p.default is p.empty and name not in offered and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
    ]
    if demanded:
        raise UserError(
            f"{what} demands {', '.join(demanded)}, and only in_channels={input_shape[0]} and "
            f"classes={classes} are "
            "passed to what takes them; give the others defaults"
        )
    given = {name: value for name, value in offered.items() if name in parameters}
    try:
        module = maker(**given)
    except Exception as problem:
        shown = ", ".join(f"{name}={value}" for name, value in given.items())
        raise UserError(
            f"{what} failed when called with ({shown}): {type(problem).__name__}: {problem}"
        ) from problem
    if not isinstance(module, nn.Module):
        raise UserError(f"{what} gave a {type(module).__name__}; it must give a torch.nn.Module")
    return module
