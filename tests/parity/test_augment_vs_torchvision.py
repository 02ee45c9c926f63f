"""Every augmentation beside torchvision's functional form of it, image by image.

Where values are only moved or looked up the two must agree exactly. Where they are blended, two correct
programs round differently, so one grey level is allowed; which and why stands at each test.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from convscope.data.pytorch.augmentation import colour, geometry, photometric, warp
from convscope.models.pytorch.torchvision_cpu import import_torchvision

SIZES = [(32, 32), (28, 28), (17, 23), (5, 8), (3, 3), (1, 1), (2, 7)]


@pytest.fixture(scope="module")
def tv():
    import_torchvision()
    from torchvision.transforms import InterpolationMode
    from torchvision.transforms.v2 import functional

    functional.NEAREST, functional.BILINEAR = InterpolationMode.NEAREST, InterpolationMode.BILINEAR
    return functional


@pytest.fixture(params=SIZES, ids=lambda s: f"{s[0]}x{s[1]}")
def size(request):
    return request.param


@pytest.fixture(params=[1, 3], ids=["grey", "colour"])
def x(request, size):
    """Five images: noise, a ramp, a flat one, dull noise, black and white; uint8 N×C×H×W, channels-last."""
    h, w = size
    c = request.param
    rng = np.random.default_rng(h * 100 + w * 10 + c)
    ramp = np.broadcast_to(np.linspace(0, 255, h * w).reshape(h, w, 1), (h, w, c)).astype(np.uint8)
    noise = rng.integers(0, 256, (h, w, c), dtype=np.uint8)
    dull = rng.integers(90, 140, (h, w, c), dtype=np.uint8)
    two = (rng.integers(0, 2, (h, w, c)) * 255).astype(np.uint8)
    images = np.stack([noise, ramp, np.full((h, w, c), 77, np.uint8), dull, two])
    return torch.from_numpy(images).permute(0, 3, 1, 2)


def check(x, ours, theirs, *, levels=0):
    """`ours` is a batch, `theirs` a function of (image C×H×W, its number); at most `levels` grey levels
    apart.
    """
    expected = torch.stack([theirs(image.contiguous(), i) for i, image in enumerate(x)])
    assert ours.dtype == torch.uint8
    assert ours.shape == x.shape
    assert ours.is_contiguous(memory_format=torch.channels_last)
    apart = (ours.int() - expected.int()).abs()
    assert int(apart.max()) <= levels, (
        f"{int(apart.max())} grey levels apart, in image {apart.flatten(1).amax(1).tolist()}"
    )


def test_mirror(tv, x):
    chosen = torch.tensor([True, False, True, True, False])
    check(x, geometry.mirror(x, chosen), lambda im, i: tv.horizontal_flip(im) if chosen[i] else im)
    check(
        x, geometry.mirror(x, chosen, vertical=True), lambda im, i: tv.vertical_flip(im) if chosen[i] else im
    )


@pytest.mark.parametrize("border", ["zero", "reflect"])
def test_shifted_crop(tv, x, border):
    h, w = x.shape[2:]
    pad = min(4, h - 1, w - 1) if border == "reflect" else 4
    rng = np.random.default_rng(0)
    top, left = (torch.from_numpy(rng.integers(0, 2 * pad + 1, len(x))) for _ in range(2))
    mode = "constant" if border == "zero" else "reflect"

    def theirs(im, i):
        return tv.crop(tv.pad(im, [pad] * 4, padding_mode=mode), int(top[i]), int(left[i]), h, w)

    check(x, geometry.shifted_crop(x, top, left, pad=pad, border=border), theirs)


FACTORS = torch.tensor([0.0, 0.3, 1.0, 1.5, 1.99])


def test_brightness(tv, x):
    check(x, photometric.brightness(x, FACTORS), lambda im, i: tv.adjust_brightness(im, float(FACTORS[i])))


def test_contrast_truncates_the_mean_less(tv, x):
    # torchvision truncates the grey picture before it takes the mean: half a level, times |1 − factor|.
    check(
        x, photometric.contrast(x, FACTORS), lambda im, i: tv.adjust_contrast(im, float(FACTORS[i])), levels=1
    )


def test_saturation_truncates_once(tv, x):
    # torchvision truncates the grey picture and again the blend.
    check(
        x,
        photometric.saturation(x, FACTORS),
        lambda im, i: tv.adjust_saturation(im, float(FACTORS[i])),
        levels=1,
    )


def test_sharpness(tv, x):
    # The same blend, summed in another order, then truncated.
    check(
        x,
        photometric.sharpness(x, FACTORS),
        lambda im, i: tv.adjust_sharpness(im, float(FACTORS[i])),
        levels=1,
    )


@pytest.mark.parametrize("part", ["brightness", "contrast", "saturation"])
def test_jitter_one_at_a_time(tv, x, part):
    factors = dict.fromkeys(("brightness", "contrast", "saturation"), torch.ones(len(x))) | {part: FACTORS}
    adjust = getattr(tv, f"adjust_{part}")
    check(x, colour.jitter(x, **factors), lambda im, i: adjust(im, float(FACTORS[i])), levels=1)


def test_jitter_of_a_dull_image_is_the_three_steps_one_after_the_other(tv):
    # In the middle of the range nothing is cut, so cutting once or three times is the same; each step
    # truncates.
    x = torch.randint(100, 130, (4, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    b, c, s = (
        torch.tensor([0.8, 1.2, 1, 0.9]),
        torch.tensor([1.2, 0.8, 0.9, 1]),
        torch.tensor([0.9, 1, 1.2, 0.8]),
    )

    def theirs(im, i):
        im = tv.adjust_contrast(tv.adjust_brightness(im, float(b[i])), float(c[i]))
        return tv.adjust_saturation(im, float(s[i]))

    check(
        x.contiguous(memory_format=torch.channels_last),
        colour.jitter(x, brightness=b, contrast=c, saturation=s),
        theirs,
        levels=3,
    )


def test_hue(tv, x):
    # torchvision scales by 255.999 and truncates, we round.
    turn = torch.tensor([-0.5, -0.1, 0.0, 0.1, 0.5])
    check(x, colour.hue(x, turn), lambda im, i: tv.adjust_hue(im, float(turn[i])), levels=1)


def test_greyscale(tv, x):
    # The same sum in another order; on a truncation boundary it may fall one level down.
    check(
        x,
        colour.greyscale(x),
        lambda im, i: tv.rgb_to_grayscale(im, num_output_channels=im.shape[0]),
        levels=1,
    )


def test_posterize(tv, x):
    bits = torch.tensor([0, 1, 4, 7, 8])
    check(x, photometric.posterize(x, bits), lambda im, i: tv.posterize(im, int(bits[i])))


def test_solarize(tv, x):
    threshold = torch.tensor([0.0, 77.0, 100.5, 254.9, 255.0])
    check(x, photometric.solarize(x, threshold), lambda im, i: tv.solarize(im, float(threshold[i])))


def test_invert(tv, x):
    check(x, photometric.invert(x), lambda im, i: tv.invert(im))


def test_equalize(tv, x):
    check(x, photometric.equalize(x), lambda im, i: tv.equalize(im))


def test_autocontrast(tv, x):
    # torchvision divides by a rounded unit, which turns some 255 into 254.
    check(x, photometric.autocontrast(x), lambda im, i: tv.autocontrast(im), levels=1)


def test_rotate(tv, x):
    degrees = torch.tensor([0.0, 7.0, -30.0, 90.0, 135.0])
    # On a tie between two grey levels the last bit of the coordinates decides.
    check(x, warp.rotate(x, degrees), lambda im, i: tv.rotate(im, float(degrees[i]), tv.BILINEAR), levels=1)


@pytest.mark.parametrize("size", [*SIZES, (64, 64), (71, 90)], indirect=True)
def test_crop_to_full(tv, x):
    h, w = x.shape[2:]
    rng = np.random.default_rng(1)
    height, width = rng.integers(1, h + 1, len(x)), rng.integers(1, w + 1, len(x))
    top, left = rng.integers(0, h - height + 1), rng.integers(0, w - width + 1)
    boxes = [torch.from_numpy(side) for side in (top, left, height, width)]

    def theirs(im, i):
        return tv.resized_crop(im, *(int(side[i]) for side in boxes), size=[h, w], interpolation=tv.BILINEAR)

    # torchvision's uint8 resize works with weights of 8 to 15 bits.
    ours = warp.crop_to_full(x, boxes[0], boxes[1], height=boxes[2], width=boxes[3])
    check(x, ours, theirs, levels=1)


def mostly_equal(x, ours, theirs):
    """Nearest pixels: at a tie between two neighbours the last bit of a coordinate decides, so few may
    differ.
    """
    expected = torch.stack([theirs(image.contiguous(), i) for i, image in enumerate(x)])
    assert (ours == expected).all(1).float().mean() >= 0.97


@pytest.mark.parametrize("size", [(32, 32), (28, 28), (17, 23)], indirect=True)
def test_nearest_rotation(tv, x):
    degrees = torch.tensor([0.0, 7.3, -30.0, 45.5, 131.0])
    mostly_equal(
        x,
        warp.nearest(x, warp.rotations(degrees)),
        lambda im, i: tv.rotate(im, float(degrees[i]), tv.NEAREST),
    )


@pytest.mark.parametrize("size", [(32, 32), (28, 28), (17, 23)], indirect=True)
def test_nearest_shift(tv, x):
    pixels = torch.tensor([0.0, 3.0, -7.0, 1.0, -2.0])

    def theirs(across):
        def move(im, i):
            way = [int(pixels[i]), 0] if across else [0, int(pixels[i])]
            return tv.affine(im, 0.0, way, 1.0, [0.0, 0.0], interpolation=tv.NEAREST)

        return move

    check(x, warp.nearest(x, warp.shifts(pixels, across=True)), theirs(True))
    check(x, warp.nearest(x, warp.shifts(pixels, across=False)), theirs(False))


@pytest.mark.parametrize("size", [(32, 32), (28, 28), (17, 23)], indirect=True)
def test_nearest_shear(tv, x):
    amount = torch.tensor([0.0, 0.13, -0.29, 0.77, -0.99])

    def theirs(across):
        def shear(im, i):
            angle = math.degrees(math.atan(float(amount[i])))
            way = [angle, 0.0] if across else [0.0, angle]
            return tv.affine(im, 0.0, [0, 0], 1.0, way, interpolation=tv.NEAREST, center=[0, 0])

        return shear

    for across in (True, False):
        mostly_equal(x, warp.nearest(x, warp.shears(amount, *x.shape[2:], across=across)), theirs(across))
