"""Real scoring scripts and real blobs: the input of a script, its results, its errors."""

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from local.run_folder import RunFolder
from local.storage import Storage
from tests.local.site import Site, opened, pids_in


@pytest.fixture
async def site(folder: RunFolder, storage: Storage, tmp_path: Path) -> AsyncIterator[Site]:
    async with opened(folder, storage, tmp_path) as made:
        yield made


def script(run: str, *, init: str = "pass", top: str = "") -> str:
    return f"import os, pathlib, sys, time\n{top}\ndef init(): {init}\ndef run(mini_batch): {run}\n"


async def with_files(site: Site, count: int) -> None:
    await site.put(**{f"in/{number}": str(number) for number in range(count)})


def log_of(folder: RunFolder, name: str) -> str:
    return (folder.path / "jobs" / f"{name}.log").read_text()


# --- results ------------------------------------------------------------------------------------


async def test_items_of_a_list_are_lines_of_the_output(site: Site) -> None:
    await with_files(site, 3)
    endpoint = site.deploy(script("return [(f[-1], 1.5) for f in mini_batch]"), mini_batch_size=2)
    assert (await site.run(endpoint)).status == "Completed"
    assert await site.get("out.csv") == "('0', 1.5)\n('1', 1.5)\n('2', 1.5)\n"


async def test_rows_of_a_data_frame_are_lines_with_columns_separated_by_blanks(site: Site) -> None:
    """There is no header and no index, and a value with a blank is in quotes."""
    await site.put(**{"in/a": "1 2", "in/b": "3", "in/c": "4", "in/d": "5"})
    job = await site.run("table-endpoint")
    assert (job.status, job.message) == ("Completed", "")
    rows = [("a", 3), ("a", 6), ("b", 9), ("c", 12), ("d", 15)]
    assert await site.get("out.csv") == "".join(f'"a row" {file} {n}\n' for file, n in rows)


async def test_pandas_is_not_imported_for_a_script_that_does_not_use_it(site: Site) -> None:
    await with_files(site, 1)
    endpoint = site.deploy(script("return ['pandas' in sys.modules]"))
    await site.run(endpoint)
    assert await site.get("out.csv") == "False\n"


async def test_with_summary_only_the_script_writes_the_output(site: Site) -> None:
    """Other files in its output folder are uploaded to the folder of the output."""
    run = (
        "out = pathlib.Path(os.environ['AZUREML_BI_OUTPUT_PATH']); (out / 'deep').mkdir();"
        " (out / 'deep' / 'er.txt').write_text('e'); (out / 'out.csv').write_text('o');"
        " return mini_batch"
    )
    await with_files(site, 1)
    assert (await site.run(site.deploy(script(run), output_action="summary_only"))).status == (
        "Completed"
    )
    assert [await site.get(path) for path in ("out.csv", "deep/er.txt")] == ["o", "e"]


async def test_a_summary_only_script_that_writes_nothing_has_no_output(site: Site) -> None:
    await with_files(site, 1)
    endpoint = site.deploy(script("return mini_batch"), output_action="summary_only")
    assert (await site.run(endpoint)).status == "Completed"
    assert await site.get("out.csv") is None


async def test_an_output_that_exists_fails_the_job(site: Site) -> None:
    await with_files(site, 1)
    await site.put(**{"out.csv": "theirs"})
    job = await site.run("rows")
    assert job.status == "Failed"
    assert job.message.endswith("/out.csv exists already")
    assert await site.get("out.csv") == "theirs"


async def test_an_output_that_appears_during_the_run_is_not_overwritten(
    site: Site, tmp_path: Path
) -> None:
    """The script waits until the test has written it."""
    there, go = tmp_path / "there", tmp_path / "go"
    init = f"""
    pathlib.Path({str(there)!r}).write_text(str(os.getpid()))
    while not pathlib.Path({str(go)!r}).exists(): time.sleep(0.01)"""
    await with_files(site, 1)
    name = await site.invoke(site.deploy(script("return mini_batch", init=init)))
    await pids_in(there)
    await site.put(**{"out.csv": "theirs"})
    go.touch()
    assert (await site.end(name)).message.endswith("/out.csv exists already")
    assert await site.get("out.csv") == "theirs"


# --- input --------------------------------------------------------------------------------------


async def test_files_come_in_mini_batches_and_subfolders_are_ignored(site: Site) -> None:
    await with_files(site, 5)
    await site.put(**{"in/deep/er": "no", "in/_done": "", "inside": "no"})
    endpoint = site.deploy(
        script("return [' '.join(os.path.basename(f) for f in mini_batch)] * len(mini_batch)"),
        mini_batch_size=4,
    )
    await site.run(endpoint, "in/")
    assert (await site.get("out.csv") or "").splitlines()[::4] == ["0 1 2 3", "4 _done"]


NAMES = [
    "two words.csv",
    "100%.csv",
    "already%20escaped",
    "sharp#s?a=b&c+d",
    "quotes'\"`;,=:@!$*()[]|^~{}<>",
    "ünïcödé 漢字 😀.csv",
    "s" * 255,
]


async def test_files_keep_their_names(site: Site) -> None:
    """A name that is too long for a file system is shortened; it keeps its suffix and stays unique."""
    long = ["😀" * 300 + "1.csv", "😀" * 300 + "2.csv"]
    await site.put(**{f"{'p' * 200}/{'q' * 200}/{name}": "" for name in [*NAMES, *long]})
    endpoint = site.deploy(script("return map_of(mini_batch)", top=AS_JSON), mini_batch_size=100)
    job = await site.run(endpoint, f"{'p' * 200}/{'q' * 200}")
    assert job.message == ""
    found = set(map(json.loads, (await site.get("out.csv") or "").splitlines()))
    cut = found - set(NAMES)
    assert found >= set(NAMES)
    assert len(cut) == 2
    assert all(name.endswith(".csv") and len(name.encode()) <= 255 for name in cut)


