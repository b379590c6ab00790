"""From YAML files to the wanted resources: local files are read, nothing is sent."""

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
    """A deployment, with the assets and the compute that it refers to."""

    fields: Deployment
    model: Asset | None
    code: Asset | None
    environment: Asset | None
    compute: Reference

    def versions(self) -> list[Version]:
        """Return the versions to register for it."""
        return [x for x in (self.code, self.model, self.environment) if isinstance(x, Version)]


@dataclass(kw_only=True)
class Wanted:
    """The resources that the workspace should have."""

    computes: list[Compute] = field(default_factory=list)
    versions: list[Version] = field(default_factory=list)
    endpoints: list[Endpoint] = field(default_factory=list)
    deployments: list[WantedDeployment] = field(default_factory=list)

    def all_versions(self) -> list[Version]:
        """Return the versions to register, each once."""
        versions = [*self.versions, *(v for one in self.deployments for v in one.versions())]
        return list({one.key: one for one in versions}.values())


def prepare(files: Iterable[YamlFile], workspace_id: str) -> Wanted:
    """Read the models, code and conda files that YAML files name.

    Raises:
        UsageError: there are mistakes; it lists all of them.
    """
    preparation, wanted = _Preparation(workspace_id=workspace_id), Wanted()
    for file in files:
        preparation.add(file, wanted)
    preparation.mistakes += _duplicates(wanted)
    refuse(preparation.mistakes)
    return wanted


def secret_in(uri: str) -> str | None:
    """Return the mistake of a URI that contains a secret; None if it does not.

    Everybody who may read the workspace can read what is registered.
    """
    safe = redacted(_USER.sub(r"\1***@", uri))
    if safe == uri:
        return None
    return f"{safe} contains a secret: register the URI without it, and give the job a role"


