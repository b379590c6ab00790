"""Trains the models of the local deployments and writes sample files; part of the set-up.

The models are not in version control: a pickled model fits one version of its library only.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.svm import SVC

from local.demo import data
from local.deploy import DEPLOYMENTS

SAMPLES = Path(__file__).parent.parent / "samples"


def prepare() -> None:
    """Train each model on its training rows, and write some of the other rows into files."""
    _train("digits", SVC(gamma=0.001), data.digits())
    _train("cancer", RandomForestClassifier(n_estimators=50, random_state=0), data.cancer())
    _write(SAMPLES / "cancer", data.cancer_tables(10))
    _write(SAMPLES / "digits", data.digit_images(0, 25))
    (SAMPLES / "mine.done").touch()


def _train(endpoint: str, model: Any, split: data.Split) -> None:
    file = DEPLOYMENTS / endpoint / "model" / "model.joblib"
    file.parent.mkdir(exist_ok=True)
    joblib.dump(model.fit(np.asarray(split.train), split.train_labels), file)


def _write(folder: Path, files: Iterable[data.File]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for file in files:
        (folder / file.name).write_bytes(file.content)


if __name__ == "__main__":
    prepare()
