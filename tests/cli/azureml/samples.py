"""Files of the Azure ML CLI v2 that are made for one test, with new names."""

import itertools
from pathlib import Path
from typing import Any

import yaml

SCHEMAS = "https://azuremlschemas.azureedge.net/latest"
IMAGE = "mcr.microsoft.com/azureml/openmpi4.1.0-ubuntu22.04"

_numbers = itertools.count(1)


class Samples:
    """Writes files into a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.number = next(_numbers)
        self.endpoint_name = f"endpoint-{self.number}"
        self.compute_name = f"cluster-{self.number}"
        self.write("model/weights.txt", f"weights {self.number}")
        self.write("code/score.py", f"# {self.number}\ndef run(batch): return batch\n")

    def write(self, name: str, text: str) -> Path:
        file = self.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    def file(self, name: str, schema: str, /, **fields: Any) -> Path:
        document = {"$schema": f"{SCHEMAS}/{schema}.schema.json", **fields}
        known = {field: value for field, value in document.items() if value is not None}
        return self.write(name, yaml.safe_dump(known))

    def compute(self, **fields: Any) -> Path:
        fields = {"name": self.compute_name, "type": "amlcompute", "max_instances": 2, **fields}
        return self.file("compute.yml", "amlCompute", **fields)

    def endpoint(self, **fields: Any) -> Path:
        return self.file("endpoint.yml", "batchEndpoint", **{"name": self.endpoint_name, **fields})

    def model(self, **fields: Any) -> Path:
        fields = {"name": f"model-{self.number}", "path": "model", **fields}
        return self.file("model.yml", "model", **fields)

    def environment(self, **fields: Any) -> Path:
        fields = {"name": f"environment-{self.number}", "image": IMAGE, **fields}
        return self.file("environment.yml", "environment", **fields)

    def data(self, **fields: Any) -> Path:
        fields = {"name": f"data-{self.number}", "path": "model", **fields}
        return self.file("data.yml", "data", **fields)

    def deployment(self, name: str = "first", /, **fields: Any) -> Path:
        fields = {
            "name": name,
            "endpoint_name": self.endpoint_name,
            "type": "model",
            "model": {"path": "model"},
            "code_configuration": {"code": "code", "scoring_script": "score.py"},
            "environment": {"image": IMAGE, "conda_file": {"name": f"conda-{self.number}"}},
            "compute": f"azureml:{self.compute_name}",
            **fields,
        }
        return self.file(f"{name}.yml", "modelBatchDeployment", **fields)

    def all(self) -> list[Path]:
        return [self.deployment(), self.endpoint(), self.compute()]
