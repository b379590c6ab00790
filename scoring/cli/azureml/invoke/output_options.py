"""`--output` of a command that has an output: how to print, or where the output goes."""

from dataclasses import dataclass
from typing import Annotated

from cyclopts import Parameter

from scoring.cli.failures import UsageError
from scoring.cli.session import EVERYWHERE, WorkspaceOptions

_FORMATS = ("text", "json")


@Parameter(name="*", group=EVERYWHERE)
@dataclass(frozen=True, kw_only=True)
class OutputOptions(WorkspaceOptions):
    """What can be said to a command that has an output of its own, which `--output` names, too."""

    output: Annotated[tuple[str, ...], Parameter(alias="-o")] = ()
    """`json` or `text`: how to print; json is one document and nothing else.
    Anything else: where the output goes, azureml://datastores/STORE/paths/PATH.
    May be given twice, once for each."""

    @property
    def as_json(self) -> bool:
        """Whether a program reads what is printed."""
        return "json" in self.output

    @property
    def output_uri(self) -> str | None:
        """Where the output goes, if that was said.

        Raises:
            UsageError: it was said twice, or how to print was.
        """
        formats = [said for said in self.output if said in _FORMATS]
        uris = [said for said in self.output if said not in _FORMATS]
        for said in uris:
            if not said.startswith("azureml:") and "://" not in said:
                raise UsageError(
                    f"--output {said}: say text or json for how to print, or an azureml:// URI for"
                    " where the output goes"
                )
        if len(formats) > 1 or len(uris) > 1:
            raise UsageError("--output: say one way to print and one place for the output")
        return uris[0] if uris else None


DEFAULTS = OutputOptions()
