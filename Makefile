# Each target sets up what it needs: on a fresh machine `make demo` and `make test` are all there is to do.

PYTHON := .venv/bin/python
LATEST := .venv-latest/bin/python

.PHONY: help setup demo test check live bench proto clean

help:
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST)

setup: ## make .venv with the oldest interpreter at hand
	@scripts/environment .venv "$$(scripts/interpreters | sed -n 1p)"

demo: setup ## the main job: a plugin in Python behind a real Vault server, every command shown
	@scripts/live/build vault
	@$(PYTHON) scripts/live/demo

test: setup ## everything that needs no real server, on the oldest and the newest interpreter
	@$(PYTHON) -m pytest
	@scripts/interpreters | tail -n +2 | while read interpreter; do \
		scripts/environment .venv-latest "$$interpreter" && $(LATEST) -m pytest || exit 1; \
	done

check: setup ## format, lint, types, layers, generated code
	@$(PYTHON) -m ruff format --check .
	@$(PYTHON) -m ruff check .
	@$(PYTHON) -m mypy
	@$(PYTHON) scripts/proto --check
	@$(PYTHON) -m pytest -q tests/test_layers.py tests/test_public_api.py

live: setup ## real servers: builds Vault and the official plugin once, then runs tests/live, on both engines
	@scripts/live/build
	@AUTHKIT_RPC=grpcio $(PYTHON) -m pytest tests/host tests/live
	@$(PYTHON) -m pytest tests/live

bench: setup ## beside the official Go plugin, on one server, in one run
	@scripts/live/build
	@$(PYTHON) scripts/live/bench

proto: setup ## write the protobuf code anew
	@$(PYTHON) scripts/proto

clean: ## remove what the targets above made in the checkout
	rm -rf .venv .venv-latest build .pytest_cache .mypy_cache .ruff_cache .hypothesis
