"""What uv is told."""

from __future__ import annotations

from pathlib import Path

from mlengine.environments import uv
from mlengine.environments.builder import default_cache_dir


def test_pip_s_indexes_are_uv_s_when_uv_has_none() -> None:
    own = {
        "PIP_INDEX_URL": "https://mirror/simple",
        "PIP_EXTRA_INDEX_URL": "https://a/simple https://b/simple",
        "PIP_FIND_LINKS": "/wheels /more",
    }

    env = uv.variables(own)

    assert env["UV_DEFAULT_INDEX"] == "https://mirror/simple"
    assert env["UV_INDEX"] == "https://a/simple https://b/simple"
    assert env["UV_INDEX_STRATEGY"] == "unsafe-best-match"
    assert env["UV_FIND_LINKS"] == "/wheels,/more"


def test_uv_s_own_indexes_win_over_pip_s() -> None:
    env = uv.variables({"PIP_INDEX_URL": "https://pip/simple", "UV_INDEX_URL": "https://uv/simple"})

    assert env["UV_INDEX_URL"] == "https://uv/simple"
    assert "UV_DEFAULT_INDEX" not in env


def test_nothing_of_the_caller_s_python_reaches_uv_and_no_python_is_downloaded() -> None:
    foreign = ("PYTHONDONTWRITEBYTECODE", "PYTHONPATH", "VIRTUAL_ENV", "UV_CONSTRAINT", "UV_PROJECT")
    own = dict.fromkeys(foreign, "1") | {"UV_CACHE_DIR": "/cache", "UV_PYTHON_DOWNLOADS": "automatic"}

    env = uv.variables(own)

    assert not env.keys() & set(foreign)
    assert env["UV_CACHE_DIR"] == "/cache"
    assert env["UV_PYTHON_DOWNLOADS"] == "never"


def test_the_system_s_certificates_count_unless_the_user_says_otherwise() -> None:
    assert uv.variables({})["UV_SYSTEM_CERTS"] == "true"
    assert uv.variables({"UV_SYSTEM_CERTS": "false"})["UV_SYSTEM_CERTS"] == "false"


def test_the_cache_is_where_the_user_says_else_in_the_user_s_cache_folder() -> None:
    assert default_cache_dir({"MLENGINE_CACHE_DIR": "/big", "XDG_CACHE_HOME": "/x"}) == Path("/big")
    assert default_cache_dir({"XDG_CACHE_HOME": "/x"}) == Path("/x/mlengine")
    assert default_cache_dir({"XDG_CACHE_HOME": "relative"}) == Path.home() / ".cache" / "mlengine"
