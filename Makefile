# Everything from a clean clone. Only .venv here and callguard's folder in the user's cache are written to.
.DEFAULT_GOAL := help
# (make bench makes .venv-bench as well, make wheel dist.)
.PHONY: help demo test images lint bench faults wheel clean
BIN := .venv/bin

help: ## list what there is
	@sed -n 's/^\([a-z]*\):.*## /make \1	/p' $(MAKEFILE_LIST) | expand -t 16

demo: .venv/.ready ## real calls through a private Asterisk and callguard; ARGS="--json FILE --keep"
	@$(BIN)/callguard demo $(ARGS)

test: .venv/.ready ## all tests, those on a real Asterisk included; ARGS="-k name"
	@$(BIN)/pytest -n 3 --dist worksteal $(ARGS)

images: .venv/.ready ## build both images, run them and call through them; needs root
	@tools/setup images
	@$(BIN)/pytest -m images tests/images $(ARGS)

wheel: .venv/.ready ## dist/callguard-VERSION-py3-none-any.whl, which the image of callguard is built from
	@rm -rf dist
	@$(BIN)/hatchling build --target wheel --directory dist

lint: .venv/.ready ## ruff and mypy
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy

bench: .venv/.ready .venv-bench/.ready ## what a call costs, beside other gates in the same run (10 min); ARGS="--json FILE"
	@$(BIN)/python -m tests.bench --asyncari .venv-bench/bin/python $(ARGS)

faults: .venv/.ready ## every fault under load, many times, and a table (2 h, as root); ARGS="--times 5 --only text"
	@$(BIN)/python -m tests.faults.fuzz
	@$(BIN)/python -m tests.faults $(ARGS)

clean: ## remove .venv and what tools left here; the private Asterisk stays in the cache
	rm -rf .venv .venv-bench .mypy_cache .pytest_cache .ruff_cache .hypothesis dist build

.venv/.ready: pyproject.toml requirements-dev.txt tools/setup
	@tools/setup

.venv-bench/.ready: tests/bench/requirements.txt
	@[ -x .venv-bench/bin/pip ] || python3 -m venv --clear .venv-bench
	@.venv-bench/bin/pip install --quiet --disable-pip-version-check --require-hashes --requirement $<
	@touch $@