@dataclass(kw_only=True)
class _Preparation:
    workspace_id: str
    mistakes: list[str] = field(default_factory=list)
    contents: dict[Path, Content] = field(default_factory=dict)

    def add(self, file: YamlFile, wanted: Wanted) -> None:
        fields = file.document
        if isinstance(fields, Compute):
            wanted.computes.append(fields)
        elif isinstance(fields, Endpoint):
            wanted.endpoints.append(fields)
        elif isinstance(fields, Deployment):
            wanted.deployments.append(self._deployment(file, fields))
        else:
            wanted.versions.append(self._asset(file, "", fields))

    def _asset(self, file: YamlFile, at: str, fields: Model | Environment | Data) -> Version:
        if isinstance(fields, Environment):
            return self._environment(file, at, fields)
        content = self._content(file, f"{at}path", fields.path)
        if isinstance(fields, Data) and content and (fields.type == "uri_file") != content.is_file:
            what = "a file" if content.is_file else "a folder"
            self._mistake(file, f"{at}type", f"is {fields.type}, but the path is {what}")
        return self._with_files(fields, content)

    def _with_files(self, fields: Model | Data, content: Content | None) -> Version:
        def body(uploaded: Uploaded | None) -> Body:
            uri = uploaded.uri if uploaded else long_uri(fields.path, self.workspace_id)
            return model_body(fields, uri) if isinstance(fields, Model) else data_body(fields, uri)

        files = f"{content.digest}/{content.name}" if content else fields.path
        kind: Kind = "models" if isinstance(fields, Model) else "data"
        return _version(kind, fields, [files, fields.type], content, body)

    def _environment(self, file: YamlFile, at: str, fields: Environment) -> Version:
        body = environment_body(fields, self._conda(file, f"{at}conda_file", fields.conda_file))
        fixed = [body["properties"].get(name) for name in ("image", "condaFile", "osType")]
        return _version("environments", fields, fixed, None, lambda _: body)

    def _conda(self, file: YamlFile, at: str, value: str | dict[str, Any] | None) -> str | None:
        """Return the text of a conda file, which is given by its path or by its content."""
        if value is None:
            return None
        if isinstance(value, dict):
            return yaml.safe_dump(value, sort_keys=False, allow_unicode=True)
        path = file.local(value)
        try:
            text = path.read_text(encoding="utf-8")
            if isinstance(yaml.safe_load(text), dict):
                return text
            problem = "must be a conda environment: a mapping of fields"
        except OSError as failure:
            problem = f"{path}: {failure.strerror}"
        except (yaml.YAMLError, UnicodeDecodeError):
            problem = f"{path}: not YAML"
        self._mistake(file, at, problem)
        return None

    def _deployment(self, file: YamlFile, fields: Deployment) -> WantedDeployment:
        return WantedDeployment(
            fields=fields,
            model=self._inline_or_named(file, "model", fields.model),
            code=self._code(file, fields.code_configuration),
            environment=self._inline_or_named(file, "environment", fields.environment),
            compute=self._reference(file, "compute", fields.compute, compute_reference),
        )

    def _inline_or_named(
        self, file: YamlFile, at: str, value: str | Model | Environment | None
    ) -> Asset | None:
        if value is None:
            return None
        if isinstance(value, str):
            return self._reference(file, at, value, asset_reference)
        return self._asset(file, f"{at}.", value)

    def _code(self, file: YamlFile, fields: Code | None) -> Asset | None:
        at = "code_configuration.code"
        if fields is None:
            return None
        if is_reference(fields.code):
            return self._reference(file, at, fields.code, asset_reference)
        if is_uri(fields.code):
            self._mistake(file, at, f"{redacted(fields.code)!r} must be a folder on this machine")
            return None
        content = self._content(file, at, fields.code)
        if content is None:
            return None
        if fields.scoring_script not in {one.path for one in content.files}:
            problem = f"there is no {fields.scoring_script} in {file.local(fields.code)}"
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

    def _content(self, file: YamlFile, at: str, path_or_uri: str) -> Content | None:
        """Return the files of a path; None for a URI."""
        if is_uri(path_or_uri):
            problem = secret_in(path_or_uri)
            if problem:
                self._mistake(file, at, problem)
            return None
        path = file.local(path_or_uri).resolve()
        try:
            if path not in self.contents:
                self.contents[path] = content_of(path)
            return self.contents[path]
        except UsageError as mistake:
            self._mistake(file, at, str(mistake))
            return None

    def _reference(
        self, file: YamlFile, at: str, text: str, read: Callable[[str], Reference]
    ) -> Reference:
        try:
            return read(text)
        except ValueError as mistake:
            self._mistake(file, at, str(mistake))
            return Reference()

    def _mistake(self, file: YamlFile, at: str, problem: str) -> None:
        self.mistakes.append(f"{file.path}: {at}: {problem}")


def _version(
    kind: Kind,
    fields: Model | Environment | Data,
    fixed: object,
    content: Content | None,
    body: Callable[[Uploaded | None], Body],
) -> Version:
    """Return a version. Without a name it gets one from the digest of its `fixed` fields."""
    digest = hashlib.sha256(msgspec.json.encode(fixed)).hexdigest()
    version = "1" if fields.name is None else fields.version
    return Version(
        kind=kind,
        name=fields.name or f"{kind.removesuffix('s')}-{digest[:20]}",
        version=None if version is None else str(version),
        digest=digest,
        content=content,
        body=body,
    )


def _duplicates(wanted: Wanted) -> Iterator[str]:
    """Yield a mistake for each resource that is described twice: one would undo the other."""
    names = [
        *(f"compute {one.name}" for one in wanted.computes),
        *(f"endpoint {one.name}" for one in wanted.endpoints),
        *(f"deployment {one.fields.endpoint_name}/{one.fields.name}" for one in wanted.deployments),
        *(_numbered(one) for one in wanted.all_versions()),
    ]
    for name, times in Counter(names).items():
        if times > 1:
            yield f"{name} is described {times} times: keep one"


def _numbered(one: Version) -> str:
    version = "" if one.version is None else f" version {one.version}"
    return f"{one.kind.removesuffix('s')} {one.name}{version} with different content"
