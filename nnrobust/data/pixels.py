"""One image file as uint8 pixels: which formats and modes are read, what is scaled, and what is refused by name."""

import io
import warnings
from collections import Counter

import numpy as np
from PIL import Image, UnidentifiedImageError

from nnrobust.errors import DataError

FORMATS = ("PNG", "JPEG", "BMP", "WEBP")
"""The formats that are read. Pillow knows more, some of which start other programs (EPS) or hold many images."""
MOST_PIXELS = 2**20
"""Pixels that an image may have: 1NN and networks here are for small ones."""
_ORIENTATION = 0x0112
SCALED, TURNED = "images scaled from 16 to 8 bits", "images with an EXIF orientation, which is not applied"
SAID = "images that Pillow warns of"
"""What is told of images that are read."""


def decode(where: str, content: bytes, told: Counter[str]) -> np.ndarray:
    """The image as uint8 (channels, height, width), grey or RGB; what is to be told of it is counted in `told`.

    Modes: 1, L and 16-bit grey become grey, RGB and palettes RGB. 16 bits are scaled to 8. An alpha channel that is opaque
    throughout is left out.

    Raises:
        DataError: naming `where`: no whole image of a known format, several frames, too many pixels, transparency, another mode.
    """
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            with Image.open(io.BytesIO(content), formats=FORMATS) as image:
                _check_size(where, image)
                if image.format == "PNG":
                    image.verify()  # the checksums of all parts, and that the last one is there
            with Image.open(io.BytesIO(content), formats=FORMATS) as image:
                image.load()
                pixels = _pixels(where, image)
                told[TURNED] += {"exif", "xmp"} & set(image.info) != set() and image.getexif().get(_ORIENTATION, 1) != 1
    except DataError:
        raise
    except Exception as error:  # of many kinds, for files that are made up
        is_foreign = isinstance(error, UnidentifiedImageError)
        cause = "no image of these formats" if is_foreign else " ".join(str(error).split()) or type(error).__name__
        raise DataError(
            f"{where}: expected a whole PNG or JPEG image, or BMP or WebP, got one that Pillow cannot read: {cause[:200]}; "
            "replace it"
        ) from error
    told[SAID] += len(caught) > 0
    told[SCALED] += image.mode.startswith("I") or (image.format == "PNG" and content[24:25] == b"\x10")
    return pixels[None] if pixels.ndim == 2 else np.ascontiguousarray(pixels.transpose(2, 0, 1))


def _check_size(where: str, image: Image.Image) -> None:
    width, height = image.size
    if width * height > MOST_PIXELS:
        raise DataError(f"{where}: expected at most {MOST_PIXELS:,} pixels, got {height}x{width}; make it smaller")
    if (n_frames := getattr(image, "n_frames", 1)) > 1:
        raise DataError(f"{where}: expected one image, got an animation of {n_frames}; keep one frame")


def _pixels(where: str, image: Image.Image) -> np.ndarray:
    """Pixels (height, width) or (height, width, 3) in uint8."""
    if image.mode in ("LA", "RGBA", "PA") or "transparency" in image.info:
        whole = image.convert("RGBA")
        if np.asarray(whole)[..., 3].min() < 255:
            raise DataError(f"{where}: expected opaque pixels, got transparent ones; put the image on a background")
        is_grey = image.mode in ("1", "L", "LA")
        return np.asarray(image.convert("L" if is_grey else "RGB"))
    if image.mode in ("L", "RGB"):
        return np.asarray(image)
    if image.mode in ("1", "P"):
        return np.asarray(image.convert("L" if image.mode == "1" else "RGB"))
    if image.mode == "I" or image.mode.startswith("I;16"):
        values = np.asarray(image).astype(np.int64)
        if values.min() >= 0 and values.max() <= 65535:
            return np.rint(values / 257).astype(np.uint8)
    raise DataError(
        f"{where}: expected an image of mode 1, L, P, RGB or 16-bit grey, got {image.mode}; convert it to RGB or grey"
    )
