"""`--output` of a command with an output: the format of what is printed, or the output's URI."""

from dataclasses import dataclass
from typing import Annotated

from cyclopts import Parameter

from scoring.cli.failures import UsageError
from scoring.cli.session import EVERYWHERE, WorkspaceOptions

_FORMATS = ("text", "json")


@Parameter(name="*", group=EVERYWHERE)
@dataclass(frozen=True, kw_only=True)
class OutputOptions(WorkspaceOptions):
    """Options of a command that has an output, which `--output` can name, too."""

    output: Annotated[tuple[str, ...], Parameter(alias="-o")] = ()
    """`json` or `text`: format of what is printed; json is one document and nothing else.
    Otherwise where the output goes: azureml://datastores/STORE/paths/PATH.
    May be given twice, once for each."""

    @property
    def as_json(self) -> bool:
        """Whether the output is JSON, for programs."""
        return "json" in self.output

    @property
    def output_uri(self) -> str | None:
        """Where the output goes, if that was given.

        Raises:
            UsageError: it was given twice, or the format was.
        """
        formats = [value for value in self.output if value in _FORMATS]
        uris = [value for value in self.output if value not in _FORMATS]
        for uri in uris:
            if not uri.startswith("azureml:") and "://" not in uri:
                raise UsageError(
                    f"--output {uri}: must be text or json, the format of what is printed, or an"
                    " azureml:// URI, where the output goes"
                )
        if len(formats) > 1 or len(uris) > 1:
            raise UsageError("--output: give at most one format and one URI")
        return uris[0] if uris else None


DEFAULTS = OutputOptions()
