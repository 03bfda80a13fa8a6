"""What importing the clients costs, and what it must not pull in."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

import mlengine

_MEASURE = """
import json, sys, time
began = time.process_time()
{statement}
taken = time.process_time() - began
print(json.dumps([taken, sorted(sys.modules)]))
"""


def fresh(statement: str) -> tuple[float, set[str]]:
    """The processor's seconds for a statement in a new interpreter, and the modules there afterwards."""
    code = _MEASURE.format(statement=statement)
    # With compiled modules, as anybody has them after the first time.
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    seconds, modules = json.loads(done.stdout)
    return seconds, set(modules)


@pytest.mark.parametrize("name", ["Client", "AsyncClient"])
def test_a_client_is_imported_in_less_than_200_ms(name: str):
    assert min(fresh(f"from mlengine import {name}; {name}()")[0] for _ in range(5)) < 0.2


def test_a_client_brings_no_table_and_no_loop():
    _, modules = fresh("from mlengine import Client; Client()")

    assert not {"numpy", "pandas", "pyarrow", "aiohttp", "asyncio", "cryptography"} & modules


def test_lists_are_predicted_without_numpy_pandas_and_pyarrow():
    statement = (
        "from mlengine import AsyncClient\n"
        "from mlengine.sdk.tables import rows_of, shaped\n"
        "assert shaped([row for part in rows_of([[1], [2]]).parts for row in part], 'list') == [[1], [2]]"
    )

    assert not {"numpy", "pandas", "pyarrow", "aiohttp"} & fresh(statement)[1]


def test_the_command_line_starts_without_the_clients():
    _, modules = fresh("import mlengine.cli.main, mlengine.client.api")

    assert not [name for name in modules if name.startswith("mlengine.sdk")]


def test_every_public_name_is_there_and_no_other():
    for name in mlengine._MODULES:
        assert getattr(mlengine, name).__name__ == name
        assert name in dir(mlengine)
    with pytest.raises(AttributeError, match="Klient"):
        mlengine.Klient  # noqa: B018
