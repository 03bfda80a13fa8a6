"""fsspec's own tests of file systems, through gcsfs: copy, get, put, open, mv and pipe."""

from __future__ import annotations

import fsspec.tests.abstract as abstract
import gcsfs
import pytest

from tests.clients.conftest import Server

# What gcsfs hands to aiohttp is gcsfs's affair.
pytestmark = pytest.mark.filterwarnings("ignore:Sending a large body directly with raw bytes:ResourceWarning")


def _bucket(suite: type) -> str:
    return f"suite-{suite.__name__.lower()}"


class Buckets(abstract.AbstractFixtures):
    """What the suite wants to know about a file system."""

    @pytest.fixture(scope="class")
    @classmethod
    def fs(cls, server: Server) -> gcsfs.GCSFileSystem:
        files = gcsfs.GCSFileSystem(
            project="demo-project", token="anon", endpoint_url=server.url, skip_instance_cache=True
        )
        files.mkdir(_bucket(cls))
        return files

    @pytest.fixture
    def fs_path(self) -> str:
        return _bucket(type(self))

    @pytest.fixture
    def supports_empty_directories(self) -> bool:
        return False


class TestCopy(abstract.AbstractCopyTests, Buckets):
    # Thirty patterns, each of which makes its own tree: too much for every run.
    test_copy_glob_edge_cases = pytest.mark.slow(abstract.AbstractCopyTests.test_copy_glob_edge_cases)


class TestGet(abstract.AbstractGetTests, Buckets):
    # Thirty patterns, each of which makes its own tree: too much for every run.
    test_get_glob_edge_cases = pytest.mark.slow(abstract.AbstractGetTests.test_get_glob_edge_cases)


class TestPut(abstract.AbstractPutTests, Buckets):
    # Thirty patterns, each of which makes its own tree: too much for every run.
    test_put_glob_edge_cases = pytest.mark.slow(abstract.AbstractPutTests.test_put_glob_edge_cases)


class TestPipe(abstract.AbstractPipeTests, Buckets):
    pass


class TestOpen(abstract.AbstractOpenTests, Buckets):
    def test_open_exclusive(self, fs: gcsfs.GCSFileSystem, fs_target: str) -> None:
        """The suite's one test, but for one step: gcsfs asks the server when a file is closed."""
        with fs.open(fs_target, "wb") as target:
            target.write(b"data")

        with pytest.raises(FileExistsError), fs.open(fs_target, "xb"):
            pass
        with fs.open(fs_target, "rb") as source:
            assert source.read() == b"data"
