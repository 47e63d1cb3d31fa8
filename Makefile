# Needs Python 3.11 or newer with venv, and nothing else.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test check wheel bench docs site clean

demo: $(VENV)/demo  ## set up and train CartPole to a solved policy
	$(BIN)/vibe-rl train cartpole_ppo

test: $(VENV)/dev  ## set up and run every test, a process on each core
	$(BIN)/python -m pytest -n auto --dist worksteal

check: $(VENV)/dev  ## lint, format, types, floors
	$(BIN)/ruff check --no-cache
	$(BIN)/ruff format --check --no-cache
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports

wheel: $(VENV)/dev  ## build it; install it with each Python found, and train
	$(BIN)/python scripts/check_install.py

bench: $(VENV)/dev  ## speed, side by side with a single-file script
	$(BIN)/python bench/speed.py ppo-64 dqn-1 sac-1 --repeats 3

docs: $(VENV)/dev  ## run every code block of the documentation
	$(BIN)/python -m pytest tests/test_docs.py

site: $(VENV)/dev  ## the documentation and an API reference as build/site/html
	$(BIN)/python docs/build_site.py

clean:
	rm -rf $(VENV) build

$(VENV)/demo: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet -c constraints.txt -e '.[plot]'
	touch $@

$(VENV)/dev: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet -c constraints.txt -e '.[dev]'
	touch $@
