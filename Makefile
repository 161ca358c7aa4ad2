.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
ALONE := tests/e2e/test_sharing.py tests/e2e/test_replicas.py tests/contract/store/test_sharing.py

.PHONY: help setup run test check simulate torture torture-postgres faults bench bench-quick
.PHONY: bench-delivery bench-delivery-live bench-store bench-path bench-calls bench-acks
.PHONY: bench-starting bench-streams soak docs lock clean

help: ## print what each target does
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 26

setup: .venv/.runtime ## make .venv from the hash-locked requirements

.venv/.runtime: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Threadseek needs Python 3.11 or newer; call make with PYTHON=python3.12, say."; exit 1; }
	@test -x $(BIN)/pip || $(PYTHON) -m venv .venv
	@echo "Installing Threadseek into .venv (once) ..."
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@$(BIN)/python -m compileall -q bots core adapters migrations
	@touch $@

.venv/.dev: .venv/.runtime requirements-dev.lock
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $@

run: .venv/.runtime ## start Threadseek: the playground, and every platform that has its tokens
	@$(BIN)/threadseek run

test: .venv/.dev ## run every test
	$(BIN)/python -m pytest -n 4 --dist worksteal $(addprefix --ignore=,$(ALONE))
	$(BIN)/python -m pytest $(ALONE)  # they keep a pace by the wall clock, or want all of the machine

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

bench: .venv/.bench ## measure everything against its bars, in some ten minutes (ARGS="--json", "store")
	@$(BIN)/python -m benchmarks $(ARGS)

bench-quick: .venv/.bench ## less of each, in two minutes
	@$(BIN)/python -m benchmarks --quick $(ARGS)

soak: .venv/.dev ## run under steady load with faults and draw its memory, files, tasks and lag (MINUTES=20)
	$(BIN)/python -m benchmarks.soak $(or $(MINUTES),20) $(ARGS)

bench-delivery: .venv/.dev ## how fresh a growing answer is, beside other bots (ARGS="--quick", "--json")
	@$(BIN)/python -m benchmarks.delivery $(ARGS)

bench-delivery-live: .venv/.dev ## the same by the shipped command in real time (ARGS="--json")
	@$(BIN)/python -m benchmarks.delivery_live $(ARGS)

bench-store: .venv/.dev ## measure the store (ARGS="--quick", "--large", "--json")
	@$(BIN)/python -m benchmarks.store $(ARGS)

bench-path: .venv/.dev ## thousands of live answers through everything (ARGS="--quick", "--json")
	@$(BIN)/python -m benchmarks.path $(ARGS)

bench-calls: .venv/.dev ## what an edit costs, beside aiohttp alone and the SDKs (ARGS as above)
	@$(BIN)/python -m benchmarks.calls $(ARGS)

bench-acks: .venv/.dev ## how soon events are acknowledged, beside the SDKs alone (ARGS as above)
	@$(BIN)/python -m benchmarks.acks $(ARGS)

bench-starting: .venv/.dev ## how long the command takes to start, and its idle memory (ARGS as above)
	@$(BIN)/python -m benchmarks.starting $(ARGS)

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
