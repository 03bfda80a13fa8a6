"""PyTorch's checkpoints in buckets, through fsspec. The environment is built for it, which takes its time."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage

from tests.clients.conftest import Server

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

PROGRAM = """
import sys
import fsspec, torch
from torch.utils.data import DataLoader, Dataset


class Rows(Dataset):
    def __init__(self, url):
        self.url = url

    def __len__(self):
        return 8

    def __getitem__(self, index):
        with fsspec.open(f"{self.url}/{index}.pt", "rb") as source:
            return torch.load(source, weights_only=True)


def main(root):
    model = torch.nn.Sequential(torch.nn.Linear(512, 1024), torch.nn.ReLU(), torch.nn.Linear(1024, 3))
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.randn(4, 512)).sum().backward()
    optimizer.step()
    with fsspec.open(f"{root}/epoch=1/checkpoint.pt", "wb") as target:
        torch.save({"epoch": 1, "model": model.state_dict(), "optimizer": optimizer.state_dict()}, target)

    with fsspec.open(f"{root}/epoch=1/checkpoint.pt", "rb") as source:
        found = torch.load(source, weights_only=True)
    assert found["epoch"] == 1
    for name, tensor in model.state_dict().items():
        assert torch.equal(found["model"][name], tensor), name
    moment = optimizer.state_dict()["state"][0]["exp_avg"]
    assert torch.equal(found["optimizer"]["state"][0]["exp_avg"], moment)

    for index in range(8):
        with fsspec.open(f"{root}/rows/{index}.pt", "wb") as target:
            torch.save(torch.full((2,), float(index)), target)
    # Workers are processes of their own, each with its own connections.
    loader = DataLoader(Rows(f"{root}/rows"), batch_size=4, num_workers=2, multiprocessing_context="spawn")
    assert torch.cat(list(loader))[:, 0].tolist() == list(range(8))
    print("kept")


if __name__ == "__main__":
    main(sys.argv[1])
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment with PyTorch, installed as a person would."""
    folder = tmp_path_factory.mktemp("torch") / "env"
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    subprocess.run([sys.executable, "-m", "venv", folder], check=True, env=environment)
    wanted = ("torch==2.13.0", "numpy", f"gcsfs=={version('gcsfs')}")
    subprocess.run(
        [folder / "bin" / "python", "-m", "pip", "install", "--quiet", *wanted], check=True, env=environment
    )
    return folder / "bin" / "python"


def test_checkpoints_are_kept_in_buckets(
    server: Server, python: Path, bucket_name: str, tmp_path: Path
) -> None:
    with storage.Client(
        project="demo-project",
        credentials=AnonymousCredentials(),
        client_options={"api_endpoint": server.url},
    ) as client:
        client.create_bucket(bucket_name)
    (tmp_path / "trainer.py").write_text(PROGRAM)
    environment = os.environ | {"STORAGE_EMULATOR_HOST": server.url, "GOOGLE_CLOUD_PROJECT": "demo-project"}

    done = subprocess.run(
        [python, tmp_path / "trainer.py", f"gs://{bucket_name}"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )

    assert (done.returncode, done.stdout) == (0, "kept\n"), done.stderr
