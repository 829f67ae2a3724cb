# make demo    set up .venv, then train a frame-wise CLIP and TC-CLIP on generated videos, and report
# make test    set up .venv, then lint and run the tests
# make learn   set up .venv, then train in five minutes what shows that the method works and the world does not leak
# make benchmark set up .venv, then time model, kernels and data on this machine in five minutes
# make slow    set up .venv, then run the tests that take minutes
# make notebooks make the demo, then run the notebooks and store their outputs in them
# make mutants set up .venv, then change code and recipe in 2000 places, one at a time, and list what no test notices
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# a PYTHONPATH of the shell must not hide what pip installs into .venv
unexport PYTHONPATH

.PHONY: demo test learn benchmark slow notebooks mutants clean

$(VENV)/.installed: setup.cfg pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[dev]"
	touch $@

demo: $(VENV)/.installed
	$(BIN)/tcclip tour

# On small models two workers with one thread each beat one worker with two. A file stays on one worker, so that its
# fixtures are built once. In the order of their names the last files are small, so that no worker waits for the other.
test: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

learn: $(VENV)/.installed
	HF_HUB_OFFLINE=1 $(BIN)/pytest -m slow --capture no tests/learning

# B/16 and the small CLIP of the generated world. RESULTS is where the JSON goes.
RESULTS ?= outputs/benchmarks
benchmark: $(VENV)/.installed
	$(BIN)/tcclip benchmark model --batch_size 1 --repeats 3 --output $(RESULTS)/model.json
	$(BIN)/tcclip benchmark model --config synthetic --batch_size 1 8 --num_classes 72 --output $(RESULTS)/model_world.json
	$(BIN)/tcclip benchmark train --config synthetic --batch_size 8 --num_classes 36 --output $(RESULTS)/train_world.json
	$(BIN)/tcclip benchmark latency --config synthetic --num_classes 72 --output $(RESULTS)/latency_world.json
	$(BIN)/tcclip benchmark attention --batch_size 1 --repeats 5 --output $(RESULTS)/attention.json
	$(BIN)/tcclip benchmark matching --batch_size 1 --repeats 10 --output $(RESULTS)/matching.json
	$(BIN)/tcclip benchmark data --output $(RESULTS)/data.json

slow: $(VENV)/.installed
	$(BIN)/pytest -m slow

# The first one looks into the checkpoint of the demo, and would store its training.
notebooks: demo
	$(BIN)/python tests/notebooks/store_outputs.py

# Two hours on two cores. MUTANTS="--sample 14" draws 14 changes per file and takes 50 minutes; "--only FILE" takes one
# file. The list is in outputs/mutants.txt; tests/mutation/survivors.md has the last scores.
mutants: $(VENV)/.installed
	$(BIN)/python tests/mutation/run.py $(MUTANTS)
	$(BIN)/python tests/mutation/wrong_settings.py

clean:
	rm -rf $(VENV) build demo outputs *.egg-info
