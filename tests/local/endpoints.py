"""The endpoints that the local Azure ML of the tests has from the start."""

from datetime import timedelta
from pathlib import Path

from local.azureml.workspace import Deployment, Endpoint, Settings

_CODE = Path(__file__).parent / "deployments"
_DESCRIPTIONS = {"table-endpoint": "Multiplies numbers"}


def endpoints() -> list[Endpoint]:
    """Return `rows`, which outputs the content of its files, and `table-endpoint`, which multiplies."""
    strict = Settings(
        mini_batch_size=2, error_threshold=0, max_retries=1, timeout=timedelta(seconds=5)
    )
    threefold = Settings(
        mini_batch_size=3,
        error_threshold=1,
        max_retries=0,
        timeout=timedelta(seconds=7),
        output_file_name="threefold.csv",
    )
    table = _CODE / "table"
    return [
        _endpoint(
            "rows",
            Deployment(
                name="rows-1", code=_CODE / "rows" / "code", script="score.py", settings=strict
            ),
        ),
        _endpoint(
            "table-endpoint",
            Deployment(
                name="threefold",
                code=table / "code",
                script="score.py",
                model=table / "model",
                settings=threefold,
                environment_variables={"ROW": "a row"},
            ),
            Deployment(
                name="second",
                code=table / "code",
                script="score.py",
                settings=Settings(output_action="summary_only"),
            ),
        ),
    ]


def _endpoint(name: str, *deployments: Deployment) -> Endpoint:
    return Endpoint(
        name=name,
        description=_DESCRIPTIONS.get(name, ""),
        default_deployment=deployments[0].name,
        deployments={one.name: one for one in deployments},
    )
