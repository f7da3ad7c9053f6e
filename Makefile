# make run   sets everything up and ends with a registered champion
# make test  sets everything up and runs the default suite
# make lint  ruff, pyright and the import contracts
# make all   everything that .ci/run does

SHELL := /bin/bash
VENV  := .venv
BIN   := $(VENV)/bin
PYTHON := $(shell command -v python3.11 || command -v python3)
STAMP := $(VENV)/.installed

# Bytecode is kept whatever the surroundings say: hundreds of processes would compile the same
# thousands of modules.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: run test lint data-tests long-tests all clean

run: $(STAMP)
	$(BIN)/penstock run examples/breast_cancer.toml $(ARGS)

test: $(STAMP)
	$(BIN)/python -m pytest -n 3 --dist loadfile $(ARGS)

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports

# every settings file for the real tables in PENSTOCK_DATA (see tests/data)
data-tests: $(STAMP)
	$(BIN)/python -m pytest -m data $(ARGS)

# servers and stacks with kills, pauses and logins; half an hour
long-tests: $(STAMP)
	$(BIN)/python -m pytest -m long -n 3 --dist loadgroup $(ARGS)

all:
	bash .ci/run

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; v == (3, 11) or print(f"make: constraints.txt was made for Python 3.11; it is untested on {v[0]}.{v[1]}")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile -c constraints.txt -e '.[dev]'
	@$(BIN)/python -W ignore -c 'import great_expectations, mlflow.pyfunc, onnx, prefect, pytorch_lightning, sklearn.ensemble'
	@touch $@

clean:
	rm -rf $(VENV) .penstock .pytest_cache .ruff_cache
