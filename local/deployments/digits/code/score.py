"""Reads handwritten digits: images in, one row `<file> <digit>` for each out."""

import os
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from PIL import Image

_BRIGHTEST = 16  # the model was trained on pixels from 0 to this
_loaded: dict[str, Any] = {}


def init() -> None:
    """Load the model, once for each worker."""
    _loaded["model"] = joblib.load(Path(os.environ["AZUREML_MODEL_DIR"]) / "model" / "model.joblib")


def run(mini_batch: list[str]) -> list[str]:
    """Return a row for each image."""
    pixels = np.array([_pixels(Path(file)) for file in mini_batch])
    predicted = _loaded["model"].predict(pixels)
    return [f"{Path(file).name} {digit}" for file, digit in zip(mini_batch, predicted, strict=True)]


def _pixels(file: Path) -> Any:
    with Image.open(file) as image:
        return np.asarray(image.convert("L"), dtype=float).ravel() / 255 * _BRIGHTEST
