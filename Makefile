# One door for people and CI. Nothing but Python 3.11 with pip and venv is presupposed.
PYTHON ?= python3.11
ifeq ($(shell command -v $(PYTHON) 2>/dev/null),)
PYTHON := python3
endif

.PHONY: help install demo up test test-slow check

help:
	@echo "make demo     set up, run the titanic story for real, print its predictions"
	@echo "make up       the same, and leave the server running"
	@echo "make test     every test;  make test-slow: the heavy ones;  make check: format, lint, types, imports"

install: .venv/installed

# Installed editable: the code is read from src, so only a change of dependencies installs again.
.venv/installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "mlengine needs Python 3.11 or newer; name one with make PYTHON=/path/to/python3.11")'
	@test -x .venv/bin/python || $(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet --disable-pip-version-check "uv>=0.9"
	.venv/bin/uv pip sync --quiet --python .venv/bin/python requirements.lock
	.venv/bin/uv pip install --quiet --python .venv/bin/python --no-deps --editable .
	.venv/bin/python -m compileall -q src
	@touch $@

demo: install
	scripts/demo

up: install
	KEEP=1 scripts/demo

check: install
	scripts/check

test: install
	scripts/test

test-slow: install
	scripts/test --slow
