"""Checks of settings and files, which need no service."""

import json
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

from scoring.azure.clients import Clients
from scoring.cli.landfall.doctor.checks.facts import Facts
from scoring.cli.landfall.doctor.checks.findings import Doubtful, Finding, State, Wrong, finding
from scoring.errors import SetupError
from scoring.routes.route import Route
from scoring.routes.rules import Mistake
from scoring.services import read_routes_file
from scoring.settings import Settings, WrongSettings, read_azure_settings, read_settings


async def settings(facts: Facts) -> AsyncIterator[Finding]:
    """Read the app settings: a finding for each mistake."""
    mistakes: list[str] = []
    try:
        facts.settings = facts.azure = read_settings(facts.environment)
    except WrongSettings as wrong:
        mistakes = wrong.mistakes
    try:
        facts.azure = facts.azure or read_azure_settings(facts.environment)
        facts.made = Clients(facts.azure)
    except WrongSettings:
        pass  # they are among the mistakes
    for mistake in mistakes:
        yield Finding(check="settings", subject="app settings", state="wrong", message=mistake)
    if facts.settings is not None:
        yield await finding("settings", "app settings", _workspace(facts.settings))


async def _workspace(settings: Settings) -> str:
    if settings.pace != 1:
        raise Doubtful(f"LANDFALL_PACE is {settings.pace:g}: this is for tests, not for Azure")
    return f"workspace {settings.workspace} in resource group {settings.resource_group}"


async def host_file(facts: Facts) -> AsyncIterator[Finding]:
    """Read the parts of host.json that Landfall depends on."""
    yield await finding("host.json", facts.host_file.name, _host(facts.host_file))


async def _host(file: Path) -> str:
    _check_host(file)
    return "can be read"


def _check_host(file: Path) -> None:
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
        queues = document["extensions"]["queues"]
        encoding = queues.get("messageEncoding", "base64")
    except OSError as failure:
        raise Wrong(f"{failure.strerror}: put it beside function_app.py") from None
    except (ValueError, KeyError, TypeError, AttributeError) as mistake:
        raise Wrong(f"it has no extensions.queues that can be read: {mistake}") from None
    if encoding != "none":
        raise Wrong(
            f'extensions.queues.messageEncoding is {encoding!r}: set it to "none", or the host'
            " discards messages in another encoding before any function sees them"
        )


async def routes(facts: Facts) -> AsyncIterator[Finding]:
    """Read the routes file: a finding for each route."""
    try:
        facts.routes, mistakes = read_routes_file(facts.routes_file, facts.environment)
    except SetupError as failure:
        yield _finding(facts.routes_file.name, "wrong", str(failure))
        return
    for one in broken(mistakes):
        yield one
    for route in facts.routes:
        yield _finding(route.name, "fine", _summary(route))
    if not facts.routes and not mistakes:
        yield _finding(facts.routes_file.name, "warning", "it has no route: nothing is scored")


def broken(mistakes: Iterable[Mistake]) -> list[Finding]:
    """Return a finding for each mistake in a route."""
    return [_finding(one.route, "wrong", f"{one.field}: {one.problem}") for one in mistakes]


def _summary(route: Route) -> str:
    summary = f"{route.trigger} → {route.endpoint}"
    return summary if route.enabled else f"{summary}; not enabled: files that land wait"


def _finding(subject: str, state: State, message: str) -> Finding:
    return Finding(check="route", subject=subject, state=state, message=message)
