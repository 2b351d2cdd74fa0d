# `make demo` and `make test` do everything on a machine that has only Python, pip and make.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
DEMO := build/demo

# Tests start many processes: compiled once, each of them begins at once.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo test test-all check format bench results build clean

help:
	@echo "make demo      ingest the demo corpus, ask it three questions, and measure it on sixty"
	@echo "make test      run the tests (less than two minutes on two cores)"
	@echo "make test-all  run the slow tests as well"
	@echo "make check     lint, types and the import law"
	@echo "make bench     measure; make results writes docs/results.md from the measurements"
	@echo "make build     build the wheel and try it away from the checkout"

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --group dev --editable ".[server,judge,llm,local-llm,mcp,llama-index,otel,tune]"
	touch $@

demo: $(READY)
	@rm -rf $(DEMO) && mkdir -p $(DEMO) && cp -R demo/documents $(DEMO)/
	@cd $(DEMO) && ../../$(BIN)/ragwright ingest documents
	@set -e; cd $(DEMO); while read -r question; do \
	  printf '\n> ragwright ask "%s"\n\n' "$$question"; \
	  ../../$(BIN)/ragwright ask "$$question"; \
	done < ../../demo/three_questions.txt
	@printf '\n> ragwright eval run questions.jsonl\n\n'
	@cp demo/questions.jsonl $(DEMO)/ && cd $(DEMO) && ../../$(BIN)/ragwright eval run questions.jsonl --name demo
	@echo "open $(DEMO)/.ragwright/runs/demo/report.html in a browser"

test: $(READY)
	$(BIN)/python -m pytest -n auto --dist loadfile -m "not slow and not service and not gpu"

test-all: $(READY)
	HYPOTHESIS_PROFILE=thorough $(BIN)/python -m pytest

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

$(VENV)/.bench: $(READY)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --group bench
	touch $@

bench: $(VENV)/.bench
	for name in sentences chunk encode rerank scoring published evidence retrieval ingest ingest_peers \
	  query scale quantised serve; do echo "== $$name"; $(BIN)/python bench/$$name.py || exit 1; done
	$(BIN)/python bench/results.py

results: $(VENV)/.bench
	$(BIN)/python bench/results.py

build: $(READY)
	rm -rf dist
	$(BIN)/python -m build --outdir dist
	sh tests/wheel.sh

clean:
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
