from __future__ import annotations

import numpy as np

from convscope.core.contracts import Dataset, EncodedDataset, Predictor
from convscope.data.dataset import ArrayDataset


def test_an_array_is_a_dataset_and_not_an_encoded_one():
    made = ArrayDataset(np.zeros((1, 2, 2, 1), np.uint8), np.array([0]), ("a",))
    assert isinstance(made, Dataset) and not isinstance(made, EncodedDataset)
    assert not isinstance([], Dataset) and not isinstance(made, Predictor)


def test_every_contract_has_at_most_six_members():
    for contract in (Dataset, EncodedDataset, Predictor):
        spoken = [
            name for name in dir(contract) if not name.startswith("_") or name in ("__len__", "__getitem__")
        ]
        assert 1 <= len(spoken) <= 6
