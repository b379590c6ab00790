"""How a command may fail, and with which exit code."""

from enum import IntEnum
from typing import Any

from scoring.errors import LandfallError, Unavailable


class Exit(IntEnum):
    """What the exit code of a command says."""

    DONE = 0
    USAGE = 2
    """The command, or a file that it was given, cannot be used; nothing was changed."""
    REFUSED = 3
    """A service, or the state of things, does not allow it."""
    JOB_FAILED = 4
    """The batch job has not completed."""
    UNAVAILABLE = 5
    """A service did not answer, or not usably. Trying again later may help."""
    INTERRUPTED = 130


class Failure(Exception):
    """A command's end that is not what was asked for; the message is one clear sentence."""

    exit_code = Exit.REFUSED

    def __init__(self, message: str, **details: Any) -> None:
        super().__init__(message)
        self.details = details  # for programs: what `--output json` shows beside the message


class UsageError(Failure):
    """The command line, or a file that it names, cannot be used."""

    exit_code = Exit.USAGE


class Refused(Failure):
    """A service refused, or the state of things does not allow it."""


class Interrupted(Failure):
    """Ctrl-C. What is half done is found by the next run, unless the message says otherwise."""

    exit_code = Exit.INTERRUPTED

    def __init__(
        self,
        message: str = "interrupted; the same command goes on where this one stopped",
        **details: Any,
    ) -> None:
        super().__init__(message, **details)


class JobFailed(Failure):
    """A batch job that was waited for has not completed."""

    exit_code = Exit.JOB_FAILED


def as_failure(error: LandfallError) -> Failure:
    """Return an error of the product as a command's end."""
    if "DefaultAzureCredential failed" in str(error):
        return Failure(f"nobody is signed in here: `az login` signs you in ({error})")
    failure = Failure(str(error))
    if isinstance(error, Unavailable):
        failure.exit_code = Exit.UNAVAILABLE
    return failure
