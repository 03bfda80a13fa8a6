"""Reads the four classic MNIST files from a folder, local or in a bucket."""

from __future__ import annotations

import gzip

import fsspec
import numpy as np


def load_mnist(folder: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Training images and labels, test images and labels; an image is 784 raw pixels from 0 to 255."""
    return (
        _read(folder, "train-images-idx3-ubyte.gz", header=16).reshape(-1, 784),
        _read(folder, "train-labels-idx1-ubyte.gz", header=8),
        _read(folder, "t10k-images-idx3-ubyte.gz", header=16).reshape(-1, 784),
        _read(folder, "t10k-labels-idx1-ubyte.gz", header=8),
    )


def _read(folder: str, name: str, *, header: int) -> np.ndarray:
    with fsspec.open(f"{folder.rstrip('/')}/{name}", "rb") as file:
        content = gzip.decompress(file.read())
    return np.frombuffer(content, dtype=np.uint8, offset=header)
