"""The command `delete`."""

import re
from typing import Annotated

from scoring.cli.azureml.deploy.apply import Deployed, Outcome
from scoring.cli.azureml.deploy.command import plain, show
from scoring.cli.azureml.deploy.resources import showing_states
from scoring.cli.failures import Refused, UsageError
from scoring.cli.retrying_http import Conflict
from scoring.cli.session import DEFAULTS, Needs, Options, Session

_TRIES = 3


async def delete(
    endpoint: str,
    /,
    *,
    session: Annotated[Session, Needs],
    yes: bool = False,
    options: Options = DEFAULTS,
) -> None:
    """Delete a batch endpoint with its deployments.

    Models, code, environments, data and computes stay.

    Args:
        endpoint: Its name.
        yes: Do not ask for confirmation.
    """
    deployments = await deployments_of(session, endpoint)
    if not yes:
        names = f"with its deployments {', '.join(deployments)}" if deployments else "(empty)"
        session.console.confirm(f"Delete endpoint {endpoint} {names}?")
    await delete_endpoint(session, endpoint)
    path = session.arm.id(f"batchEndpoints/{endpoint}")
    done = Deployed(
        resources=[
            Outcome(kind="endpoint", name=endpoint, id=path, change="deleted"),
            *(
                Outcome(
                    kind="deployment",
                    name=f"{endpoint}/{one}",
                    id=f"{path}/deployments/{one}",
                    change="deleted",
                )
                for one in deployments
            ),
        ]
    )
    show(session.console, done)
    session.console.result(**plain(done))


async def deployments_of(session: Session, endpoint: str) -> list[str]:
    """Return the names of an endpoint's deployments.

    Raises:
        UsageError: it is not a name of an endpoint.
        Refused: the workspace has no such endpoint.
    """
    if not re.fullmatch(r"[A-Za-z0-9-]+", endpoint):
        raise UsageError(f"{endpoint!r} is not a name of an endpoint")
    path = f"batchEndpoints/{endpoint}"
    await session.arm.existing(path, f"batch endpoint {endpoint}")
    return [str(one["name"]) async for one in session.arm.listed(f"{path}/deployments")]


async def delete_endpoint(session: Session, endpoint: str) -> None:
    """Delete an endpoint, and wait until it is gone.

    If another operation runs on it, wait for that first.
    """
    path = f"batchEndpoints/{endpoint}"
    with showing_states(session, path) as on_state:
        for try_ in range(1, _TRIES + 1):
            try:
                await session.arm.delete(path, on_state)
            except Conflict:  # perhaps with this deletion itself, if its answer was lost
                if try_ == _TRIES:
                    raise
            left = await session.arm.wait_until_done(path, on_state)
            if left is None:
                return
            async for one in session.arm.listed(f"{path}/deployments"):
                await session.arm.wait_until_done(f"{path}/deployments/{one['name']}", on_state)
    raise Refused(f"{path} still exists after {_TRIES} tries")
