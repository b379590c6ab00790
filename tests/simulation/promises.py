"""The promises, checked against what the simulated services saw."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from scoring.cli.landfall.ledger.replay import Replayed
from scoring.jobs.batch_job import Answer, ErrorAnswer, JobState, NotSent, Submission
from scoring.jobs.blobs import Blob, folder_digest
from scoring.jobs.job import attempt_tag, digest, job_for
from scoring.jobs.landing import Landing
from scoring.jobs.progress import State
from scoring.jobs.submission import DEFINITE
from scoring.routes.route import Route
from scoring.use_cases.folder_versions import SAME_FILES
from tests.fakes import PLACE
from tests.simulation.azureml import UNFIT
from tests.simulation.faults import HOUR, MINUTE

if TYPE_CHECKING:
    from tests.simulation.azureml import Record
    from tests.simulation.world import World

LISTED_BY = 14 * MINUTE  # of batch jobs that are found
GAP = timedelta(minutes=20)  # of the routes that have one
Version = tuple[str, str]  # path and ETag


class Promises:
    """Collects what may not be."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self.violations: list[str] = []
        self.contents: dict[tuple[float, str], str] = {}
        self._canceled: dict[str, int] = {}  # by job key: the attempt that was under way
        self._owed: dict[str, str] = {}  # job keys that must end, and why
        self.held: dict[str, set[Version]] = {}  # what a folder's version held, by its digest

    def _broken(self, number: int, what: str) -> None:
        self.violations.append(f"promise {number}: {what}")

    # --- while it runs ---------------------------------------------------------------------------

    def taken(self, landing: Landing, routes: Iterable[Route], *, poison: bool) -> None:
        """Note that an event was acknowledged: what it tells of must end for these routes."""
        for route in routes:
            # From poison it may have become stuck, and wait longer than its route is there.
            if not poison:
                self._owe(route, landing, "its event was acknowledged")

    def replayed(self, replayed: Replayed) -> None:
        """Note what a command claimed: it must end."""
        self._owed[replayed.job] = f"{replayed.path} on {replayed.route}: it was replayed"

    def canceled(self, key: str) -> None:
        """Note that a command canceled a job: no other attempt may follow."""
        entry = self._world.ledger.open.get(key)
        self._canceled[key] = entry[1].progress.attempt if entry else 0

    def listed(self, files: list[Blob]) -> None:
        """Note what lies in a folder."""
        self.held[folder_digest(files)] = {(file.path, file.etag) for file in files}

    def batch_job_created(self, record: "Record") -> None:
        """Check what may be created."""
        world, tag = self._world, record.submission.tag
        key, attempt = tag.split("-")[1:]
        if key in self._canceled and int(attempt) > self._canceled[key]:
            self._broken(3, f"{tag} was submitted after an operator had canceled the job")
        if key in world.ledger.done:
            self._broken(2, f"{tag} was submitted after its end")
            return
        if key not in world.ledger.open:
            self._broken(2, f"{tag} was submitted though nobody has claimed it")
            return
        job, opened = world.ledger.open[key]
        if (opened.progress.state, attempt_tag(key, opened.progress.attempt)) != (
            State.SUBMITTING,
            tag,
        ):
            self._broken(2, f"{tag} was submitted, but {opened.progress} stands in the ledger")
        # Where overwriting is ignored, the version that lies there now is what is submitted.
        if job.route.on_overwrite == "score" and job.landing.etag in world.storage.parts:
            self._broken(1, f"{tag} was submitted while its file was being copied")
        route = job.route
        limits = [
            one.limit
            for routes in [world.routes, *(host.services.routes for host in world.hosts)]
            for one in routes
            if one.name == route.name
        ]
        # Once the route is gone, what it said at the claims counts.
        claims = (job.route for job, _ in world.ledger.open.values())
        limits += [one.limit for one in claims if one.name == route.name]
        running = self._running(route.name)
        if None not in limits and len(running) > max(limit or 0 for limit in limits):
            self._broken(6, f"{route.name} has {len(running)} batch jobs: {sorted(running)}")

    def _running(self, route: str) -> set[str]:
        """Return the attempts of a route that run, those that were given up left out."""
        tags = {record.submission.tag for record in self._world.endpoints.unfinished()}
        current = {
            attempt_tag(key, opened.progress.attempt)
            for key, (_, opened) in self._world.ledger.open.items()
            if opened.progress.route == route
            and opened.progress.state is not State.ENDED
            # A folder that is what it was when its job ended is claimed again, and left at once.
            and key not in self._world.ledger.done
        }
        return tags & current

    def declared_lost(self, tag: str) -> None:
        """Check that an attempt is given up only if no listing shows it for a quarter of an hour."""
        for record in self._world.endpoints.records.values():
            lag = record.listed_from - record.created
            path = record.submission.output_uri.partition("/paths/")[2]
            if record.submission.tag == tag and path in self._world.storage.blobs:
                self._broken(2, f"{tag} was declared lost, though its output is there")
            if record.submission.tag == tag and lag <= LISTED_BY:
                self._broken(2, f"{tag} was declared lost, though it is listed after {lag:.0f} s")

    # --- at the end ------------------------------------------------------------------------------

    def check(self) -> None:
        """Check what is there when all is at rest."""
        world = self._world
        for name in ("open", "marks"):
            left = world.ledger.open if name == "open" else world.folders.marks
            if left:
                self._broken(1, f"left in {name}: {list(left.values())}")
        if world.queue.messages:
            self._broken(1, f"left in the queue: {world.queue.messages}")
        self._everything_ended()
        self._for_good_reasons()
        self._nothing_twice()
        self._announced()
        self._outputs()
        self._inputs()
        self._quarantine()
        self._folders()
        self._times()

    def _owe(self, route: Route, landing: Landing, why: str) -> None:
        if route.triggered_by(landing.path) is not None and not route.gathers:
            key = job_for(route, landing, PLACE, "literal").key
            self._owed[key] = f"{landing.path} {landing.etag} on {route.name}: {why}"

    def _everything_ended(self) -> None:
        world = self._world
        for blob in world.storage.blobs.values():
            for route in () if blob.is_directory else world.routes:
                self._owe(route, blob.landing(PLACE, blob.modified), "it lies there")
        for key, why in self._owed.items():
            if key not in world.ledger.done:
                self._broken(1, f"{why}, and has no end")

    def _for_good_reasons(self) -> None:
        """Check that nothing was given up that somebody was about to fix, fill or find."""
        records = self._world.endpoints.records
        for data in self._ends():
            code, message = (
                (data["reason"] or {}).get("code"),
                (data["reason"] or {}).get("message", ""),
            )
            if code == "refused" and UNFIT in message and not self._world.endpoints.not_told:
                self._broken(1, f"{data} failed, though its endpoint was deployed again")
            record = records.get(data["batchJob"] or "")
            if code == "batch-job-gone" and record and record.job.state is JobState.COMPLETED:
                self._broken(1, f"{data} is gone, though the workspace knows that it completed")
            if code == "empty":
                age = datetime.fromisoformat(data["times"]["ended"]) - self._born(data)
                if age < timedelta(minutes=59):
                    self._broken(1, f"{data} was rejected after {age}: its content may have come")

    def _born(self, data: dict[str, Any]) -> datetime:
        return self._world.storage.born[data["input"]["etag"]]

    def _nothing_twice(self) -> None:
        answers: defaultdict[str, list[Answer]] = defaultdict(list)
        for _, submission, answer in self._world.endpoints.posts:
            answers[submission.tag].append(answer)
        for tag, given in answers.items():
            if not all(map(_is_definite, given[:-1])):
                self._broken(2, f"{tag} was submitted again after {given[:-1]}")
        for data in self._ends():
            tag = attempt_tag(data["job"], data["attempt"])
            if not data["times"]["submitted"] and not all(map(_is_definite, answers[tag])):
                self._broken(3, f"{tag} was submitted, and its job ended as if it never was")

    def _announced(self) -> None:
        copies: defaultdict[str, set[bytes]] = defaultdict(set)
        for event in self._world.publisher.published:
            copies[msgspec.json.decode(event)["id"]].add(event)
            if b"SECRET" in event:
                self._broken(8, f"a secret is in {event!r}")
        for key, event in self._world.ledger.done.items():
            if copies[key] != {event}:
                self._broken(4, f"{key} was announced as {copies[key]} and ended as {event!r}")

    def _ends(self) -> list[dict[str, Any]]:
        return [msgspec.json.decode(event)["data"] for event in self._world.ledger.done.values()]

    def _outputs(self) -> None:
        world = self._world
        uses: defaultdict[str, set[str]] = defaultdict(set)
        for _, submission, _ in world.endpoints.posts:
            uses[submission.output_uri].add(submission.tag)
        for uri, tags in uses.items():
            if uri and len(tags) > 1:
                self._broken(5, f"{uri} was given to {tags}")
        receipts = {
            msgspec.json.encode(msgspec.json.decode(one)) for one in world.storage.receipts.values()
        }
        wanting = {route.name for route in world.routes_at_first if route.receipt}
        ends = self._ends()
        wanted = {msgspec.json.encode(data) for data in ends if data["route"] in wanting}
        if receipts != wanted:
            self._broken(4, f"receipts: {receipts ^ wanted}")
        for data in ends:
            record = self._record(data)
            completed = record is not None and record.job.state is JobState.COMPLETED
            if data["status"] == "completed" and not completed:
                self._broken(5, f"{data} completed, but its batch job has not")
            if data["status"] == "completed" and record:
                blob = world.storage.blobs[data["output"]["uri"].partition("/paths/")[2]]
                if blob.etag != data["output"]["etag"]:
                    self._broken(5, f"{data} names another output than {blob}")

    def _inputs(self) -> None:
        """Check that ends speak of files, and say how large they are."""
        storage = self._world.storage
        for data in self._ends():
            etag, code = data["input"]["etag"], (data["reason"] or {}).get("code")
            taken_for_file = code == "empty" or data["times"]["submitted"]
            if etag in storage.directories and taken_for_file:
                self._broken(7, f"{data} takes a directory for a file")
            submitted = data["input"]["kind"] == "file" and data["status"] == "completed"
            if submitted and data["input"]["size"] != storage.sizes[etag]:
                self._broken(7, f"{data}: its input has {storage.sizes[etag]} bytes")

    def _record(self, data: dict[str, Any]) -> "Record | None":
        """Return the batch job of an end; where none is known, the one that wrote its output."""
        known = self._world.endpoints.records.get(data["batchJob"] or "")
        if known is not None:
            return known
        uri = (data["output"] or {}).get("uri")
        everything = (*self._world.endpoints.records.values(), *self._world.endpoints.gone)
        of_output = [one for one in everything if one.submission.output_uri == uri]
        done = [one for one in of_output if one.job.state is JobState.COMPLETED]
        return next(iter(done), None)

    def _quarantine(self) -> None:
        world = self._world
        announced = {msgspec.json.decode(event)["id"] for event in world.publisher.published}
        for body in world.queue.malformed:
            digest = hashlib.sha256(body).hexdigest()
            if f"quarantine/{digest}" not in world.messages.messages or digest not in announced:
                self._broken(7, f"{body!r} is not kept and announced")

    def _folders(self) -> None:
        world = self._world
        covered: defaultdict[str, set[Version]] = defaultdict(set)
        for data in self._ends():
            if data["status"] == "superseded":
                continue
            covered[data["route"]] |= self.held.get(data["input"]["etag"], set())
        gathering = [route for route in world.routes if route.gathers]
        for route in gathering:
            for blob in world.storage.blobs.values():
                is_file = route.holds(blob.path) and not blob.is_directory
                if is_file and (blob.path, blob.etag) not in covered[route.name]:
                    self._broken(1, f"{blob.path} {blob.etag} is in no folder of {route.name}")
            if route.late == "ignore":
                self._one_job_each()
            else:
                self._same_again(route)
        self._gaps()

    def _one_job_each(self) -> None:
        keys: defaultdict[str, set[str]] = defaultdict(set)
        for _, submission, _ in self._world.endpoints.posts:
            key = submission.tag.split("-")[1]
            if "/calm/" in submission.input_uri and not self._asked_for(key):
                keys[submission.input_uri].add(key)
        for uri, submitted in keys.items():
            if len(submitted) > 1:
                self._broken(
                    2, f"{uri} was submitted by {submitted}, though late files are ignored"
                )

    def _asked_for(self, key: str) -> bool:
        """Tell whether an operator had an input scored again by this job."""
        job = self._world.ledger.claimed[key][1]
        again_by_itself = digest(job.again_of, "again", SAME_FILES) == key
        return bool(job.again_of) and not again_by_itself

    def _times(self) -> None:
        for key, event in self._world.ledger.done.items():
            ended = datetime.fromisoformat(msgspec.json.decode(event)["time"])
            late = (self._world.ledger.concluded[key] - ended).total_seconds()
            # A host may have frozen with the time in its hand; none can know a later one.
            if not -2 <= late <= 4 * HOUR:
                self._broken(3, f"{key} says that it ended at {ended}, {late:.0f} s before it did")

    def _same_again(self, route: Route) -> None:
        """Check that no two jobs scored one content of a folder."""
        scored: dict[tuple[str, str], str] = {}
        for data in self._ends():
            key, content = data["job"], (data["input"]["uri"], data["input"]["etag"])
            if (
                data["route"] != route.name
                or not data["times"]["submitted"]
                or self._asked_for(key)
            ):
                continue
            before = scored.setdefault(content, key)
            if before != key:
                self._broken(2, f"{content} was scored by {before}, and by {key}, unchanged")

    def submitted(self, at: float, submission: Submission) -> None:
        """Note what lies in a folder when it is submitted."""
        inside = submission.input_uri.partition("/paths/")[2] + "/"
        files = [
            blob for path, blob in self._world.storage.blobs.items() if path.startswith(inside)
        ]
        self.contents[at, submission.tag] = folder_digest(sorted(files, key=lambda one: one.path))

    def _gaps(self) -> None:
        gap = GAP.total_seconds() - 2 * MINUTE
        last: dict[str, tuple[float, str]] = {}
        for at, submission, answer in self._world.endpoints.posts:
            if "/marked/" not in submission.input_uri or _is_definite(answer):
                continue
            before = last.get(submission.input_uri)
            if before and at - before[0] < gap:
                self._broken(6, f"{submission.tag} came {at - before[0]:.0f} s after {before[1]}")
            last[submission.input_uri] = at, submission.tag


def _is_definite(answer: Answer) -> bool:
    return isinstance(answer, NotSent) or (
        isinstance(answer, ErrorAnswer) and answer.status in DEFINITE
    )
