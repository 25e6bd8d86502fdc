# make run: the app. make test: everything CI checks. make bench: speed, as ratios.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: run test unit lint chromium bench clean
# A browser is installed while the code is checked.
MAKEFLAGS += -j2

run: .venv/app
	$(BIN)/streamlit run app.py --server.address localhost --server.port 8501

test: unit chromium
	$(BIN)/pytest tests/browser -n 2 --dist loadfile

unit: lint
	$(BIN)/pytest -n auto --dist loadfile --ignore tests/browser

chromium: .venv/test
	$(BIN)/python -m tests.browser.chromium

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
