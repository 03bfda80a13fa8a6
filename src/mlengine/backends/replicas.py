"""From a job to the task an executor can run: packages out of the bucket, and the launcher's orders."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from mlengine.access.domain import JobTokens
from mlengine.backends.keys import write_private
from mlengine.environments import launcher_environment, trainer_environment
from mlengine.environments.contract import Access, gsutil_settings
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
        tokens: Makes the token of each job.
        tls_port: This server's port for https; 0 where it has none.
        roots: File of the authorities that clients of this server trust.
        agent: Email of the account that a project's jobs are.
        private_key: The private half of the key that all jobs have, as PEM.
        tokens_required: Whether the server answers nobody without a token.
    """

    def __init__(
        self,
        root: Path,
        storage: StorageService,
        *,
        cache_dir: Path,
        endpoint: str,
        machine: Mapping[str, str],
        tokens: JobTokens,
        tls_port: int,
        roots: Path,
        agent: Callable[[str], str],
        private_key: Callable[[], str],
        tokens_required: bool,
    ) -> None:
        self._root = root
        self._storage = storage
        self._cache_dir = cache_dir
        self._endpoint = endpoint
        self._machine = machine
        self._tokens = tokens
        self._tls_port = tls_port
        self._roots = roots
        self._agent = agent
        self._private_key = private_key
        self._tokens_required = tokens_required

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
                project=job.name.project,
                storage_endpoint=self._endpoint,
                home=folder / "home",
                temporary=folder / "tmp",
                runtime_version=training.runtime_version,
                machine=self._machine,
                access=self._access(job, folder),
            ),
            "task_dir": str(folder),
            "cache_dir": str(self._cache_dir),
        }
        # The job's token is in it.
        write_private(folder / "spec.json", json.dumps(spec).encode())
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

    def _access(self, job: Job, folder: Path) -> Access | None:
        if not self._tls_port:
            return None
        boto_config = folder / "boto.cfg"
        boto_config.write_text(
            gsutil_settings(
                host=urlsplit(self._endpoint).hostname or "",
                tls_port=self._tls_port,
                roots=self._roots,
                project=job.name.project,
                state=folder / "home" / ".gsutil",
            )
        )
        token = self._tokens.issue(f"{job.name.project}.{job.name.job}")
        key_file = folder / "credentials.json"
        write_private(key_file, json.dumps(self._key(job, token)).encode())
        return Access(
            token=token,
            roots=self._roots,
            boto_config=boto_config,
            key_file=key_file,
            required=self._tokens_required,
        )

    def _key(self, job: Job, token: str) -> dict[str, str]:
        """A key for Google's libraries. Its id is what opens; all jobs have the same private half."""
        return {
            "type": "service_account",
            "project_id": job.name.project,
            "private_key_id": token,
            "private_key": self._private_key(),
            "client_email": self._agent(job.name.project),
            "client_id": "0",
            "token_uri": f"{self._endpoint}/token",
            "universe_domain": "googleapis.com",
        }

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
