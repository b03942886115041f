"""Which image files are read, and as which pixels."""

import io
import struct
import warnings
import zlib
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from made.images import spoilt
from made.tries import tries
from nnrobust.data.pixels import SCALED, TURNED, decode
from nnrobust.errors import DataError

VALUES = np.random.default_rng(0).integers(0, 256, (6, 5, 4), dtype=np.uint8)


def encoded(image, kind="PNG", **options):
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def decoded(content):
    """The pixels, and what is told of them."""
    told = Counter()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return decode("w", content, told), +told


def test_grey_rgb_and_black_and_white_images_keep_their_values():
    grey, rgb = VALUES[..., 0], VALUES[..., :3]
    assert np.array_equal(decoded(encoded(Image.fromarray(grey)))[0], grey[None])
    assert np.array_equal(decoded(encoded(Image.fromarray(rgb)))[0], rgb.transpose(2, 0, 1))
    assert np.array_equal(decoded(encoded(Image.fromarray(grey > 99)))[0], 255 * (grey > 99)[None].astype(np.uint8))
    assert decoded(encoded(Image.fromarray(rgb)))[1] == Counter()


def test_16_bit_grey_is_scaled_and_told():
    deep = np.arange(30, dtype=np.uint16).reshape(6, 5) * 2259
    pixels, told = decoded(encoded(Image.fromarray(deep)))
    assert np.array_equal(pixels[0], np.rint(deep / 257).astype(np.uint8))
    assert told == Counter({SCALED: 1})


def chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(width, height, depth, color, content):
    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(content)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def test_16_bit_rgb_is_scaled_and_told():
    pixels, told = decoded(png(1, 1, 16, 2, b"\0" + struct.pack(">HHH", 257 * 10, 257 * 100, 65535)))
    assert pixels.ravel().tolist() == [10, 100, 255]
    assert told == Counter({SCALED: 1})


def test_an_opaque_alpha_channel_is_left_out_and_a_transparent_one_refused():
    opaque = VALUES.copy()
    opaque[..., 3] = 255
    assert np.array_equal(decoded(encoded(Image.fromarray(opaque)))[0], opaque[..., :3].transpose(2, 0, 1))
    two = np.dstack([VALUES[..., 0], opaque[..., 3]])
    assert np.array_equal(decoded(encoded(Image.fromarray(two)))[0], two[None, ..., 0])
    palette = Image.fromarray(VALUES[..., 0]).convert("P")
    for image in (Image.fromarray(VALUES), Image.fromarray(VALUES[..., 2:].copy()), palette):
        options = {"transparency": int(np.asarray(palette)[0, 0])} if image.mode == "P" else {}
        with pytest.raises(DataError, match="w: expected opaque pixels, got transparent ones"):
            decoded(encoded(image, **options))


def test_a_palette_becomes_rgb():
    image = Image.fromarray(VALUES[..., :3]).convert("P")
    assert np.array_equal(decoded(encoded(image))[0], np.asarray(image.convert("RGB")).transpose(2, 0, 1))


def test_an_orientation_is_told():
    exif = Image.Exif()
    exif[0x0112] = 6
    for kind in ("JPEG", "PNG", "WEBP"):
        assert decoded(encoded(Image.fromarray(VALUES[..., :3]), kind, exif=exif.tobytes()))[1] == Counter({TURNED: 1})
    exif[0x0112] = 1
    assert not decoded(encoded(Image.fromarray(VALUES[..., :3]), "JPEG", exif=exif.tobytes()))[1]


GREY = Image.fromarray(VALUES[..., 0])
TEXT = PngInfo()
TEXT.add_text("key", "x" * (2 << 20), zip=True)
EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\nshowpage\n%%EOF\n"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "no image of these formats"),
        (b"text", "no image of these formats"),
        (EPS, "no image of these formats"),
        (encoded(GREY, "GIF"), "no image of these formats"),
        (encoded(GREY, "TIFF"), "no image of these formats"),
        (encoded(GREY, "PPM"), "no image of these formats"),
        (encoded(GREY)[:-20], "got one that Pillow cannot read"),
        (encoded(GREY)[:-12], "got one that Pillow cannot read"),
        (encoded(GREY, "JPEG")[:-30], "got one that Pillow cannot read"),
        (encoded(GREY, pnginfo=TEXT), "Decompressed data too large"),
        (encoded(Image.new("CMYK", (4, 4)), "JPEG"), "an image of mode 1, L, P, RGB or 16-bit grey, got CMYK"),
        (encoded(GREY, save_all=True, append_images=[GREY.rotate(90, expand=False)]), "one image, got an animation of 2"),
        (encoded(Image.new("1", (1025, 1024))), "at most 1,048,576 pixels, got 1024x1025"),
        (encoded(Image.new("1", (13500, 13500))), "could be decompression bomb"),
        (png(2**31 - 1, 2**31 - 1, 8, 0, b""), "could be decompression bomb"),
        (png(0, 0, 8, 0, b""), "no image of these formats"),
        (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", b"abc"), "Truncated IHDR chunk"),
    ],
)  # fmt: skip
def test_other_files_are_refused_and_named(content, expected):
    with pytest.raises(DataError, match=f"^w: expected .*{expected}|^w: expected {expected}"):
        decoded(content)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "WEBP"])
def test_spoilt_images_are_decoded_or_refused_with_their_name(kind):
    content = encoded(Image.fromarray(VALUES[..., :3]), kind)
    plain = decoded(content)[0]

    @tries(200)
    @given(spoilt(content))
    def check(changed):
        try:
            is_equal = np.array_equal(decoded(changed)[0], plain)
        except DataError as error:
            assert str(error).startswith("w: expected")
        else:
            assert is_equal or kind != "PNG"  # the only one with checksums; the others need the archive's sha256

    check()
