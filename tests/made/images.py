"""Small made images, and files whose bytes are spoilt."""

import numpy as np
from hypothesis import strategies as st

from nnrobust.data.datasets import Split


def split_of(n_per_class: int, n_classes: int, shape: tuple[int, int, int], seed: int) -> Split:
    """Random images whose classes differ in brightness."""
    generator = np.random.default_rng(seed)
    labels = np.repeat(np.arange(n_classes), n_per_class)
    noise = generator.integers(0, 120, (len(labels), *shape))
    images = (noise + (labels * 100 // max(1, n_classes - 1))[:, None, None, None]).astype(np.uint8)
    return Split(images, labels.astype(np.int64), [f"{i}" for i in range(len(labels))])


@st.composite
def spoilt(draw, content: bytes) -> bytes:
    """The content with up to five bytes changed, and perhaps its end cut off."""
    changed = bytearray(content)
    for place in draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=5)):
        changed[place] ^= draw(st.integers(1, 255))
    return bytes(changed[: draw(st.none() | st.integers(1, len(content) - 1))])
