"""How a command can fail, and its exit code."""

from enum import IntEnum
from typing import Any

from scoring.errors import LandfallError, Unavailable


class Exit(IntEnum):
    """The exit codes of the commands."""

    DONE = 0
    USAGE = 2
    """The command line, or a file that it names, is wrong. Nothing was changed."""
    REFUSED = 3
    """A service refused, or a resource is not in a state that allows it."""
    JOB_FAILED = 4
    """The batch job ended without completing."""
    UNAVAILABLE = 5
    """A service gave no usable answer. Trying again later may help."""
    INTERRUPTED = 130


class Failure(Exception):
    """A command did not do what it was asked for. The message says why, and what to do."""

    exit_code = Exit.REFUSED

    def __init__(self, message: str, **details: Any) -> None:
        super().__init__(message)
        self.details = details  # for programs: what `--output json` shows beside the message


class UsageError(Failure):
    """The command line, or a file that it names, is wrong."""

    exit_code = Exit.USAGE


class Refused(Failure):
    """A service refused, or a resource is not in a state that allows it."""


class Interrupted(Failure):
    """Ctrl-C. The next run continues where this one stopped, unless the message says otherwise."""

    exit_code = Exit.INTERRUPTED

    def __init__(
        self,
        message: str = "interrupted; run the same command again to continue",
        **details: Any,
    ) -> None:
        super().__init__(message, **details)


class JobFailed(Failure):
    """A batch job ended without completing."""

    exit_code = Exit.JOB_FAILED


def as_failure(error: LandfallError) -> Failure:
    """Return an error of the product as the failure of a command."""
    if "DefaultAzureCredential failed" in str(error):
        return Failure(f"you are not signed in: run `az login` ({error})")
    failure = Failure(str(error))
    if isinstance(error, Unavailable):
        failure.exit_code = Exit.UNAVAILABLE
    return failure
