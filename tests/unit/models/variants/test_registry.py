from __future__ import annotations

import subprocess
import sys

from convscope.models.variants.registry import TABLES, variants


def test_the_list():
    assert list(variants) == [
        "lenet5",
        "lenet5_1998",
        "simple_cnn",
        "small_cnn",
        "deeper_cnn",
        "fashion_cnn",
        "lab_cnn",
        "lab_cnn_bn",
        "resnet20",
        "resnet32",
        "resnet44",
        "resnet56",
        "resnet110",
        "resnet18",
        "resnet34",
        "resnet50",
        "resnet101",
        "resnet152",
        "resnext50_32x4d",
        "wide_resnet50_2",
        "seresnet50",
        "cbam_resnet50",
        "preact_resnet18",
        "wrn_28_10",
        "alexnet",
        "vgg11",
        "vgg13",
        "vgg16",
        "vgg19",
        "vgg11_bn",
        "vgg13_bn",
        "vgg16_bn",
        "vgg19_bn",
        "googlenet",
        "inception_v3",
        "densenet121",
        "densenet161",
        "densenet169",
        "densenet201",
        "squeezenet1_0",
        "squeezenet1_1",
        "mobilenet_v1",
        "mobilenet_v2",
        "mobilenet_v3_large",
        "mobilenet_v3_small",
        "shufflenet_v2_x0_5",
        "shufflenet_v2_x1_0",
        "shufflenet_v2_x1_5",
        "shufflenet_v2_x2_0",
        "efficientnet_b0",
        "efficientnet_v2_s",
        "convnext_tiny",
    ]


def test_each_network_is_of_the_family_whose_table_it_stands_in():
    for family, specs in TABLES.items():
        assert [name for name in variants if variants[name].family == family] == [s.name for s in specs]


def test_the_tables_and_what_is_named_by_them_need_no_framework_and_no_numpy():
    modules = ("variants.registry", "spec_text", "references", "receptive_field", "summary")
    code = (
        "import sys\n"
        + "".join(f"import convscope.models.{name}\n" for name in modules)
        + "print([m for m in ('torch', 'numpy', 'PIL', 'matplotlib', 'rich') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_engines_and_trained_networks_need_no_framework():
    code = (
        "import sys\n"
        "import convscope.models.engine, convscope.models.describe, convscope.models.pretrained\n"
        "print([m for m in ('torch', 'matplotlib', 'rich') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
