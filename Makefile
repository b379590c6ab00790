# Two commands for a new machine: `make demo` and `make test`. Python 3.11 or newer is all they need.
PYTHON ?= python3
HOST ?= local
VENV := .venv
PY := $(VENV)/bin/python
NPM := $(VENV)/bin/npm ci --no-audit --no-fund --no-update-notifier --loglevel=error
PIN := $(VENV)/bin/uv pip compile --quiet --universal --no-annotate --custom-compile-command 'make lock' pyproject.toml --python-version

.PHONY: demo up test check package snapshots simulate teeth lock clean

demo: .venv/local
	@$(PY) -m local demo --host $(HOST)

up: .venv/local
	@$(PY) -m local up --host $(HOST)

test: .venv/test
	$(PY) -m pytest -n 4 --dist loadfile $(ARGS)

check: .venv/test
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check
	$(PY) -m mypy
	$(VENV)/bin/lint-imports

# The zip that is deployed. It fails if anything lies in scoring/ that is not the app.
package: .venv/bin/python
	@$(PY) -m infra.package dist/landfall.zip

# Renews what infra/ keeps of what it deploys. Look at the difference.
snapshots: .venv/test
	@$(PY) -m tests.infra.snapshots

# SEEDS=n [FIRST=k], or SEED=k to replay one.
simulate: .venv/test
	@SEEDS=$(SEEDS) FIRST=$(FIRST) SEED=$(SEED) $(PY) -m tests.simulation

# Sabotages the product in many ways, one at a time, and tells which seed of the simulation finds each.
teeth: .venv/test
	@$(PY) -m tests.simulation.teeth

# Writes the pins of everything that is installed anew, from pyproject.toml.
lock: .venv/bin/python
	$(PY) -m pip install --quiet uv
	$(PIN) 3.11 --upgrade --group test -o tests/requirements.txt
	$(PIN) 3.11 -c tests/requirements.txt --group local -o local/requirements.txt
	$(PIN) 3.11 -c tests/requirements.txt --group cli -o scoring/cli/requirements.txt
	$(PIN) 3.11 -c tests/requirements.txt -o requirements.txt
	$(PIN) 3.13 --upgrade -c tests/requirements.txt --group worker -o tests/worker/requirements.txt
	$(PIN) 3.11 --upgrade --group scan -o tests/infra/requirements.txt
	$(VENV)/bin/npm install --prefix local --package-lock-only --omit-lockfile-registry-resolved
	$(VENV)/bin/npm install --prefix tests/infra --package-lock-only --omit-lockfile-registry-resolved

clean:
	rm -rf $(VENV) .venv-worker* .venv-scan* .venv-app-* dist local/node_modules tests/infra/node_modules local/deployments/*/model local/samples .local

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and f"Landfall needs Python 3.11 or newer; {sys.executable} is {sys.version.split()[0]}. Name another: make PYTHON=python3.12 …")'
	$(PYTHON) -m venv $(VENV)

.venv/local: local/requirements.txt local/package-lock.json .venv/bin/python
	$(PY) -m pip install --quiet --disable-pip-version-check -r local/requirements.txt
	$(NPM) --prefix local
	$(PY) -m local.demo.prepare
	@touch $@

.venv/test: tests/requirements.txt tests/infra/package-lock.json .venv/local
	$(PY) -m pip install --quiet --disable-pip-version-check -r tests/requirements.txt
	$(NPM) --prefix tests/infra
	@touch $@
