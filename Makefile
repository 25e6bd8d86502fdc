# make run: the app. make test: everything CI checks. make bench: speed, as ratios.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: run test lint bench clean

run: .venv/app
	$(BIN)/streamlit run app.py --server.address localhost --server.port 8501

test: .venv/test lint
	$(BIN)/python -m tests.browser.chromium
	$(BIN)/pytest -n auto --dist loadfile --ignore tests/browser
	$(BIN)/pytest tests/browser -n 2 --dist loadfile

lint: .venv/test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

bench: .venv/bench
	$(BIN)/python -m benchmarks

clean:
	rm -rf .venv

# Each stamp is made anew only when the files it depends on change.
.venv/made:
	$(PYTHON) -m venv .venv
	touch $@

.venv/app: .venv/made requirements.txt
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements.txt
	touch $@

.venv/test: .venv/app pyproject.toml
	$(BIN)/pip install --quiet --disable-pip-version-check -e ".[test]"
	touch $@

.venv/bench: .venv/test
	$(BIN)/pip install --quiet --disable-pip-version-check -e ".[bench]"
	touch $@
