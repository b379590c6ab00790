# Two commands for a new machine: `make demo` and `make test`. Python 3.11 or newer is all they need.
PYTHON ?= python3
HOST ?= local
# Decisions, use cases, and what belongs to no room (documents, settings): they do without npm's packages.
QUICK := tests/test_*.py tests/routes tests/jobs tests/events tests/use_cases

VENV := .venv
PY := $(VENV)/bin/python
PIP := $(PY) -m pip install --quiet --disable-pip-version-check
# Packages run no scripts when they are installed. None needs to, and npm would run them with the PATH
# that it was given, on which there is no node: ours is in the virtual environment.
NPM := $(VENV)/bin/npm ci --ignore-scripts --no-audit --no-fund --no-update-notifier --loglevel=error
PIN := $(VENV)/bin/uv pip compile --quiet --universal --generate-hashes --no-annotate --custom-compile-command 'make lock' pyproject.toml --python-version

.PHONY: help demo up quick test check package snapshots simulate teeth lock clean

help: ## list what can be made
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: .venv/local ## score 60 files with real models on a local Azure, check the results
	@$(PY) -m local demo --host $(HOST)

up: .venv/local ## run that local Azure until Ctrl-C
	@$(PY) -m local up --host $(HOST)

quick: .venv/quick ## the tests of decisions and use cases: half a minute, while editing
	$(PY) -m pytest -n 2 --dist loadfile $(QUICK) $(ARGS)

# The end-to-end tests mostly wait: hence more workers than cores, and files in their order; xdist would
# begin with those of most tests, and the longest have few.
test: .venv/test ## all tests: four minutes; ARGS='tests/routes -k pattern' for some
	$(PY) -m pytest -n 5 --dist loadfile --no-loadscope-reorder $(ARGS)

check: .venv/test ## ruff, mypy, import-linter
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check
	$(PY) -m mypy
	$(VENV)/bin/lint-imports

# It fails if anything lies in scoring/ that is not the app.
package: .venv/bin/python ## the zip that is deployed: dist/landfall.zip
	@$(PY) -m infra.package dist/landfall.zip

snapshots: .venv/test ## renew what infra/ keeps of what it deploys; look at the difference
	@$(PY) -m tests.infra.snapshots

simulate: .venv/test ## look for broken promises: SEEDS=n [FIRST=k], or SEED=k to replay one
	@SEEDS=$(SEEDS) FIRST=$(FIRST) SEED=$(SEED) $(PY) -m tests.simulation

teeth: .venv/test ## sabotage the product in many ways; which seed of the simulation finds each?
	@$(PY) -m tests.simulation.teeth

lock: .venv/bin/python ## renew the pins of all that is installed, from pyproject.toml
	$(PY) -m pip install --quiet uv
	$(PIN) 3.11 --upgrade --group test -o tests/requirements.txt
	$(PIN) 3.11 -c tests/requirements.txt --group local -o local/requirements.txt
	$(PIN) 3.11 -c tests/requirements.txt --group cli -o scoring/cli/requirements.txt
	$(PIN) 3.11 -c tests/requirements.txt -o requirements.txt
	$(PIN) 3.13 --upgrade -c tests/requirements.txt --group worker -o tests/worker/requirements.txt
	$(PIN) 3.11 --upgrade --group scan -o tests/infra/requirements.txt
	$(VENV)/bin/npm install --prefix local --package-lock-only --omit-lockfile-registry-resolved
	$(VENV)/bin/npm install --prefix tests/infra --package-lock-only --omit-lockfile-registry-resolved

clean: ## remove all that was installed or made here
	rm -rf $(VENV) .venv-worker* .venv-scan* .venv-app-* dist local/node_modules tests/infra/node_modules local/deployments/*/model local/samples .local

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and f"Landfall needs Python 3.11 or newer; {sys.executable} is {sys.version.split()[0]}. Name another: make PYTHON=python3.12 …")'
	@$(PYTHON) -m venv $(VENV)

.venv/local: local/requirements.txt local/package-lock.json .venv/bin/python
	@echo "Installing the local Azure into $(VENV) and local/node_modules (up to 1 GB, two minutes the first time) …"
	@$(PIP) -r local/requirements.txt
	@$(NPM) --prefix local >/dev/null
	@$(PY) -m local.demo.prepare
	@touch $@

.venv/quick: tests/requirements.txt .venv/bin/python
	@echo "Installing what the tests need into $(VENV) (up to 1 GB, a minute the first time) …"
	@$(PIP) -r tests/requirements.txt
	@touch $@

.venv/test: tests/infra/package-lock.json .venv/local .venv/quick
	@$(NPM) --prefix tests/infra >/dev/null
	@touch $@
