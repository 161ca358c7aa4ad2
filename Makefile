.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin

.PHONY: help setup run test check simulate torture torture-postgres faults bench-delivery
.PHONY: bench-store bench-streams docs lock clean

help: ## print what each target does
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: .venv/.runtime ## make .venv from the hash-locked requirements

.venv/.runtime: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Threadseek needs Python 3.11 or newer; call make with PYTHON=python3.12, say."; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "Installing Threadseek into .venv (once) ..."
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

.venv/.dev: .venv/.runtime requirements-dev.lock
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $@

run: .venv/.runtime ## start Threadseek: the playground, and every platform that has its tokens
	@$(BIN)/threadseek run

test: .venv/.dev ## run every test
	$(BIN)/python -m pytest -n 3 --dist worksteal

check: .venv/.dev ## format, lint, strict types, import contracts, migrations without drift
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest tests/migrations tests/house

simulate: .venv/.dev ## play N schedules of faults from seed FIRST on all cores (N=1000 FIRST=0)
	$(BIN)/python -m tests.simulation.report $(or $(N),1000) $(or $(FIRST),0)

torture: .venv/.dev ## kill the running command under load (KILLS=200 SEED=1)
	$(BIN)/python -m tests.torture.kills $(or $(KILLS),200) $(or $(SEED),1)

faults: .venv/.dev ## take each right behaviour out once and see its tests fail (ROWS="8 27")
	$(BIN)/python -m tests.faults.breaking $(ROWS)

torture-postgres: .venv/.dev ## the same with two replicas and a real PostgreSQL (KILLS=100 SEED=1)
	$(BIN)/python -m tests.torture.kills $(or $(KILLS),100) $(or $(SEED),1) --postgres

bench-delivery: .venv/.dev ## how fresh a growing answer is, beside other bots (ARGS="--quick", "--json")
	@$(BIN)/python -m benchmarks.delivery $(ARGS)

bench-store: .venv/.dev ## measure the store (JSON=--json for programs)
	@$(BIN)/python -m benchmarks.store $(JSON)

.venv/.bench: .venv/.dev requirements-bench.lock
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-bench.lock
	@touch $@

bench-streams: .venv/.bench ## what reading many answers costs, beside other clients (ARGS="--quick")
	@$(BIN)/python -m benchmarks.streams $(ARGS)

docs: .venv/.runtime ## write the generated documents
	@$(BIN)/threadseek config --docs

lock: .venv/.dev ## renew the lock files (needs uv)
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header -q pyproject.toml --extra build --extra postgres -o requirements.lock
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header -q pyproject.toml --extra build --extra postgres --extra dev -c requirements.lock -o requirements-dev.lock
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header -q pyproject.toml --extra build --extra postgres --extra dev --extra bench -c requirements-dev.lock -o requirements-bench.lock

clean: ## remove the environment and what tools left behind
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
