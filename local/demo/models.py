"""Makes the models of the local deployments: `python -m local.demo.models`, a part of the set-up.

They are not kept in version control: a pickled model belongs to the library that wrote it.
"""

from pathlib import Path
from typing import Any

import joblib
import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.svm import SVC

from local.demo import data

DEPLOYMENTS = Path(__file__).parent.parent / "deployments"


def make() -> None:
    """Train each model on its part of the data and put it beside its deployment."""
    _make("digits", SVC(gamma=0.001), data.digits())
    _make("cancer", RandomForestClassifier(n_estimators=50, random_state=0), data.cancer())


def _make(endpoint: str, model: Any, cut: data.Cut) -> None:
    file = DEPLOYMENTS / endpoint / "model" / "model.joblib"
    file.parent.mkdir(exist_ok=True)
    joblib.dump(model.fit(np.asarray(cut.learned), cut.learned_labels), file)


if __name__ == "__main__":
    make()
