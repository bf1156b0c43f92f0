# `make demo` fits a mock star and says where the report is; `make test` runs everything that is checked.
# Both create .venv on first use and use it again until pyproject.toml or constraints.txt change.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
JOBS ?= 2
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet -c constraints.txt

.DEFAULT_GOAL := help
.PHONY: help demo test lint types train-default docs constraints clean

help:
	@echo "make demo         fit a mock star; says where the report is"
	@echo "make test         lint, types and tests"
	@echo "make lint         ruff check and format, without changing files"
	@echo "make types        mypy"
	@echo "make train-default GRID=grid.h5 CORRECTED=corrected.h5   train the emulators of the package anew (an hour)"
	@echo "make docs         HTML documentation in docs/_build/html; warnings are errors"
	@echo "make constraints  resolve all dependencies anew and write constraints.txt"
	@echo "make clean        remove what these targets made"

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Bayne needs Python 3.11 or newer: make PYTHON=python3.12 ..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }

$(VENV)/.base: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) -e .
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) -e '.[dev]'
	@touch $@ $(VENV)/.base

$(VENV)/.docs: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) -e '.[docs]'
	@touch $@ $(VENV)/.base

demo: $(VENV)/.base
	$(BIN)/bayne demo --output demo --overwrite

lint: $(VENV)/.dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: $(VENV)/.dev
	$(BIN)/mypy

test: export BAYNE_CACHE := $(CURDIR)/.jax_cache
test: export JAX_COMPILATION_CACHE_DIR := $(CURDIR)/.jax_cache/jax
test: export JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS := 0.3
test: export OPENBLAS_NUM_THREADS := 1
test: lint types
	$(BIN)/pytest -n $(JOBS)

train-default: $(VENV)/.base
	@test -n "$(GRID)" -a -n "$(CORRECTED)" || { echo "say which grids, see benchmarks/train_default.py:" \
	  "make train-default GRID=galah_pysme_stagger.h5 CORRECTED=corrected.h5" >&2; exit 1; }
	$(BIN)/python benchmarks/train_default.py --grid $(GRID) --corrected $(CORRECTED)

docs: export PATH := $(CURDIR)/$(BIN):$(PATH)
docs: $(VENV)/.docs
	$(BIN)/sphinx-build -W --keep-going -b html docs docs/_build/html

constraints:
	rm -rf build/constraints
	$(PYTHON) -m venv build/constraints
	build/constraints/bin/python -m pip --disable-pip-version-check install --quiet -e '.[dev,docs]'
	{ echo "# Exact versions of Bayne's dependencies, extras dev and docs included: what is tested."; \
	  echo "# Written by 'make constraints' (newest versions that fit, Python 3.11); do not edit."; \
	  build/constraints/bin/python -m pip --disable-pip-version-check freeze --exclude bayne \
	    | grep -E '^[A-Za-z0-9._-]+==' | LC_ALL=C sort -f; } > constraints.txt.part
	mv constraints.txt.part constraints.txt
	rm -rf build/constraints

clean:
	rm -rf $(VENV) build dist demo docs/_build .jax_cache .mypy_cache .pytest_cache .ruff_cache
