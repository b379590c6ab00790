"""From files to what is wanted of the workspace: local files are read, nothing is sent."""

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import yaml

from scoring.cli.azureml.deploy.bodies import (
    Body,
    code_body,
    data_body,
    environment_body,
    model_body,
)
from scoring.cli.azureml.deploy.contents import Content, content_of
from scoring.cli.azureml.deploy.references import (
    Reference,
    asset_reference,
    compute_reference,
    is_reference,
    is_uri,
    long_uri,
)
from scoring.cli.azureml.deploy.resources import Kind, Version
from scoring.cli.azureml.deploy.uploads import Uploaded
from scoring.cli.azureml.deploy.yaml_files import YamlFile, refuse
from scoring.cli.azureml.deploy.yaml_schema import (
    Code,
    Compute,
    Data,
    Deployment,
    Endpoint,
    Environment,
    Model,
)
from scoring.cli.failures import UsageError
from scoring.log import redacted

Asset = Version | Reference

_USER = re.compile(r"^(https?://)[^/?#]+@")  # of wasbs:// and abfss:// it is the container


@dataclass(frozen=True, kw_only=True)
class WantedDeployment:
    """A deployment, and what it is made of."""

    said: Deployment
    model: Asset | None
    code: Asset | None
    environment: Asset | None
    compute: Reference

    def versions(self) -> list[Version]:
        """Return what is to be registered for it."""
        return [x for x in (self.code, self.model, self.environment) if isinstance(x, Version)]


@dataclass(kw_only=True)
class Wanted:
    """What the workspace is to have."""

    computes: list[Compute] = field(default_factory=list)
    versions: list[Version] = field(default_factory=list)
    endpoints: list[Endpoint] = field(default_factory=list)
    deployments: list[WantedDeployment] = field(default_factory=list)

    def all_versions(self) -> list[Version]:
        """Return what is to be registered, each once."""
        versions = [*self.versions, *(v for one in self.deployments for v in one.versions())]
        return list({one.key: one for one in versions}.values())


def prepare(files: Iterable[YamlFile], workspace_id: str) -> Wanted:
    """Read what files name: models, code, conda files.

    Raises:
        UsageError: there are mistakes; it names all.
    """
    preparation, wanted = _Preparation(workspace_id=workspace_id), Wanted()
    for file in files:
        preparation.add(file, wanted)
    preparation.mistakes += _twice(wanted)
    refuse(preparation.mistakes)
    return wanted


def secret_in(uri: str) -> str | None:
    """Tell what is wrong with a URI that holds a secret; None: nothing.

    What is registered is shown to everybody who may read the workspace.
    """
    safe = redacted(_USER.sub(r"\1***@", uri))
    if safe == uri:
        return None
    return f"{safe} holds a secret: register the URI without it, and give the job a role"


