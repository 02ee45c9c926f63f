"""The networks that are worth a check each: of those that are built alike one stands for all."""

from __future__ import annotations

from convscope.models.variants.registry import variants

# Those left out differ from one that is here in nothing but how often or how wide a block is.
ALIKE = {
    *("resnet44", "resnet56", "resnet110"),
    *("resnet34", "resnet101", "resnet152", "wide_resnet50_2", "wrn_28_10"),
    *(f"vgg{n}{norm}" for n in (13, 16, 19) for norm in ("", "_bn")),
    *("densenet161", "densenet169", "densenet201"),
    *("shufflenet_v2_x1_0", "shufflenet_v2_x1_5", "shufflenet_v2_x2_0"),
}
DISTINCT = [name for name in variants if name not in ALIKE]
# The first of each family: for what depends on the kind of network and costs seconds.
A_FAMILY = list({variants[name].family: name for name in reversed(DISTINCT)}.values())[::-1]
