"""Starting from trained weights: which, and what of them is trained how fast and from when on."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from convscope.core.config import Mode, RunConfig, TransferConfig
from convscope.core.errors import UserError
from convscope.models.pretrained import Pretrained
from convscope.models.pytorch.network import Network
from convscope.models.pytorch.pretrained import open_pretrained
from convscope.models.references import canonical_reference
from convscope.training.engine import Initialisation

DEFAULT = "squeezenet1_0"
"""Weights for photographs: they are in the package."""


def choose_initialisation(config: RunConfig, *, photographs: bool, custom: bool) -> Initialisation:
    """What the configuration says; where it says nothing, a probe on SqueezeNet's features for photographs.

    Args:
        config: what a person asked for.
        photographs: the network sees more than 64 pixels a side.
        custom: the network is a custom model, for which nobody else has weights.

    Raises:
        UserError: for trained weights of a custom model, for other weights than those that the
            configuration names, and for a linear probe with boxes cut out of images.
    """
    transfer, name = config.transfer, config.model.name
    asked = _asks_for_weights(transfer)
    if custom and asked:
        raise UserError(
            "trained weights were asked for with a network of one's own; take one of `convscope summary`"
        )
    if not asked and not (photographs and _leaves_all_open(config, custom)):
        return Initialisation()
    # An empty reference is a mistake, and not none.
    reference = (name or DEFAULT) if transfer.pretrained is None else transfer.pretrained
    mode = transfer.mode or "probe"
    _check_settings(config, mode)
    weights = open_pretrained(reference, model=name)
    _check_fingerprint(weights, transfer.weights_fingerprint)
    return _from_weights(weights, mode, reference)


def _asks_for_weights(transfer: TransferConfig) -> bool:
    return transfer.pretrained is not None or transfer.mode in ("probe", "finetune")


def _leaves_all_open(config: RunConfig, custom: bool) -> bool:
    # A network that is named is trained from nothing, unless weights are asked for.
    return not custom and config.model.name is None and config.transfer.mode is None


def _from_weights(weights: Pretrained, mode: Mode, reference: str) -> Initialisation:
    return Initialisation(
        mode=mode,
        reference=canonical_reference(reference),
        network=weights.name,
        options=weights.options,
        size=weights.size,
        statistics=weights.statistics,
        fingerprint=None if mode == "scratch" else weights.fingerprint(),
        origin=weights.origin,
        weights=weights,
    )


def _check_settings(config: RunConfig, mode: Mode) -> None:
    # Another width or depth has other tensors.
    if config.model.options:
        raise UserError(
            "model.options were given with trained weights, which fit no other form; leave one of them out"
        )
    if mode == "probe" and config.augment.mix in ("cutmix", "both"):
        raise UserError(
            f"augment.mix is {config.augment.mix}, and a head learns from features, which have no positions "
            "to cut out; mixup works on them, or train everything: --mode finetune"
        )


def _check_fingerprint(weights: Pretrained, expected: str | None) -> None:
    if expected is not None and weights.fingerprint() != expected:
        raise UserError(
            f"{weights.origin} holds weights {weights.fingerprint()}, and transfer.weights_fingerprint is "
            f"{expected}; give back those, or leave the fingerprint out"
        )


def rate_scales(network: Network, decay: float) -> Callable[[str], float]:
    """What a parameter's learning rate is multiplied by: 1 in the head, and `decay` for each stage below.

    Early stages see edges and colours, which are the same everywhere; late ones see what they were trained
    for (Howard & Ruder 2018, arXiv 1801.06146, section 3.2).

    Args:
        network: with its stages in order.
        decay: above 0, at most 1; the factor of a stage is that of the next one times this.

    Returns:
        A function from the name of a parameter to its factor.

    >>> from convscope.models.pytorch.zoo import create
    >>> scale = rate_scales(create("small_cnn"), 0.5)
    >>> scale("head.1.weight"), scale("body.stage2.0.weight"), scale("body.stage1.0.weight")
    (1.0, 0.5, 0.25)
    """
    scales = {stage: decay**depth for depth, stage in enumerate(reversed(network.stages), 1)}

    def scale_of(name: str) -> float:
        part, _, rest = name.partition(".")
        # Auxiliary heads are new, as the head is.
        return scales[rest.partition(".")[0]] if part == "body" else 1.0

    return scale_of


def prepare_to_tune(network: Network, settings: TransferConfig, epoch: int) -> None:
    """Training mode for an epoch of fine-tuning: stages are unfrozen one by one, and norms keep their count.

    With `unfreeze_every` t, the head is trained from the first epoch, the last stage from epoch t, the one
    before it from 2t, … (gradual unfreezing, Howard & Ruder 2018).

    Args:
        network: its modes and `requires_grad` are set.
        settings: unfreeze_every and freeze_norms.
        epoch: counted from 0.
    """
    network.train()
    for depth, stage in enumerate(reversed(network.stages.values()), 1):
        unfrozen = epoch >= settings.unfreeze_every * depth
        stage.requires_grad_(unfrozen)  # a function of the epoch alone: a resumed run sets the same
        for layer in stage.modules():
            # A batch norm that goes on counting would follow 32 images at a time.
            if isinstance(layer, nn.modules.batchnorm._BatchNorm) and (settings.freeze_norms or not unfrozen):
                layer.eval()
