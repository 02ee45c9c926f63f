from __future__ import annotations

import os
import pickle
import struct
import threading
import warnings
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, ImageOps

from convscope.core.errors import UserError
from convscope.data.preparing import decode as decode_module
from convscope.data.preparing.decode import (
    PIXEL_LIMIT,
    UnreadableImage,
    decode,
    open_image,
    orientation,
    read_bytes,
)

RNG = np.random.default_rng(0)
PICTURE = np.asarray(Image.fromarray(RNG.integers(0, 256, (6, 8, 3), np.uint8)).resize((40, 30)))

MODES = ["1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "LAB", "HSV"]


def saved(image: Image.Image, form: str, **options: object) -> bytes:
    stream = BytesIO()
    image.save(stream, form, **options)
    return stream.getvalue()


def png_header(width: int, height: int) -> bytes:
    """A PNG of a hundred bytes that promises any size."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = zlib.compress(b"\0" * 100)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


@pytest.mark.parametrize("form", ["PNG", "BMP", "TIFF", "PPM", "GIF"])
@pytest.mark.parametrize("channels", [1, 3])
def test_formats_without_loss_give_the_pixels_back(form: str, channels: int) -> None:
    grey = PICTURE[:, :, :1]
    array = decode(saved(Image.fromarray(grey[:, :, 0]), form), channels)
    assert array.dtype == np.uint8
    assert array.flags.writeable
    np.testing.assert_array_equal(array, np.repeat(grey, channels, axis=2))


@pytest.mark.parametrize("form", ["JPEG", "WEBP", "AVIF", "JPEG2000"])
def test_formats_with_loss_come_close(form: str) -> None:
    options = {} if form == "JPEG2000" else {"quality": 95}
    array = decode(saved(Image.fromarray(PICTURE), form, **options))
    assert np.abs(array.astype(int) - PICTURE).mean() < 6


def test_bytes_path_text_and_image_give_the_same(tmp_path: Path) -> None:
    path = tmp_path / "страница 猫.png"
    path.write_bytes(saved(Image.fromarray(PICTURE), "PNG"))
    for given_as in (path, str(path), path.read_bytes(), Image.open(path), Image.fromarray(PICTURE), PICTURE):
        np.testing.assert_array_equal(decode(given_as, 3), PICTURE)


def test_a_pil_image_stays_usable(tmp_path: Path) -> None:
    image = Image.open(BytesIO(saved(Image.fromarray(PICTURE), "JPEG")))
    size = image.size
    decode(image, 3, at_least=(4, 4))
    assert image.size == size
    image.copy()


@pytest.mark.parametrize("turn", range(1, 9))
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_all_eight_orientations_agree_with_pillow(turn: int, form: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = turn
    content = saved(Image.fromarray(PICTURE), form, exif=exif)
    expected = np.asarray(ImageOps.exif_transpose(Image.open(BytesIO(content))).convert("RGB"))
    np.testing.assert_array_equal(decode(content), expected)
    assert expected.shape[:2] == ((40, 30) if turn > 4 else (30, 40))


def test_senseless_orientation_counts_as_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 77
    assert orientation(Image.open(BytesIO(saved(Image.fromarray(PICTURE), "JPEG", exif=exif)))) == 1


def test_damaged_exif_neither_fails_nor_warns() -> None:
    content = saved(Image.fromarray(PICTURE), "JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff\x12\x01")
    assert decode(content).shape == PICTURE.shape


def test_transparency_becomes_white() -> None:
    alpha = np.zeros((4, 4, 4), np.uint8)
    alpha[:2, :, 3] = 255
    alpha[:2, :, 0] = 200
    alpha[2, :, 3] = 128
    expected = np.full((4, 4, 3), 255, np.uint8)
    expected[:2] = (200, 0, 0)
    expected[2] = 127
    for array in (decode(alpha), decode(saved(Image.fromarray(alpha), "PNG"))):
        np.testing.assert_allclose(array.astype(int), expected, atol=1)
    grey = Image.fromarray(alpha).convert("LA")
    assert decode(saved(grey, "PNG"), 1)[3].min() == 255


def test_transparent_palette_and_colour_key_become_white_without_a_warning() -> None:
    palette = Image.new("P", (2, 1))
    palette.putpalette([10, 20, 30, 40, 50, 60])
    palette.putpixel((1, 0), 1)
    for transparency in (0, b"\x00\xff"):
        array = decode(saved(palette, "PNG", transparency=transparency))
        np.testing.assert_array_equal(array[0], [[255, 255, 255], [40, 50, 60]])
    array = decode(saved(palette, "GIF", transparency=0))
    np.testing.assert_array_equal(array[0], [[255, 255, 255], [40, 50, 60]])
    key = decode(saved(Image.fromarray(np.uint8([[[1, 2, 3], [4, 5, 6]]])), "PNG", transparency=(1, 2, 3)))
    np.testing.assert_array_equal(key[0], [[255, 255, 255], [4, 5, 6]])


def in_mode(mode: str) -> Image.Image:
    source = Image.new("RGB", (5, 3), (250, 250, 250))
    if mode == "LAB":
        srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
        return ImageCms.profileToProfile(source, srgb, lab, outputMode="LAB")
    if mode == "PA":
        return Image.new("PA", (5, 3))
    return source.convert({"La": "LA", "RGBa": "RGBA"}.get(mode, mode)).convert(mode)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("channels", [1, 3])
def test_every_mode_of_pillow_is_read(mode: str, channels: int) -> None:
    array = decode(in_mode(mode), channels)
    assert array.shape == (3, 5, channels)
    assert array.min() > 240


def test_cmyk_jpeg() -> None:
    content = saved(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG", quality=95)
    red = decode(content)[4, 4].astype(int)
    assert red[0] > 200
    assert red[1:].max() < 60


def test_sixteen_bits_are_scaled_not_clipped() -> None:
    samples = np.array([[0, 257, 32768, 65535]], np.uint16)
    for content in (saved(Image.fromarray(samples), "PNG"), saved(Image.fromarray(samples), "TIFF")):
        np.testing.assert_array_equal(decode(content, 1)[0, :, 0], [0, 1, 128, 255])
    big_endian = Image.frombytes("I;16B", (4, 1), samples.astype(">u2").tobytes())
    np.testing.assert_array_equal(decode(big_endian, 3)[0, :, 2], [0, 1, 128, 255])
    np.testing.assert_array_equal(
        decode(Image.fromarray(samples.astype(np.int32)), 1)[0, :, 0], [0, 1, 128, 255]
    )


@pytest.mark.parametrize(("samples", "expected"), [([0, 0.5, 1], [0, 128, 255]), ([0, 2, 255], [0, 2, 255])])
def test_floats_are_0_to_1_or_0_to_255(samples: list[float], expected: list[int]) -> None:
    array = decode(saved(Image.fromarray(np.float32([samples])), "TIFF"), 1)
    np.testing.assert_array_equal(array[0, :, 0], expected)


@pytest.mark.parametrize("samples", [[[-1.0, 0]], [[0, 256.0]], [[np.nan, 0]], [[np.inf, 0]]])
def test_other_ranges_are_refused(samples: list[list[float]]) -> None:
    with pytest.raises(UnreadableImage, match=r"0\.\.255"):
        decode(Image.fromarray(np.float32(samples)), 1)
    with pytest.raises(UnreadableImage, match="65535"):
        decode(Image.fromarray(np.int32([[70000]])), 1)


def test_grey_is_luma() -> None:
    np.testing.assert_array_equal(decode(np.uint8([[[255, 0, 0], [0, 255, 0]]]), 1)[0, :, 0], [76, 150])


def test_an_animation_gives_its_first_frame() -> None:
    frames = [Image.new("L", (4, 4), shade) for shade in (10, 200)]
    content = saved(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert decode(content, 1).max() == 10


@pytest.mark.parametrize("size", [(50_000, 50_000), (12_000, 12_000), (2**31 - 1, 1)])
def test_a_bomb_is_refused_by_its_header(size: tuple[int, int]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UnreadableImage, match=r"bomb\.png.*120 million") as caught:
            decode(png_header(*size), name="bomb.png")
    assert caught.value.trouble == "bomb"
    assert caught.value.exit_code == 2


def test_a_large_image_below_the_limit_opens_without_pillows_warning() -> None:
    assert open_image(png_header(10_000, 9_500)).size == (10_000, 9_500)
    assert PIXEL_LIMIT > 10_000 * 9_500


@pytest.mark.parametrize(
    ("content", "trouble", "says"),
    [
        (b"", "empty", "0 bytes"),
        (b"hello, I am a text", "unreadable", "not an image"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", "unreadable", "not an image"),
        (saved(Image.fromarray(PICTURE), "JPEG")[:-200], "truncated", "cut short"),
        (saved(Image.fromarray(PICTURE), "PNG")[:-2000], "truncated", "cut short"),
        (saved(Image.fromarray(PICTURE), "WEBP")[:-100], "unreadable", "damaged|not an image"),
        (saved(Image.fromarray(PICTURE), "JPEG")[:20], "unreadable", "not an image"),
        (saved(Image.fromarray(PICTURE), "GIF")[:200], "unreadable", "cut short|damaged|not an image"),
    ],
)
def test_bad_bytes_are_named_with_a_reason(content: bytes, trouble: str, says: str) -> None:
    with pytest.raises(UnreadableImage, match=says) as caught:
        decode(content, name="cat.jpg")
    assert caught.value.name == "cat.jpg"
    assert caught.value.trouble in (trouble, "truncated")
    assert "\n" not in str(caught.value)


def test_paths_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(UnreadableImage, match="no such file") as caught:
        decode(tmp_path / "gone.png")
    assert caught.value.trouble == "unavailable"
    with pytest.raises(UnreadableImage, match="folder"):
        read_bytes(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission(tmp_path: Path) -> None:
    path = tmp_path / "mine.png"
    path.write_bytes(b"x")
    path.chmod(0)
    with pytest.raises(UnreadableImage, match="permission"):
        decode(path)


def test_a_refusing_system_is_not_a_damaged_file(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Path) -> bytes:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(UnreadableImage, match="Too many open files") as caught:
        decode("a.png")
    assert caught.value.trouble == "unavailable"


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((2, 2), np.float32),
        np.zeros((2, 2, 2), np.uint8),
        np.zeros((1, 2, 2, 3), np.uint8),
        np.zeros((0, 2), np.uint8),
        np.zeros(3, np.int64),
    ],
)
def test_arrays_that_are_no_image(array: np.ndarray) -> None:
    with pytest.raises(UserError, match="allowed: uint8") as caught:
        decode(array)
    assert str(array.shape) in str(caught.value)
    assert str(array.dtype) in str(caught.value)


@pytest.mark.parametrize("channels", [0, 2, 4])
def test_other_numbers_of_channels_are_refused(channels: int) -> None:
    with pytest.raises(UserError, match="allowed: 1"):
        decode(PICTURE, channels)


def test_a_jpeg_is_decoded_smaller_but_never_below_twice_the_size() -> None:
    picture = np.asarray(Image.fromarray(PICTURE).resize((640, 480)))
    content = saved(Image.fromarray(picture), "JPEG", quality=92)
    assert decode(content).shape == (480, 640, 3)
    assert decode(content, at_least=(100, 100)).shape == (240, 320, 3)
    assert decode(content, at_least=(200, 200)).shape == (240 * 2, 320 * 2, 3)
    small = Image.fromarray(decode(content, at_least=(60, 60))).resize((80, 60), Image.Resampling.BILINEAR)
    whole = Image.fromarray(decode(content)).resize((80, 60), Image.Resampling.BILINEAR)
    # Measured 1.3 levels at most on this picture; the bound leaves room for other builds of libjpeg.
    assert np.abs(np.asarray(small).astype(int) - np.asarray(whole)).mean() < 1.5


def test_an_error_survives_pickling() -> None:
    error = pickle.loads(pickle.dumps(UnreadableImage("a", "b", "bomb")))
    assert (error.name, error.reason, error.trouble) == ("a", "b", "bomb")


def test_threads_leave_the_warning_filters_as_they_were() -> None:
    before = list(warnings.filters)
    content = saved(Image.fromarray(PICTURE), "JPEG", exif=Image.Exif())
    threads = [threading.Thread(target=lambda: [decode(content) for _ in range(50)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert warnings.filters == before


def test_formats_are_a_short_list() -> None:
    assert not {"EPS", "WMF", "PSD", "FITS"} & set(decode_module.FORMATS)


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(st.data())
def test_damaged_files_give_an_image_or_a_reason(data: st.DataObject) -> None:
    form = data.draw(st.sampled_from(["JPEG", "PNG", "GIF", "BMP", "WEBP", "PPM"]))
    content = bytearray(saved(Image.fromarray(PICTURE), form))
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    content = content[: data.draw(st.integers(0, len(content)))] if data.draw(st.booleans()) else content
    try:
        array = decode(bytes(content))
    except UnreadableImage as error:
        assert error.reason
    else:
        assert array.ndim == 3
        assert array.dtype == np.uint8
