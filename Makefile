# Every target needs .venv and makes it. `make help` explains them.
PYTHON ?= python3
CORPUS ?= demo
ROOT   ?=
ARGS   ?=
BIN    := .venv/bin

# Install Debian's packages $(2) unless the program $(1) is there; one after the other, for targets side by side
define debian
@command -v $(1) >/dev/null || [ "$$(id -u)" != 0 ] || ! command -v apt-get >/dev/null || \
{ echo "Installing $(2)"; flock /var/lib/apt sh -c 'apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y $(2) >/dev/null'; } || \
echo "$(2) cannot be installed; the tests that need it will be skipped"
endef

.DEFAULT_GOAL := help
.PHONY: help setup ray reproduce losses systems sweep bench test test-browser test-cluster faults lint format lock clean

help:  ## this list
	@echo "make TARGET [CORPUS=demo|iemocap|emodb|ravdess|...|table] [ROOT=folder of the corpus] [ARGS=\"key=value ...\"]"
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## */\1\t/' | awk -F'\t' '{printf "  %-12s %s\n", $$1, $$2}'

setup: .venv/installed  ## make .venv with everything in it (once; some minutes, torch is large)

# Byte code is left to the first import, unless that may not write it, as in many containers.
.venv/installed: pyproject.toml requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; try make PYTHON=python3.11"; exit 1; }
	@echo "Installing into .venv (some minutes the first time)"
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet $(if $(PYTHONDONTWRITEBYTECODE),,--no-compile) --disable-pip-version-check --constraint requirements.lock --editable '.[dev]'
	@touch $@

ray: .venv-ray/installed  ## make .venv-ray, for hydra/launcher=ray: Ray, and all else from .venv

# Ray's launcher keeps to cloudpickle 2, joblib of .venv wants 3; torch, which is large, need not be there twice.
.venv-ray/installed: .venv/installed
	@echo "Installing Ray into .venv-ray"
	rm -rf .venv-ray
	$(BIN)/python -m venv .venv-ray
	$(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))' > "$$(.venv-ray/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/borrowed.pth"
	.venv-ray/bin/pip install --quiet --disable-pip-version-check --editable '.[ray]'
	@touch $@

reproduce: .venv/installed  ## the paper's study: settings 1-4, Fig. 3-5, Tables 1-2; CORPUS, ROOT and ARGS choose on what
	$(BIN)/python -m ser_lightning.reproduce corpus=$(CORPUS) $(if $(ROOT),"corpus.root='$(ROOT)'") $(ARGS)

losses: .venv/installed  ## what centre loss is measured against: ten losses with equal dropout and equally many tries, speakers apart
	$(BIN)/python -m ser_lightning.reproduce study=losses split=speaker "readout=[centers,svm,svm_rbf]" corpus=$(CORPUS) $(if $(ROOT),"corpus.root='$(ROOT)'") $(ARGS)

systems: .venv/installed  ## the paper, its predecessors, classical baselines and a pretrained front end; ARGS="study.weights=openai/whisper-base"
	$(BIN)/python -m ser_lightning.reproduce study=systems corpus=$(CORPUS) $(if $(ROOT),"corpus.root='$(ROOT)'") $(ARGS)

sweep: .venv/installed  ## the sensitivity sweep over alpha and lambda
	$(BIN)/python -m ser_lightning.train -m loss.alpha=0.1,0.3,0.5 loss.lam=0,0.5,1 corpus=$(CORPUS) $(if $(ROOT),"corpus.root='$(ROOT)'") $(ARGS)

bench: .venv/installed  ## speed and memory on this machine; ARGS="training run ..." chooses parts
	$(BIN)/python -m benchmarks $(ARGS)

test: .venv/installed  ## all tests but those of test-browser and test-cluster
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

test-browser: .venv/installed  ## pages in Chromium, of any width (as root; installs Debian's chromium)
	$(call debian,chromium,chromium)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m browser -rs $$(grep -rl 'mark\.browser' --include='test_*.py' tests)

test-cluster: .venv-ray/installed  ## sweeps on a real Slurm (as root; installs Debian's slurm-wlm and munge) and on Ray
	$(call debian,slurmctld,slurm-wlm munge)
	$(BIN)/python -m pytest -m cluster -rs tests/cluster

faults: .venv/installed  ## faults of all kinds, and how they end; ARGS="--count 1000 --seed 1 --kinds tables,sound --show"
	$(BIN)/python -m tests.faults $(ARGS)

lint: .venv/installed  ## ruff (lint, format) and mypy
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

format: .venv/installed  ## let ruff mend what it can
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

lock: .venv/installed  ## write the installed versions to requirements.lock
	{ sed -n 1p requirements.lock; $(BIN)/pip freeze --exclude-editable; } > requirements.lock.new && mv requirements.lock.new requirements.lock

clean:  ## remove .venv, .venv-ray and what tools cached; outputs/ stays
	rm -rf .venv .venv-ray .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info
