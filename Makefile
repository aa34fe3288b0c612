# What a person or CI does with a checkout. Set-up speaks on standard error only, so that output can be piped.
MAKEFLAGS += --no-print-directory
SHELL = /bin/sh
BIN = .venv/bin
export PYTHON

# Unless they are set, all that lasts stays in the checkout, and tests and `make run` share what was downloaded.
ifeq ($(strip $(AGENTOS_CACHE)),)
ifeq ($(strip $(AGENTOS_HOME)),)
run bench: export AGENTOS_CACHE = $(CURDIR)/.cache
endif
test: export AGENTOS_CACHE = $(CURDIR)/.cache
endif
ifeq ($(strip $(AGENTOS_HOME)),)
run bench: export AGENTOS_HOME = $(CURDIR)/.agentos
endif

.PHONY: help setup run test lint types bench stress docs lock ci clean
help: ## say what there is
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/make \1 \2/p' Makefile | awk '{ printf "%s %-7s", $$1, $$2; $$1 = $$2 = ""; print }'

setup: ## make .venv: pinned packages, agentos editable; does nothing when nothing changed
	@.ci/setup

run: setup ## open the prompt; the first time, fetch the kernel's model
	@$(BIN)/agentos $(ARGS)

test: setup ## run every test; ARGS="-k name" for some
	@$(BIN)/python -m pytest $(ARGS)

lint: setup ## style, and the layer contract
	@$(BIN)/ruff check .
	@$(BIN)/lint-imports --no-logo

types: setup ## mypy, strict
	@$(BIN)/mypy

bench: setup ## measure: plans, kernels, client start, policy, audit trail, jobs, loads, residency, eviction, vLLM, training, redaction
	@$(BIN)/agentos bench $(ARGS)

stress: setup ## kill the job system hundreds of times while jobs come in, and count what is lost; minutes
	@$(BIN)/python -m tests.jobs.chaos $(ARGS)

docs: setup ## write the READMEs' generated tables anew; ARGS=--translated once the Chinese one says what is new
	@$(BIN)/python -m agentos.interfaces.docs $(ARGS)

lock: ## write the locks anew from pyproject.toml (needs uv); ARGS=--upgrade for the newest
	@.ci/lock $(ARGS)

ci: ## all that must pass before a change lands
	@.ci/run

clean: ## remove .venv and build products; not .agentos, not .cache
	@rm -rf .venv build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
	@find . -name __pycache__ -not -path './.agentos/*' -prune -exec rm -rf {} +
