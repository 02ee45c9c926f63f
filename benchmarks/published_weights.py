"""Trained weights from elsewhere, loaded by name: CIFAR-10's ResNet-20 on the exact test set.

    python benchmarks/published_weights.py WEIGHTS.npz CIFAR10

Y. Idelbayev's ResNet-20 (BSD-2) answers 91.73 % in its own code.
"""

from __future__ import annotations

import sys

import record
from convscope.data.preparing.prepared_split import prepare_split
from convscope.data.preparing.preprocess import Preprocess
from convscope.data.source import open_source
from convscope.inference.predict_split import predict_split
from convscope.models.pretrained import IMAGENET_MEAN, IMAGENET_STD
from convscope.models.pytorch.load_weights import load_weights
from convscope.models.pytorch.predictor import TorchPredictor
from convscope.models.pytorch.weight_file import read_tensors
from convscope.models.pytorch.zoo import create, key_maps_of
from convscope.tasks.classification.metrics import top_k_accuracy


def main(weights: str, data: str) -> None:
    network = create("resnet20")
    report = load_weights(network, read_tensors(weights), key_maps_of("resnet20"))
    preprocess = Preprocess(3, 32, 32, "crop", IMAGENET_MEAN, IMAGENET_STD)
    test = open_source(data).open("test")
    split = prepare_split(test, preprocess)
    logits = predict_split(TorchPredictor(network, preprocess, test.classes), split)
    accuracy = top_k_accuracy(logits, split.targets, 1)
    print(f"{accuracy:.2%} of {len(split):,} images; {report}")
    line = {
        "what": "published CIFAR-10 ResNet-20 weights, loaded by name into `resnet20`, exact test set",
        "measured": f"{accuracy:.2%} of {len(split):,} images",
        "reach": "91.7 %",
    }
    record.record(
        "published_weights",
        {"accuracy": accuracy, "images": len(split), "fit": str(report), "headline": [line]},
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
