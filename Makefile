# make demo    set up .venv, then train and test on generated videos
# make test    set up .venv, then lint and run all tests
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# pip and python find the same site-packages whatever the shell has set
unexport PYTHONPATH

.PHONY: demo test clean

$(VENV)/.installed: setup.cfg pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[dev]"
	touch $@

demo: $(VENV)/.installed
	$(BIN)/tcclip make-demo demo
	$(BIN)/tcclip fit --config demo.yaml

# Two workers with one thread each are faster on small models than one with two; a file stays whole for its fixtures.
test: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses 2 --dist loadfile

clean:
	rm -rf $(VENV) build demo outputs *.egg-info
