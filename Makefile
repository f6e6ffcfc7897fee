# One command each: `make help` lists them. GNU make 3.81 (macOS) will do.

JOBS ?= 10000
SEQUENCES ?= 2000
ARGS ?=
BASE ?=

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help bench bench-gate bench-parts try example test test-deep check fmt clean rabbitmq-server pgbouncer chromium

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "make %-11s %s\n", $$1, $$2}' Makefile

bench: .venv/.bench rabbitmq-server ## Set up and compare the contenders: JOBS=10000 ARGS="--adapters distq-redis,celery-redis"
	@.venv/bin/python -m scenarios.run --jobs $(JOBS) $(ARGS)

bench-gate: .venv/.bench ## Fail where distq is slower than it was, for minutes: BASE=v1.0, else the last release
	@.venv/bin/python -m scenarios.against $(BASE) $(ARGS)

bench-parts: .venv/.bench ## Print what the parts of distq cost, for minutes: ARGS="--rounds 3"
	@.venv/bin/python -m tests.performance.budget $(ARGS)
	@.venv/bin/python -m tests.performance.enqueue $(ARGS)
	@.venv/bin/python -m tests.performance.listeners $(ARGS)

try: .venv/.bench ## Start a PostgreSQL and a Redis to try distq with, until Ctrl-C
	@.venv/bin/python -m scenarios.servers

example: .venv/.example ## Start a small shop with its workers and the dashboard, until Ctrl-C: ARGS=--quiet
	@.venv/bin/python -m examples.shop $(ARGS)

test: .venv/.dev rabbitmq-server pgbouncer chromium ## Set up and run the tests: ARGS="-k servers"
	@.venv/bin/python -m pytest -n 4 --dist loadfile $(ARGS)

test-deep: .venv/.dev ## Try new random sequences on PostgreSQL and Redis, for minutes: SEQUENCES=2000
	@SEQUENCES=$(SEQUENCES) .venv/bin/python -m pytest -n 2 tests/test_machine.py --hypothesis-profile deep --timeout 0 $(ARGS)

check: .venv/.dev ## Lint, formatting, types, who imports whom
	@.venv/bin/ruff check
	@.venv/bin/ruff format --check
	@.venv/bin/pyright
	@.venv/bin/lint-imports

fmt: .venv/.dev ## Format the code and sort its imports
	@.venv/bin/ruff check --fix-only --quiet
	@.venv/bin/ruff format

clean: ## Remove the virtual environment and all caches; results stay
	@rm -rf .venv build dist *.egg-info .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

rabbitmq-server pgbouncer chromium:
	@sh .ci/install-server.sh $@

# A stamp is made last: whatever is interrupted is done again, on top of what is there.
.venv/.bench: pyproject.toml
	@sh .ci/install-package.sh bench
	@touch $@

.venv/.example: pyproject.toml
	@sh .ci/install-package.sh example
	@touch $@

.venv/.dev: pyproject.toml
	@sh .ci/install-package.sh dev
	@touch .venv/.bench .venv/.example $@ # dev includes them
