"""Two data sets that scikit-learn ships, each cut into what models learn from and what is dropped."""

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
class Cut:
    """A data set: rows to learn from, and rows to drop with their labels."""

    learned: Any
    learned_labels: Any
    dropped: Any
    dropped_labels: Any


@dataclass(frozen=True, kw_only=True)
class File:
    """A file to drop, and what its predictions should say, in their order."""

    name: str
    content: bytes
    labels: list[int]


def digits() -> Cut:
    """Return handwritten digits: 64 pixels each."""
    return _cut(datasets.load_digits(), _DIGITS_DROPPED)


def cancer() -> Cut:
    """Return the measurements of tumours, as a table with named columns."""
    return _cut(datasets.load_breast_cancer(as_frame=True), _ROWS_DROPPED)


def digit_images(first: int, count: int) -> Iterator[File]:
    """Yield digits that no model has seen as PNG files."""
    cut = digits()
    for number in range(first, first + count):
        pixels = np.rint(cut.dropped[number].reshape(8, 8) / _BRIGHTEST * 255).astype(np.uint8)
        image = io.BytesIO()
        Image.fromarray(pixels).save(image, "png")
        label = int(cut.dropped_labels[number])
        yield File(name=f"digit-{number:03}.png", content=image.getvalue(), labels=[label])


def cancer_tables(count: int) -> Iterator[File]:
    """Yield the rows that no model has seen as so many CSV files."""
    cut = cancer()
    for number, rows in enumerate(np.array_split(np.arange(_ROWS_DROPPED), count), start=1):
        table: pd.DataFrame = cut.dropped.iloc[rows]
        labels = [int(label) for label in cut.dropped_labels.iloc[rows]]
        content = table.to_csv(index=False).encode()
        yield File(name=f"ward-{number:02}.csv", content=content, labels=labels)


def _cut(data: Any, dropped: int) -> Cut:
    return Cut(
        learned=data.data[:-dropped],
        learned_labels=data.target[:-dropped],
        dropped=data.data[-dropped:],
        dropped_labels=data.target[-dropped:],
    )
