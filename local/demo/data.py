"""Two data sets of scikit-learn, each split into rows to train on and rows to drop as files."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image
from sklearn import datasets

_BRIGHTEST = 16  # of a digit's pixels
_DIGITS_DROPPED = 50
_ROWS_DROPPED = 240


@dataclass(frozen=True, kw_only=True)
class Split:
    """A data set: rows to train a model on, and rows to drop, each with their labels."""

    train: Any
    train_labels: Any
    dropped: Any
    dropped_labels: Any


@dataclass(frozen=True, kw_only=True)
class File:
    """A file to drop, and the labels of its rows in order."""

    name: str
    content: bytes
    labels: list[int]


def digits() -> Split:
    """Return handwritten digits of 64 pixels each."""
    return _split(datasets.load_digits(), _DIGITS_DROPPED)


def cancer() -> Split:
    """Return measurements of tumours, as a table with named columns."""
    return _split(datasets.load_breast_cancer(as_frame=True), _ROWS_DROPPED)


def digit_images(first: int, count: int) -> Iterator[File]:
    """Yield digits that are not trained on, as PNG files."""
    split = digits()
    for number in range(first, first + count):
        pixels = np.rint(split.dropped[number].reshape(8, 8) / _BRIGHTEST * 255).astype(np.uint8)
        image = io.BytesIO()
        Image.fromarray(pixels).save(image, "png")
        label = int(split.dropped_labels[number])
        yield File(name=f"digit-{number:03}.png", content=image.getvalue(), labels=[label])


def cancer_tables(count: int) -> Iterator[File]:
    """Yield the rows that are not trained on, as `count` CSV files."""
    split = cancer()
    for number, rows in enumerate(np.array_split(np.arange(_ROWS_DROPPED), count), start=1):
        table: pd.DataFrame = split.dropped.iloc[rows]
        labels = [int(label) for label in split.dropped_labels.iloc[rows]]
        content = table.to_csv(index=False).encode()
        yield File(name=f"ward-{number:02}.csv", content=content, labels=labels)


def _split(data: Any, dropped: int) -> Split:
    return Split(
        train=data.data[:-dropped],
        train_labels=data.target[:-dropped],
        dropped=data.data[-dropped:],
        dropped_labels=data.target[-dropped:],
    )
