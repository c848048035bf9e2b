# Doorward: `make` lists what there is. Everything sets itself up; see .ci/setup.
.DEFAULT_GOAL := help
.PHONY: help setup demo check test lock smoke bench soak screenshots
VENV := .venv/bin
ARGS ?=

help:  ## this list
	@echo "make TARGET [ARGS=\"…\"]"
	@sed -n 's/^\([a-z]*\):.*  ## \(.*\)/  \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

setup:  ## install all tools into .venv and node_modules
	@.ci/setup dev

demo:  ## play the whole story on this machine, then stay up to look around
	@.ci/setup demo
	@exec $(VENV)/python -m tests.story $(ARGS)

check: setup  ## format, lint, types, architecture: in half a minute
	$(VENV)/ruff format --check .
	$(VENV)/ruff check .
	$(VENV)/mypy
	$(VENV)/mypy -p tests.story
	$(VENV)/lint-imports --no-logo
	npm run --silent check

test: setup  ## all tests (ARGS are pytest's)
	@.ci/chromium
	npm test --silent
	$(VENV)/pytest $(ARGS)

lock:  ## resolve pyproject.toml into requirements/ anew
	@.ci/lock

smoke: setup  ## import each side in an environment that has only its own extra
	$(VENV)/pytest tests/smoke $(ARGS)

bench: setup  ## measure (tests/bench)
	@test -d tests/bench || { echo "No benchmarks yet: they come with the parts they measure."; exit 1; }
	$(VENV)/python -m tests.bench $(ARGS)

soak: setup  ## ring for hours and look for leaks (tests/soak)
	@test -d tests/soak || { echo "No soak test yet."; exit 1; }
	$(VENV)/python -m tests.soak $(ARGS)

screenshots: setup  ## take pictures of every page (tests/flows/screenshots.py)
	@.ci/chromium
	$(VENV)/python -m tests.flows.screenshots $(ARGS)
