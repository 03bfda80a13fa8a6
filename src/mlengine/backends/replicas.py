"""From a job to the task an executor can run: packages out of the bucket, and the launcher's orders."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlengine.environments import launcher_environment, trainer_environment
from mlengine.jobs.domain import MASTER, Job, TrainingInput
from mlengine.jobs.executor import Task
from mlengine.names import ObjectUrl
from mlengine.storage.service import StorageService


class ReplicaTasks:
    """Prepares the tasks of jobs.

    Args:
        root: Folder in which each task gets one of its own, for packages, environment and home.
        cache_dir: Where built runtimes are.
        endpoint: This server, as a job reaches it ("http://127.0.0.1:8080").
        machine: The server's own environment; what describes the machine is passed on.
    """

    def __init__(
        self,
        root: Path,
        storage: StorageService,
        *,
        cache_dir: Path,
        endpoint: str,
        project: str,
        machine: Mapping[str, str],
    ) -> None:
        self._root = root
        self._storage = storage
        self._cache_dir = cache_dir
        self._endpoint = endpoint
        self._project = project
        self._machine = machine

    def prepare(self, job: Job) -> Task:
        """Stage what `job` needs; doing it twice is harmless.

        Raises:
            NotFound: a package has vanished from its bucket since the job was submitted.
        """
        folder = self._root / job.task_id
        folder.mkdir(parents=True, exist_ok=True)
        training = job.training
        spec = {
            "runtime": training.runtime,
            "packages": [str(path) for path in self._fetch_packages(training, folder / "packages")],
            "python_module": training.python_module,
            "args": list(training.args),
            "job_dir": training.job_dir,
            "env": trainer_environment(
                job_id=job.name.job,
                training_input=_snake(training),
                project=self._project,
                storage_endpoint=self._endpoint,
                home=folder / "home",
                temporary=folder / "tmp",
                runtime_version=training.runtime_version,
                machine=self._machine,
            ),
            "task_dir": str(folder),
            "cache_dir": str(self._cache_dir),
        }
        partial = folder / "spec.partial"
        partial.write_text(json.dumps(spec))
        partial.replace(folder / "spec.json")
        return Task(
            task_id=job.task_id,
            argv=(sys.executable, "-m", "mlengine.backends.launcher", str(folder / "spec.json")),
            env=launcher_environment(self._machine),
            task_name=MASTER,
            phased=True,
        )

    def discard(self, job: Job) -> None:
        """Take away what was staged for `job`, of which nothing runs any more."""
        shutil.rmtree(self._root / job.task_id, ignore_errors=True)

    def _fetch_packages(self, training: TrainingInput, folder: Path) -> list[Path]:
        paths: list[Path] = []
        for position, uri in enumerate(training.package_uris):
            url = ObjectUrl.parse(uri)
            # Two packages may have the same file name in different folders; pip needs the name as it is.
            path = folder / str(position) / url.object.rsplit("/", 1)[-1]
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as file:
                for piece in self._storage.open_read(url):
                    file.write(piece)
            paths.append(path)
        return paths


def _snake(training: TrainingInput) -> dict[str, Any]:
    """TrainingInput as trainers have always seen it in TF_CONFIG and CLOUD_ML_JOB."""
    found = {
        "scale_tier": training.scale_tier or "BASIC",
        "master_type": training.master_type,
        "package_uris": list(training.package_uris),
        "python_module": training.python_module,
        "args": list(training.args),
        "region": training.region,
        "runtime_version": training.runtime_version or training.runtime,
        "python_version": training.python_version,
        "job_dir": training.job_dir,
    }
    return {key: value for key, value in found.items() if value}
