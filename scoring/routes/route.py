"""Routes: which landed paths are scored, by which endpoint, with output where.

docs/routes.md is the reference of the fields; `routes_file` reads them.
"""

import re
from datetime import datetime, timedelta
from typing import Annotated, Literal

import msgspec

from scoring.routes.matching import Captures, captures
from scoring.uris import has_dot_segment

Kind = Literal["file", "folder"]
OutputKind = Literal["file", "folder", "none"]
Param = str | int | float | bool


class Ready(msgspec.Struct, frozen=True, kw_only=True):
    """When a folder is complete: once its marker lands, or nothing has landed for a while."""

    marker: str = ""  # pattern of the blob
    quiet: timedelta = timedelta(0)
    at_most: timedelta = timedelta(0)  # with `quiet`: then, however much still lands


class JobSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What a batch job does otherwise than its deployment says; None: as the deployment says."""

    instance_count: int | None = None
    mini_batch_size: int | None = None  # files
    error_threshold: int | None = None  # failures of files that are borne; -1: any number
    max_retries: int | None = None  # of one mini-batch
    timeout: timedelta | None = None  # of one mini-batch


class SubmissionFields(JobSettings, frozen=True, kw_only=True):
    """What only passes through to the batch job."""

    # Of the data in the request; a pipeline wants those that it declares.
    input_name: str = "input"
    output_name: str = "output"
    params: dict[str, Param] = {}  # literals that a pipeline is given beside its data


class Route(SubmissionFields, frozen=True, kw_only=True):
    """A rule of `routes.toml`. The ledger keeps it with each job as it was."""

    name: str
    datastore: str
    match: str  # `*`, `**`, `?` and `{name}` for one segment or a part of it
    input: Kind
    endpoint: str
    max_active: Annotated[int, msgspec.Meta(ge=1)] | Literal["unlimited"]  # batch jobs at once
    output: str = ""  # template of a path on the datastore; holds `{key}`; empty: no output
    output_kind: OutputKind = "file"
    deployment: str | None = None  # None: the endpoint's default
    ready: Ready | None = None  # folders only
    # What files are that come to a folder after its submission; only where it was quiet.
    late: Literal["score", "ignore"] = "score"
    minimum_gap: timedelta | None = None  # between two submissions of one folder
    uri: str = "azureml://datastores/{datastore}/paths/{path}"
    queue_timeout: timedelta | None = None  # until a batch job runs; None: see Timing
    run_timeout: timedelta | None = None  # from then on
    max_attempts: int = 1  # submissions of one job that may end in a failed batch job
    enabled: bool = True
    since: Annotated[datetime, msgspec.Meta(tz=True)] | None = None  # where the first sweep begins
    # What follows an attempt that was never answered and not found.
    on_unknown: Literal["resubmit", "hold"] = "resubmit"
    on_overwrite: Literal["score", "ignore"] = "score"  # ignore: one job for a path
    on_empty: Literal["reject", "score"] = "reject"  # a file without content
    receipt: bool = False  # the event's data are left beside the output, too

    @property
    def limit(self) -> int | None:
        """How many batch jobs the route may have at once; None: any number."""
        return None if self.max_active == "unlimited" else self.max_active

    @property
    def submitted_by_poll(self) -> bool:
        """Whether a claim waits for poll, because the route may hold it back."""
        return not self.enabled or self.limit is not None or self.minimum_gap is not None

    @property
    def gathers(self) -> bool:
        """Whether landings make no jobs, but fill folders that get theirs once they are quiet."""
        return self.ready is not None and not self.ready.marker

    @property
    def trigger(self) -> str:
        """The pattern of the blobs whose landing makes a job, or fills a folder."""
        return self.ready.marker if self.ready and self.ready.marker else self.match

    @property
    def folder(self) -> str:
        """The pattern of the folder that the matched files lie in."""
        return self.match.rpartition("/")[0]

    def triggered_by(self, path: str) -> Captures | None:
        """Return what `{name}` stood for if `path` matches the trigger, else None.

        What would be read as another path, or whose folder would, is not taken.
        """
        found = captures(self.trigger, path)
        return None if found is None or self._strays(path, found) else found

    def refuses(self, path: str) -> bool:
        """Tell whether `path` matches the trigger, but would be read as another path."""
        found = captures(self.trigger, path)
        return found is not None and self._strays(path, found)

    def _strays(self, path: str, found: Captures) -> bool:
        by_marker = self.input == "folder" and not self.gathers
        return has_dot_segment(path) or (by_marker and has_dot_segment(self.folder_path(found)))

    def folder_path(self, found: Captures) -> str:
        """Return the folder whose `{name}`s stand for this."""
        return re.sub(r"\{(\w+)\}", lambda name: found[name[1]], self.folder)

    def folder_captures(self, path: str) -> Captures:
        """Return what `{name}` stood for in the path of a folder."""
        return captures(self.folder, path) or {}

    def holds(self, path: str) -> bool:
        """Tell whether `path` is one of the files that the route scores."""
        return captures(self.match, path) is not None and not has_dot_segment(path)
