from __future__ import annotations

import numpy as np
import pytest
import torch

from convscope.core.errors import ShapeError
from convscope.data.preparing.preprocess import Preprocess
from convscope.data.pytorch.normalise import normalise
from convscope.data.pytorch.tensors import network_input, to_nchw


def images(n=3, channels=3):
    return np.random.default_rng(0).integers(0, 256, (n, 5, 4, channels), np.uint8)


@pytest.mark.parametrize("channels", [1, 3])
def test_axes_change_places_and_memory_does_not(channels):
    array = images(channels=channels)
    tensor = to_nchw(array)
    assert tensor.shape == (3, channels, 5, 4) and tensor.dtype == torch.uint8
    assert tensor.is_contiguous(memory_format=torch.channels_last) and tensor.data_ptr() == array.ctypes.data
    assert np.array_equal(tensor.numpy(), array.transpose(0, 3, 1, 2))


def test_read_only_and_scattered_memory_is_copied(tmp_path):
    np.save(tmp_path / "images.npy", images(6))
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r")
    for array in (mapped, images(6)[::2], images(6)[:, :, ::-1]):
        tensor = to_nchw(array)  # a warning of torch would be an error here
        assert np.array_equal(tensor.numpy(), array.transpose(0, 3, 1, 2))
        tensor.zero_()
    assert np.array_equal(mapped, images(6))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_the_input_is_normalised_as_the_preprocessing_says(dtype):
    preprocess = Preprocess(3, 5, 4, mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6))
    x = network_input(images(), preprocess, dtype=dtype)
    assert x.dtype == dtype and x.shape == (3, 3, 5, 4)
    expected = normalise(
        torch.from_numpy(images()).permute(0, 3, 1, 2), preprocess.mean, preprocess.std, dtype=dtype
    )
    assert torch.equal(x, expected)
    if dtype == torch.float32:
        np.testing.assert_allclose(x.numpy(), preprocess.normalise(images()), rtol=1e-5, atol=1e-6)


def test_images_of_another_number_of_channels():
    with pytest.raises(ShapeError, match="1 means"):
        network_input(images(), Preprocess(1, 5, 4))
