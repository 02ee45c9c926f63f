"""Starting from trained weights: which, and what of them is trained how fast and from when on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from torch import nn

from convscope.core.config import RunConfig, TransferConfig
from convscope.core.errors import UserError
from convscope.models.pytorch.custom_model import is_custom_model
from convscope.models.pytorch.network import Network
from convscope.models.pytorch.pretrained import Pretrained, open_pretrained

Mode = Literal["probe", "finetune", "scratch"]
DEFAULT = "squeezenet1_0"


@dataclass(frozen=True)
class Initialisation:
    """Where training starts: from nothing ("scratch"), or from trained weights, and then what is trained."""

    mode: Mode = "scratch"
    word: str | None = None
    weights: Pretrained | None = None


def choose_initialisation(config: RunConfig, *, photographs: bool, own: bool) -> Initialisation:
    """What the configuration says, and where it says nothing: a head on SqueezeNet's features for
    photographs.

    `own`: the network is a person's own module or file, for which nobody else has weights. Raises UserError
    for trained weights of an own network, for weights that are not those that the configuration names, and
    for a head on features with boxes cut out of images.
    """
    transfer, name = config.transfer, config.model.name
    own = own or bool(name and is_custom_model(name))
    asked = transfer.pretrained is not None or transfer.mode in ("probe", "finetune")
    if own and asked:
        raise UserError(
            "trained weights were asked for with a network of one's own; take one of `convscope summary`"
        )
    if not asked and (own or name or transfer.mode == "scratch" or not photographs):
        return Initialisation()
    word = (name or DEFAULT) if transfer.pretrained is None else transfer.pretrained
    mode = transfer.mode or "probe"
    if config.model.options:
        raise UserError(
            "model.options were given with trained weights, which fit no other form; leave one of them out"
        )
    if mode == "probe" and config.augment.mix in ("cutmix", "both"):
        raise UserError(
            f"augment.mix is {config.augment.mix}, and a head learns from features, which have no places to "
            f"cut out; "
            "mixup works on them, or train everything: --mode finetune"
        )
    return Initialisation(mode, word, _expected(open_pretrained(word, model=name), config))


def _expected(weights: Pretrained, config: RunConfig) -> Pretrained:
    expected = config.transfer.weights_fingerprint
    if expected is not None and weights.digest() != expected:
        raise UserError(
            f"{weights.origin} holds weights {weights.digest()}, and transfer.weights_fingerprint is "
            f"{expected}; "
            "give back those, or leave the digest out"
        )
    return weights


def without_effect(config: RunConfig, mode: Mode) -> list[str]:
    """The settings that were given and that this way of training has no use for.

    >>> without_effect(RunConfig.from_dict({"augment": {"policy": "strong"}, "transfer": {"unfreeze_every": 1}}), "probe")
    ['augment.policy', 'transfer.unfreeze_every']
    """
    usual, given = TransferConfig(), config.transfer
    tuning = ("layer_decay", "unfreeze_every", "freeze_norms") if mode != "finetune" else ()
    idle = [f"transfer.{name}" for name in tuning if getattr(given, name) != getattr(usual, name)]
    return ["augment.policy"] * (mode == "probe" and config.augment.policy not in (None, "none")) + idle


def rate_scales(network: Network, decay: float) -> Callable[[str], float]:
    """What the learning rate of a parameter is multiplied by: 1 in the head, `decay` once more for each stage
    before.

    Early stages see edges and colours, which are the same everywhere; late ones see what they were trained
    for (Howard & Ruder 2018, arXiv 1801.06146, section 3.2).

    >>> from convscope.models.pytorch.zoo import create
    >>> scale = rate_scales(create("small_cnn"), 0.5)
    >>> scale("head.1.weight"), scale("body.stage2.0.weight"), scale("body.stage1.0.weight")
    (1.0, 0.5, 0.25)
    """
    scales = {stage: decay**place for place, stage in enumerate(reversed(network.stages), 1)}

    def scale_of(name: str) -> float:
        part, _, rest = name.partition(".")
        return scales[rest.partition(".")[0]] if part == "body" else 1.0

    return scale_of


def prepare_to_tune(network: Network, settings: TransferConfig, epoch: int) -> None:
    """Training mode for an epoch (from 0) of fine-tuning: what is not yet unfrozen is frozen, and norms keep
    their count.

    With `unfreeze_every` t, the head is trained from the first epoch, the last stage from epoch t, the one
    before it from 2t, … (gradual unfreezing, Howard & Ruder 2018). A batch norm that goes on counting would
    follow 32 images at a time.
    """
    network.train()
    for place, stage in enumerate(reversed(network.stages.values()), 1):
        unfrozen = epoch >= settings.unfreeze_every * place
        stage.requires_grad_(unfrozen)
        for layer in stage.modules():
            if isinstance(layer, nn.modules.batchnorm._BatchNorm) and (settings.freeze_norms or not unfrozen):
                layer.eval()
