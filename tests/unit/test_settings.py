from __future__ import annotations

from pathlib import Path

import pytest

from mlengine.errors import InvalidArgument
from mlengine.settings import Settings, meaning, names, read_settings


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    """An environment in which every folder of the user lies in the test's own."""
    return {"XDG_DATA_HOME": str(tmp_path / "data"), "XDG_CACHE_HOME": str(tmp_path / "cache")}


def write_toml(tmp_path: Path, text: str) -> None:
    folder = tmp_path / "data" / "mlengine"
    folder.mkdir(parents=True)
    (folder / "mlengine.toml").write_text(text)


def test_with_nothing_set_the_defaults_hold(home: dict[str, str], tmp_path: Path) -> None:
    settings = read_settings({}, home)

    assert (settings.host, settings.port, settings.project) == ("127.0.0.1", 8080, "local")
    assert settings.data_dir == tmp_path / "data" / "mlengine"
    assert settings.cache_dir == tmp_path / "cache" / "mlengine"
    assert settings.database == f"sqlite:///{settings.data_dir}/mlengine.db"


def test_flags_win_over_variables_over_the_file_over_defaults(home: dict[str, str], tmp_path: Path) -> None:
    write_toml(tmp_path, 'port = 1\nproject = "from-file"\nmax_running_jobs = 1')
    variables = home | {"MLENGINE_PORT": "2", "MLENGINE_PROJECT": "from-variable"}

    settings = read_settings({"port": 3, "project": None}, variables)

    assert (settings.port, settings.project, settings.max_running_jobs) == (3, "from-variable", 1)


def test_the_file_of_the_chosen_data_directory_is_read(home: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "mlengine.toml").write_text('project = "here"')

    assert read_settings({"data_dir": str(tmp_path)}, home).project == "here"
    assert read_settings({}, home | {"MLENGINE_DATA_DIR": str(tmp_path)}).project == "here"


def test_an_empty_variable_is_one_that_is_not_set(home: dict[str, str]) -> None:
    assert read_settings({}, home | {"MLENGINE_PORT": "", "MLENGINE_HOST": ""}).port == 8080


def test_relative_folders_are_made_absolute(
    home: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    assert read_settings({"data_dir": "here"}, home).data_dir == tmp_path / "here"


def test_a_database_url_is_used_as_it_is(home: dict[str, str]) -> None:
    settings = read_settings({"database_url": "postgresql+psycopg://somewhere/db"}, home)

    assert settings.database == "postgresql+psycopg://somewhere/db"


def test_an_unknown_setting_in_the_file_is_refused_with_the_nearest(
    home: dict[str, str], tmp_path: Path
) -> None:
    write_toml(tmp_path, "prot = 80")

    with pytest.raises(
        InvalidArgument, match=r"mlengine.toml: unknown setting 'prot'. Did you mean 'port'\?"
    ):
        read_settings({}, home)


@pytest.mark.parametrize(
    ("toml", "complaint"),
    [
        ("port = ", "is not TOML"),
        ('port = "many"', "port is 'many'; it must be a whole number"),
        ("port = 80.5", "port is 80.5; it must be a whole number"),
        ("max_running_jobs = true", "max_running_jobs is True; it must be a whole number"),
        ("max_running_jobs = 0", "at least 1"),
        ("port = 65536", "between 0 and 65535"),
        ("port = -1", "between 0 and 65535"),
        ("tls_port = 65536", "tls_port is 65536; it must be between 0 and 65535"),
        ('tls_port = "many"', "tls_port is 'many'; it must be a whole number"),
        ("project = 5", "project is 5; it must be text"),
        ('project = "UPPER"', "no project id"),
        ('auth = "requierd"', "auth is 'requierd'; it must be required or loopback"),
        ('auth = "loopback"\nhost = "0.0.0.0"', "other machines would be let in without a token"),
    ],
)
def test_a_wrong_value_is_refused_by_name(
    home: dict[str, str], tmp_path: Path, toml: str, complaint: str
) -> None:
    write_toml(tmp_path, toml)

    with pytest.raises(InvalidArgument, match=complaint):
        read_settings({}, home)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_every_name_of_loopback_is_accepted(host: str, tmp_path: Path) -> None:
    assert Settings(host=host, data_dir=tmp_path, cache_dir=tmp_path).host == host


@pytest.mark.parametrize(
    ("host", "auth", "required"),
    [
        ("127.0.0.1", "", False),
        ("127.0.0.1", "loopback", False),
        ("127.0.0.1", "required", True),
        ("0.0.0.0", "", True),
        ("192.168.1.5", "required", True),
    ],
)
def test_tokens_are_required_wherever_others_could_come_in(
    tmp_path: Path, host: str, auth: str, required: bool
) -> None:
    settings = Settings(host=host, auth=auth, data_dir=tmp_path, cache_dir=tmp_path)

    assert settings.tokens_required is required


def test_jobs_reach_a_server_on_all_addresses_by_the_nearest(tmp_path: Path) -> None:
    settings = Settings(host="0.0.0.0", port=80, data_dir=tmp_path, cache_dir=tmp_path)

    assert settings.endpoint == "http://127.0.0.1:80"


def test_quotas_are_whole_numbers_and_none_unless_they_are_set(home: dict[str, str]) -> None:
    unset = read_settings({}, home)
    bounded = read_settings(
        {}, home | {"MLENGINE_STORAGE_QUOTA_BYTES": "5000000000", "MLENGINE_STORAGE_QUOTA_OBJECTS": "7"}
    )

    assert (unset.storage_quota_bytes, unset.storage_quota_objects) == (0, 0)
    assert (bounded.storage_quota_bytes, bounded.storage_quota_objects) == (5_000_000_000, 7)
    for wrong in ("-1", "5 GB", "1.5"):
        with pytest.raises(InvalidArgument, match="storage_quota_bytes"):
            read_settings({}, home | {"MLENGINE_STORAGE_QUOTA_BYTES": wrong})


def test_each_setting_tells_where_it_came_from(home: dict[str, str], tmp_path: Path) -> None:
    write_toml(tmp_path, 'port = 1\nproject = "from-file"')

    origins = read_settings({"port": 3}, home | {"MLENGINE_STANDBYS": "2"}).origins

    assert origins == {"port": "flag", "standbys": "environment", "project": "mlengine.toml"}


def test_where_settings_came_from_can_be_passed_on_with_them(home: dict[str, str]) -> None:
    assert read_settings({"port": 3}, home, origins={"host": "flag"}).origins == {"host": "flag"}


@pytest.mark.parametrize("name", names())
def test_each_setting_has_a_meaning_in_words(name: str) -> None:
    assert meaning(name).endswith(".")