@dataclass(kw_only=True)
class _Preparation:
    workspace_id: str
    mistakes: list[str] = field(default_factory=list)
    contents: dict[Path, Content] = field(default_factory=dict)

    def add(self, file: YamlFile, wanted: Wanted) -> None:
        said = file.document
        if isinstance(said, Compute):
            wanted.computes.append(said)
        elif isinstance(said, Endpoint):
            wanted.endpoints.append(said)
        elif isinstance(said, Deployment):
            wanted.deployments.append(self._deployment(file, said))
        else:
            wanted.versions.append(self._asset(file, "", said))

    def _asset(self, file: YamlFile, at: str, said: Model | Environment | Data) -> Version:
        if isinstance(said, Environment):
            return self._environment(file, at, said)
        content = self._content(file, f"{at}path", said.path)
        if isinstance(said, Data) and content and (said.type == "uri_file") != content.is_file:
            what = "a file" if content.is_file else "a folder"
            self._mistake(file, f"{at}type", f"is {said.type}, but the path is {what}")
        return self._with_files(said, content)

    def _with_files(self, said: Model | Data, content: Content | None) -> Version:
        def body(uploaded: Uploaded | None) -> Body:
            uri = uploaded.uri if uploaded else long_uri(said.path, self.workspace_id)
            return model_body(said, uri) if isinstance(said, Model) else data_body(said, uri)

        what = f"{content.digest}/{content.name}" if content else said.path
        kind: Kind = "models" if isinstance(said, Model) else "data"
        return _version(kind, said, [what, said.type], content, body)

    def _environment(self, file: YamlFile, at: str, said: Environment) -> Version:
        body = environment_body(said, self._conda(file, f"{at}conda_file", said.conda_file))
        what = [body["properties"].get(name) for name in ("image", "condaFile", "osType")]
        return _version("environments", said, what, None, lambda _: body)

    def _conda(self, file: YamlFile, at: str, said: str | dict[str, Any] | None) -> str | None:
        if said is None:
            return None
        if isinstance(said, dict):
            return yaml.safe_dump(said, sort_keys=False, allow_unicode=True)
        try:
            text = file.local(said).read_text(encoding="utf-8")
            if isinstance(yaml.safe_load(text), dict):
                return text
            problem = "must be a conda environment: a mapping of fields"
        except OSError as failure:
            problem = f"{file.local(said)}: {failure.strerror}"
        except (yaml.YAMLError, UnicodeDecodeError):
            problem = f"{file.local(said)}: no YAML"
        self._mistake(file, at, problem)
        return None

    def _deployment(self, file: YamlFile, said: Deployment) -> WantedDeployment:
        return WantedDeployment(
            said=said,
            model=self._named(file, "model", said.model),
            code=self._code(file, said.code_configuration),
            environment=self._named(file, "environment", said.environment),
            compute=self._reference(file, "compute", said.compute, compute_reference),
        )

    def _named(
        self, file: YamlFile, at: str, said: str | Model | Environment | None
    ) -> Asset | None:
        if said is None:
            return None
        if isinstance(said, str):
            return self._reference(file, at, said, asset_reference)
        return self._asset(file, f"{at}.", said)

    def _code(self, file: YamlFile, said: Code | None) -> Asset | None:
        at = "code_configuration.code"
        if said is None:
            return None
        if is_reference(said.code):
            return self._reference(file, at, said.code, asset_reference)
        if is_uri(said.code):
            self._mistake(file, at, f"{redacted(said.code)!r} must be a folder here")
            return None
        content = self._content(file, at, said.code)
        if content is None:
            return None
        if said.scoring_script not in {one.path for one in content.files}:
            where = file.local(said.code)
            problem = f"there is no {said.scoring_script} in {where}"
            self._mistake(file, "code_configuration.scoring_script", problem)
            return None
        return Version(
            kind="codes",
            name=f"code-{content.digest[:20]}",
            version="1",
            digest=content.digest,
            content=content,
            body=lambda uploaded: code_body(uploaded.url if uploaded else ""),
        )

    def _content(self, file: YamlFile, at: str, said: str) -> Content | None:
        if is_uri(said):
            problem = secret_in(said)
            if problem:
                self._mistake(file, at, problem)
            return None
        path = file.local(said).resolve()
        try:
            if path not in self.contents:
                self.contents[path] = content_of(path)
            return self.contents[path]
        except UsageError as mistake:
            self._mistake(file, at, str(mistake))
            return None

    def _reference(
        self, file: YamlFile, at: str, said: str, read: Callable[[str], Reference]
    ) -> Reference:
        try:
            return read(said)
        except ValueError as mistake:
            self._mistake(file, at, str(mistake))
            return Reference()

    def _mistake(self, file: YamlFile, at: str, what: str) -> None:
        self.mistakes.append(f"{file.path}: {at}: {what}")


def _version(
    kind: Kind,
    said: Model | Environment | Data,
    fixed: object,
    content: Content | None,
    body: Callable[[Uploaded | None], Body],
) -> Version:
    """Return a version; what has no name gets one that is made of what is fixed in it."""
    digest = hashlib.sha256(msgspec.json.encode(fixed)).hexdigest()
    version = "1" if said.name is None else said.version
    return Version(
        kind=kind,
        name=said.name or f"{kind.removesuffix('s')}-{digest[:20]}",
        version=None if version is None else str(version),
        digest=digest,
        content=content,
        body=body,
    )


def _twice(wanted: Wanted) -> Iterator[str]:
    """Tell which resources are asked for twice: what is changed for the one would harm the other."""
    names = [
        *(f"compute {one.name}" for one in wanted.computes),
        *(f"endpoint {one.name}" for one in wanted.endpoints),
        *(f"deployment {one.said.endpoint_name}/{one.said.name}" for one in wanted.deployments),
        *(_numbered(one) for one in wanted.all_versions()),
    ]
    for name, times in Counter(names).items():
        if times > 1:
            yield f"{name} is asked for {times} times: once is enough"


def _numbered(one: Version) -> str:
    version = "" if one.version is None else f" version {one.version}"
    return f"{one.kind.removesuffix('s')} {one.name}{version} with different content"
