"""What can go wrong, split by what the caller does about it.

    LandfallError
    ├── Unavailable        wait and try again: a service did not answer, or not usably
    ├── UnreadableMessage  give up this message: it cannot be parsed, now or later
    ├── Refused            give up this one thing: a service refuses it permanently
    └── SetupError         an operator must fix settings, routes or roles
        └── Denied         … a role, to be exact

Answers of the batch endpoint are no exceptions but values (`ports.Answer`): each of them
has a next step.
"""


class LandfallError(Exception):
    """Any error that Landfall raises on purpose."""


class Unavailable(LandfallError):
    """A service did not answer, or not usably. Trying again later may help."""


class UnreadableMessage(LandfallError):
    """A queue message holds something that is no storage event."""


class Refused(LandfallError):
    """A service refuses one thing, and always will; `code` is its own code for the reason."""

    def __init__(self, message: str, *, code: str) -> None:
        super().__init__(message)
        self.code = code


class SetupError(LandfallError):
    """Settings, routes or permissions are wrong. The message says which, and what to do."""


class Denied(SetupError):
    """The app's identity may not do this: a role is missing."""
