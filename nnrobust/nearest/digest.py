"""What a certificate names its references and labels by."""

import hashlib

import numpy as np


def digest_of(references: np.ndarray, labels: np.ndarray, *others: np.ndarray | None) -> str:
    """The sha256 of references, whatever their byte order in memory, of labels, whatever their type, and of other arrays."""
    classes, codes = np.unique(labels, return_inverse=True)
    found = hashlib.sha256(repr(classes.tolist()).encode())
    for part in (codes.astype("<i8"), references, *others):
        if part is not None:
            part = np.ascontiguousarray(part, dtype=part.dtype.newbyteorder("<"))
            found.update(f"{part.dtype.str}{part.shape}".encode())
            found.update(part.data)
    return found.hexdigest()
