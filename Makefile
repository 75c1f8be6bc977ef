# Every target needs .venv and makes it. `make help` explains them.
PYTHON ?= python3
CORPUS ?= demo
ROOT   ?=
ARGS   ?=
BIN    := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help setup reproduce sweep test lint format lock clean

help:  ## this list
	@echo "make TARGET [CORPUS=demo|iemocap|emodb|ravdess|...|table] [ROOT=folder of the corpus] [ARGS=\"key=value ...\"]"
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):[^#]*## */\1\t/' | awk -F'\t' '{printf "  %-10s %s\n", $$1, $$2}'

setup: .venv/installed  ## make .venv with everything in it (once; some minutes, torch is large)

.venv/installed: pyproject.toml requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; try make PYTHON=python3.11"; exit 1; }
	@echo "Installing into .venv (some minutes the first time)"
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint requirements.lock --editable '.[dev]'
	@touch $@

reproduce: .venv/installed  ## the paper's study: settings 1-4, Fig. 3-5, Tables 1-2; CORPUS, ROOT and ARGS choose on what
	$(BIN)/python -m ser_lightning.reproduce corpus=$(CORPUS) $(if $(ROOT),"corpus.root='$(ROOT)'") $(ARGS)

sweep: .venv/installed  ## the sensitivity sweep over alpha and lambda
	$(BIN)/python -m ser_lightning.train -m loss.alpha=0.1,0.3,0.5 loss.lam=0,0.5,1 corpus=$(CORPUS) $(if $(ROOT),"corpus.root='$(ROOT)'") $(ARGS)

test: .venv/installed  ## all tests
	$(BIN)/python -m pytest

lint: .venv/installed  ## ruff (lint, format) and mypy
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

format: .venv/installed  ## let ruff mend what it can
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

lock: .venv/installed  ## write the installed versions to requirements.lock
	{ sed -n 1p requirements.lock; $(BIN)/pip freeze --exclude-editable; } > requirements.lock.new && mv requirements.lock.new requirements.lock

clean:  ## remove .venv and what tools cached; outputs/ stays
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info
