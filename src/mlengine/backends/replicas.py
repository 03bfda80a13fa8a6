"""From a job to the tasks an executor can run: packages out of the bucket, and the launcher's orders."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from mlengine.access.domain import JobTokens
from mlengine.backends.keys import write_private
from mlengine.backends.launcher import LOCK
from mlengine.environments import launcher_environment, trainer_environment
from mlengine.environments.contract import Access, first_task_type, gsutil_settings
from mlengine.jobs.domain import MASTER, Job, Replica, TrainingInput
from mlengine.jobs.executor import Task
from mlengine.machines import Role
from mlengine.names import ObjectUrl
from mlengine.storage.service import StorageService


class ReplicaTasks:
    """Prepares the tasks of jobs.

    Args:
        root: Folder in which each task gets one of its own, for environment and home, and each job one for
            its packages.
        locks: Folder for what jobs ran on, kept for good.
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
        locks: Path,
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
        self._locks = locks
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

    def prepare(self, job: Job) -> list[Task]:
        """Stage what `job` needs, and describe the tasks of its replicas; doing it twice is harmless.

        Raises:
            NotFound: a package has vanished from its bucket since the job was submitted.
        """
        packages = self._fetch_packages(job.training, self._root / f"{job.uid}.packages")
        cluster = _cluster(job)
        # The master last: when it begins, the others are on their way.
        waiting: list[Replica | None] = [*job.replicas[1:], *job.replicas[:1]]
        waiting = waiting or [None]
        return [self._task(job, replica, packages, cluster) for replica in waiting]

    def discard(self, job: Job) -> None:
        """Take away what was staged for `job`, of which nothing runs any more; what it ran on is kept."""
        lock = self._root / job.task_id / LOCK
        if lock.exists():
            self._locks.mkdir(parents=True, exist_ok=True)
            lock.replace(self._locks / f"{job.uid}.txt")
        for task_id in job.task_ids.values():
            shutil.rmtree(self._root / task_id, ignore_errors=True)
        shutil.rmtree(self._root / f"{job.uid}.packages", ignore_errors=True)

    def requirements(self, job: Job) -> str:
        """All distributions that `job` runs on, with versions and hashes; "" while nobody knows."""
        for place in (self._locks / f"{job.uid}.txt", self._root / job.task_id / LOCK):
            with suppress(FileNotFoundError):
                return place.read_text(encoding="utf-8")
        return ""

    def _task(
        self,
        job: Job,
        replica: Replica | None,
        packages: list[Path],
        cluster: Mapping[str, list[str]] | None,
    ) -> Task:
        name = replica.name if replica else MASTER
        folder = self._root / job.task_of(name)
        folder.mkdir(parents=True, exist_ok=True)
        training = job.training
        spec = {
            "runtime": training.runtime,
            "packages": [str(path) for path in packages],
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
                task_type="" if not replica or replica.role is Role.MASTER else replica.role.value,
                task_index=replica.index if replica else 0,
                cluster=cluster,
                machine=self._machine,
                access=self._access(job, folder),
            ),
            "task_dir": str(folder),
            "cache_dir": str(self._cache_dir),
        }
        # The job's token is in it.
        write_private(folder / "spec.json", json.dumps(spec).encode())
        return Task(
            task_id=job.task_of(name),
            argv=(sys.executable, "-m", "mlengine.backends.launcher", str(folder / "spec.json")),
            env=launcher_environment(self._machine),
            task_name=name,
            phased=True,
            memory_bytes=replica.memory_bytes if replica else None,
            # The replicas of a job share its processors as they need them.
            cpus=job.demand.cpus if replica and replica.reserved else None,
            gpus=replica.gpus if replica else None,
        )

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
                key_file=folder / "credentials.json",
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
            # Put in place as a whole: a replica may be reading what a server before this one fetched.
            draft = path.with_name(f".{path.name}.new")
            with draft.open("wb") as file:
                for piece in self._storage.open_read(url):
                    file.write(piece)
            draft.replace(path)
            paths.append(path)
        return paths


def _cluster(job: Job) -> dict[str, list[str]] | None:
    """Where each replica of each type listens, as TF_CONFIG has it; None in a job of one."""
    if len(job.replicas) < 2:
        return None
    found: dict[str, list[str]] = {}
    for replica in job.replicas:
        if replica.role is not Role.EVALUATOR:
            name = (
                first_task_type(job.training.runtime_version) if replica.role is Role.MASTER else replica.role
            )
            found.setdefault(str(name), []).append(f"127.0.0.1:{replica.port}")
    return found


def _snake(training: TrainingInput) -> dict[str, Any]:
    """TrainingInput as trainers have always seen it in TF_CONFIG and CLOUD_ML_JOB."""
    found = {
        "scale_tier": training.scale_tier or "BASIC",
        "master_type": training.master_type,
        "worker_type": training.worker_type,
        "worker_count": str(training.worker_count or ""),
        "parameter_server_type": training.parameter_server_type,
        "parameter_server_count": str(training.parameter_server_count or ""),
        "evaluator_type": training.evaluator_type,
        "evaluator_count": str(training.evaluator_count or ""),
        "package_uris": list(training.package_uris),
        "python_module": training.python_module,
        "args": list(training.args),
        "region": training.region,
        "runtime_version": training.runtime_version or training.runtime,
        "python_version": training.python_version,
        "job_dir": training.job_dir,
    }
    return {key: value for key, value in found.items() if value}
