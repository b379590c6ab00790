"""The worker's own traps: each invocation is answered, and no secret is logged with a failure."""

import asyncio
import gc
import traceback
import weakref
from collections.abc import Callable

import pytest

from scoring.azure.invocation import answers_always
from scoring.errors import SetupError


@pytest.mark.parametrize("leaving", [asyncio.CancelledError, SystemExit])
async def test_what_the_host_would_never_answer_becomes_an_ordinary_error(
    leaving: type[BaseException],
) -> None:
    @answers_always
    async def function() -> None:
        raise leaving

    with pytest.raises(RuntimeError, match="function was ended by"):
        await function()


async def test_a_cancelled_invocation_is_answered() -> None:
    started = asyncio.Event()

    @answers_always
    async def function() -> None:
        started.set()
        await asyncio.get_running_loop().create_future()

    invocation = asyncio.ensure_future(function())
    await started.wait()
    invocation.cancel()
    with pytest.raises(RuntimeError):
        await invocation


async def test_an_invocation_that_nobody_holds_is_not_collected() -> None:
    """The worker keeps no strong reference to the task, and a future that only the task awaits
    makes a cycle that the garbage collector takes, with everything in it."""
    futures: weakref.WeakSet[asyncio.Future[None]] = weakref.WeakSet()
    started = asyncio.Event()
    finished: list[bool] = []

    @answers_always
    async def function() -> None:
        only_held_here: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        futures.add(only_held_here)
        started.set()
        await only_held_here
        finished.append(True)

    task = weakref.ref(asyncio.ensure_future(function()))
    await started.wait()
    gc.collect()
    for future in futures:
        future.set_result(None)
    alive = task()
    assert alive is not None
    await alive
    assert finished == [True]


async def test_a_function_keeps_its_name_and_parameters_for_the_index() -> None:
    async def on_landing(message: str) -> None:
        """Start."""

    wrapped = answers_always(on_landing)
    assert wrapped.__name__ == "on_landing"
    assert asyncio.iscoroutinefunction(wrapped)
    assert wrapped.__wrapped__ is on_landing  # type: ignore[attr-defined]


# --- what the host logs ---------------------------------------------------------------------------

SECRET = "q7Tt0ken-of_mine"
TEXT = f"GET https://a.blob.core.windows.net/c/b?sv=2024&sig={SECRET}&se=2027 failed"


class Odd(Exception):
    """Its text is not in its arguments."""

    def __str__(self) -> str:
        return TEXT


def _plain() -> None:
    raise ValueError(TEXT)


def _odd() -> None:
    raise Odd


def _caused() -> None:
    try:
        _plain()
    except ValueError as cause:
        raise SetupError("a setting is wrong") from cause


def _in_passing() -> None:
    try:
        _plain()
    except ValueError:
        raise SetupError("a setting is wrong")  # noqa: B904 - the other is its context


def _noted() -> None:
    failure = SetupError("a setting is wrong")
    failure.add_note(TEXT)
    raise failure


def _grouped() -> None:
    raise ExceptionGroup("two", [SetupError("one"), ExceptionGroup("more", [ValueError(TEXT)])])


def _of_the_system() -> None:
    raise FileNotFoundError(2, "No such file", TEXT)


def _missing() -> None:
    raise KeyError(TEXT)


def _ends() -> None:
    raise SystemExit(TEXT)


def shown(failure: BaseException) -> str:
    """Return all that Microsoft's worker, and anything else that walks through it, may log."""
    seen: list[str] = []
    one: BaseException | None = failure
    while one is not None:
        seen += [str(one), repr(one), *traceback.format_exception(one), *getattr(one, "args", ())]
        one = one.__cause__ or one.__context__
    return "\n".join(map(str, seen))


@pytest.mark.parametrize(
    "fail",
    [_plain, _odd, _caused, _in_passing, _noted, _grouped, _of_the_system, _missing, _ends],
)
async def test_what_leaves_a_function_shows_no_secret(fail: Callable[[], None]) -> None:
    """The host logs text and traceback, with those of what caused it."""

    @answers_always
    async def function() -> None:
        fail()

    with pytest.raises(Exception) as left:
        await function()
    told = shown(left.value)
    assert SECRET not in told
    assert "sig=***" in told
    assert fail.__name__ in told, "the traceback still says where"


async def test_what_leaves_a_function_forges_nothing_in_a_log() -> None:
    @answers_always
    async def function() -> None:
        raise SetupError("blob a/c/\x1b[2Jx\u202egnp.csv")

    with pytest.raises(RuntimeError) as raised:
        await function()
    shown = "".join(traceback.format_exception(raised.value))
    assert shown.replace("\n", "").isprintable()
    assert r"a/c/\x1b[2Jx\u202egnp.csv" in shown


async def test_a_failure_without_a_secret_leaves_as_it_is() -> None:
    failure = SetupError("AZUREML_ARM_WORKSPACE_NAME is missing")

    @answers_always
    async def function() -> None:
        raise failure

    with pytest.raises(SetupError) as left:
        await function()
    assert left.value is failure


async def test_a_copy_says_which_failure_it_was() -> None:
    @answers_always
    async def function() -> None:
        raise SetupError(TEXT)

    with pytest.raises(RuntimeError, match=r"^scoring\.errors\.SetupError: GET https://a") as left:
        await function()
    assert left.value.__context__ is None
    assert left.value.__cause__ is None