AS_JSON = """
import json
def map_of(files): return [json.dumps(os.path.basename(f)) for f in files]
"""


async def test_a_script_runs_in_the_folder_of_its_code_and_imports_from_it(site: Site) -> None:
    await with_files(site, 1)
    endpoint = site.deploy(script("return [words.WORD]", top="import words"))
    code = site.ml.workspace.endpoints[endpoint].deployments["blue"].code
    assert isinstance(code, Path)
    (code / "words.py").write_text("import os\nWORD = os.getcwd()")
    await site.run(endpoint)
    assert await site.get("out.csv") == f"{code}\n"
    assert sorted(path.name for path in code.iterdir()) == ["score.py", "words.py"]


async def test_init_is_called_once_and_what_is_printed_goes_to_a_log(
    site: Site, folder: RunFolder
) -> None:
    await with_files(site, 3)
    endpoint = site.deploy(
        script("print('run', file=sys.stderr); return mini_batch", init="print('init')"),
        mini_batch_size=1,
    )
    job = await site.run(endpoint)
    assert log_of(folder, job.name) == "init\nrun\nrun\nrun\n"


# --- errors -------------------------------------------------------------------------------------

FAILS_FIRST = "global tries; tries += 1; assert tries > {}, f'try {{tries}}'; return mini_batch"


@pytest.mark.parametrize(
    ("failures", "status", "message"),
    [(2, "Completed", ""), (3, "Failed", "AssertionError: try 3")],
)
async def test_a_mini_batch_is_retried(
    failures: int, status: str, message: str, site: Site, folder: RunFolder
) -> None:
    await with_files(site, 1)
    job = await site.run(
        site.deploy(script(FAILS_FIRST.format(failures), top="tries = 0"), max_retries=2)
    )
    assert (job.status, job.message) == (status, message)
    assert log_of(folder, job.name).count("Traceback") == min(failures, 3)
    if message:
        error = (await site.shown(job.endpoint, job.name))["error"]["error"]
        assert error["message"] == message


ODD_FAIL = "return [f for f in mini_batch if int(f[-1]) % 2 == 0]"


@pytest.mark.parametrize(
    ("threshold", "status"), [(2, "Completed"), (1, "Failed"), (-1, "Completed")]
)
async def test_files_without_a_result_count_against_the_error_threshold(
    threshold: int, status: str, site: Site
) -> None:
    """Two of five files have none."""
    await with_files(site, 5)
    job = await site.run(
        site.deploy(script(ODD_FAIL), error_threshold=threshold, mini_batch_size=2)
    )
    assert job.status == status
    assert ("more than the error threshold" in job.message) is (status == "Failed")


async def test_every_file_of_a_mini_batch_that_raises_has_failed(site: Site) -> None:
    await with_files(site, 4)
    run = "assert '0' not in mini_batch[0][-1]; return mini_batch"
    endpoint = site.deploy(script(run), error_threshold=1, mini_batch_size=2)
    assert (await site.run(endpoint)).message == "AssertionError"
    lenient = site.deploy(script(run), error_threshold=2, mini_batch_size=2)
    assert (await site.run(lenient)).status == "Completed"
    assert len((await site.get("out.csv") or "").splitlines()) == 2


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (script("return None"), "TypeError: run() must return a list"),
        (script("time.sleep(60)"), "TimeoutError: run() took longer than its timeout of 0.1 s"),
        (script("pass", init="1 / 0"), "ZeroDivisionError: division by zero"),
        (script("pass", init="sys.exit('enough')"), "SystemExit: enough"),
        (script("os._exit(7)"), "the scoring process ended with exit code 7"),
        ("def init(): pass", "score.py has no function run()"),
        ("import nowhere", "ModuleNotFoundError: No module named 'nowhere'"),
        ("def init(:", "SyntaxError"),
    ],
    ids=["none", "timeout", "init", "exit", "crash", "no-run", "import", "syntax"],
)
async def test_the_last_line_of_the_traceback_is_the_error_of_the_job(
    source: str, message: str, site: Site
) -> None:
    await with_files(site, 1)
    endpoint = site.deploy(source, timeout=timedelta(seconds=0.1))
    job = await site.run(endpoint)
    assert job.status == "Failed"
    assert job.message.startswith(message)
    assert await site.get("out.csv") is None


async def test_a_job_may_override_settings(site: Site) -> None:
    """They apply to this job only."""
    await with_files(site, 3)
    endpoint = site.deploy(script("assert len(mini_batch) == 1; return [len(mini_batch)]"))
    settings: dict[str, Any] = {
        "MiniBatchSize": 1,
        "ErrorThreshold": -1,
        "RetrySettings": {"MaxRetries": 2, "Timeout": "PT1M30S"},
        "OutputFileName": "own.csv",
        "OutputData": None,
    }
    job = await site.run(endpoint, **settings)
    assert job.status == "Completed"
    assert job.output_uri.endswith(f"/{job.name}/own.csv")
    assert (job.settings.max_retries, job.settings.timeout.total_seconds()) == (2, 90)
    assert (await site.run(endpoint)).status == "Failed"
