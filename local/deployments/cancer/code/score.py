"""Classifies the rows of CSV files: a table in, a row of predictions for each row out."""

import os
from pathlib import Path
from typing import Any

import joblib
import pandas as pd

_loaded: dict[str, Any] = {}


def init() -> None:
    """Load the model, once for each worker."""
    _loaded["model"] = joblib.load(Path(os.environ["AZUREML_MODEL_DIR"]) / "model" / "model.joblib")


def run(mini_batch: list[str]) -> pd.DataFrame:
    """Return file, row and prediction for each row of each file."""
    return pd.concat([_predictions(Path(file)) for file in mini_batch])


def _predictions(file: Path) -> pd.DataFrame:
    table = pd.read_csv(file)
    predicted = _loaded["model"].predict(table.to_numpy())
    return pd.DataFrame({"file": file.name, "row": range(len(table)), "predicted": predicted})
