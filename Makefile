# Each target sets up what it needs: on a fresh machine `make demo` and `make test` are all there is to do.

PYTHON := .venv/bin/python
WORKERS := $(shell echo $$((2 * $$(getconf _NPROCESSORS_ONLN))))
# Twice as many tests at once as there are cores, as many of them wait; those of one file one after the other, as they
# share what is slow to make.
PARALLEL := -m pytest --numprocesses $(WORKERS) --dist loadfile
SEED := $(shell date +%s)
# What depends on the gRPC engine: processes, connections, messages. Rules on tokens and bodies do not see it.
ENGINE_TESTS := $(patsubst %,tests/live/test_%.py,cluster database ending faults handlers leases lifecycle logins oidc_cli protocol_4 reliability_crashes session torture)

.PHONY: help setup demo demo-vault dev test test-all test-shuffled coverage fuzz check live tutorial bench compare torture docs dist proto clean

help:
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST)

setup: ## make .venv with the oldest interpreter at hand
	@scripts/environment .venv "$$(scripts/interpreters | sed -n 1p)"

demo: ## the main job with no Vault installed: a plugin in Python, from registration to revocation
	@scripts/environment .venv "$$(scripts/interpreters | sed -n 1p)" demo
	@$(PYTHON) scripts/demo

dev: ## the same, left running, for a browser or the vault command
	@scripts/environment .venv "$$(scripts/interpreters | sed -n 1p)" demo
	@$(PYTHON) scripts/demo --stay

demo-vault: setup ## a plugin in Python behind a real Vault server, every command shown
	@scripts/live/build vault
	@$(PYTHON) scripts/live/demo

test: setup ## everything that needs no real server, on the oldest interpreter at hand
	@$(PYTHON) $(PARALLEL)

test-all: test ## the same on the newest interpreter as well, on the wheels
	@scripts/interpreters | tail -n +2 | while read interpreter; do \
		scripts/environment .venv-latest "$$interpreter" && \
		scripts/test_wheel .venv-latest --numprocesses $(WORKERS) --dist loadfile || exit 1; \
	done

test-shuffled: setup ## the same in random order; SEED=... repeats one
	@echo "SEED=$(SEED)"
	@$(PYTHON) $(PARALLEL) --random-order --random-order-bucket global --random-order-seed $(SEED)

# What these measure, imports and milliseconds, is another thing while branches are measured.
UNCOVERED := $(patsubst %,--deselect tests/%, \
	unit/plugin/test_plugin_handshake.py::test_refusing_a_cookie_needs_no_heavy_import \
	unit/credentials/test_passwords.py::test_nothing_heavy_is_imported_at_start \
	unit/testing/test_testing_simulator.py::test_a_suite_is_fast)

coverage: setup ## branches of authkit/ that the tests take, processes included: a table, and build/coverage.json
	@rm -f .coverage .coverage.*
	@$(PYTHON) -m coverage run $(PARALLEL) -q $(UNCOVERED)
	@$(PYTHON) -m coverage combine --quiet
	@mkdir -p build && $(PYTHON) -m coverage json --quiet -o build/coverage.json
	@$(PYTHON) -m coverage report

fuzz: setup ## hostile input, guided by coverage: a quarter of an hour; figures in build/fuzz.json
	@$(PYTHON) -m pip --disable-pip-version-check --quiet install --requirement requirements/fuzz.txt
	@$(PYTHON) scripts/fuzz

# What a change must pass before its tests run. The slow ones come first: as many run at once as there are cores.
CHECKS := pyright mypy site habits proto style workflows
.PHONY: $(CHECKS:%=check-%)

check: setup ## format, lint, types (mypy and pyright), layers, changelog, generated code, workflows, the site
	@$(MAKE) --no-print-directory --jobs "$$(getconf _NPROCESSORS_ONLN)" --output-sync $(CHECKS:%=check-%)

check-pyright:
	@$(PYTHON) -m pyright --warnings

check-mypy:
	@$(PYTHON) -m mypy

check-site:
	@scripts/site/build

check-habits:
	@$(PYTHON) -m pytest -q tests/test_layers.py tests/test_public_api.py tests/test_changelog.py tests/test_reference.py

check-proto:
	@$(PYTHON) scripts/proto --check

check-style:
	@$(PYTHON) -m ruff format --check .
	@$(PYTHON) -m ruff check .

check-workflows:
	@.venv/bin/zizmor --quiet --offline .github

# Two files at once: tests with real servers wait most of the time. What compares times runs alone, at the end.
# The paths of sockets are short (107 bytes), and so must be those of temporary folders.
LIVE := -m pytest --numprocesses 2 --dist loadfile --basetemp
TIMED := tests/live/test_speed.py tests/live/test_bench.py

live: setup ## real servers: builds Vault and the official plugin once, then runs tests/live; what depends on the engine, on both
	@scripts/live/build
	@scripts/live/browser
	@scripts/live/provider
	@folder=$$(mktemp -d /tmp/live-XXXXXX) && trap 'rm -rf "$$folder"' EXIT && \
		AUTHKIT_RPC=grpcio $(PYTHON) $(LIVE) "$$folder/1" tests/host $(ENGINE_TESTS) && \
		$(PYTHON) $(LIVE) "$$folder/2" tests/live $(TIMED:%=--ignore=%)
	@$(PYTHON) -m pytest $(TIMED)

tutorial: setup ## what a stranger does: each page of the tutorial, from an empty folder to a plugin on a real server
	@scripts/live/build vault
	@scripts/live/browser
	@$(PYTHON) scripts/live/tutorial

bench: setup ## beside the official Go plugin, on one server, in one run
	@scripts/live/build
	@$(PYTHON) scripts/live/bench

compare: setup ## the smallest example beside the same method in Go: writes the tables of docs/why.md
	@scripts/live/build
	@$(PYTHON) scripts/live/compare

torture: setup ## faults of plugins, servers and providers, in less than 40 minutes: writes the table of docs/reliability.md
	@scripts/live/build
	@$(PYTHON) scripts/live/torture

docs: setup ## the documentation site, in build/site; a warning is an error
	@scripts/site/build

dist: ## wheels and source archives of authkit and of the JWT example, in dist/; one commit gives the same bytes
	@scripts/environment .venv-release "$$(scripts/interpreters | sed -n 1p)" release
	@.venv-release/bin/python scripts/dist dist

proto: setup ## write the protobuf code anew
	@$(PYTHON) scripts/proto

clean: ## remove what the targets above made in the checkout
	rm -rf .venv .venv-latest .venv-release .coverage build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
