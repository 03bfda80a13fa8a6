"""Machine, runtimes, settings, audit log and TensorBoards, wired; apart from `application` for its length."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from mlengine.access.domain import JobTokens
from mlengine.access.guard import Guard
from mlengine.access.rules import Need, On
from mlengine.administration import methods as administration_methods
from mlengine.administration import tensorboard_methods
from mlengine.administration.audit import AuditService
from mlengine.administration.domain import Setting
from mlengine.administration.runtimes import RuntimeService
from mlengine.administration.service import MachineService
from mlengine.app.between import project_of
from mlengine.backends.audit_file import AuditFile
from mlengine.backends.executors.local import LocalExecutor
from mlengine.backends.gateway_link import GatewayLink
from mlengine.backends.measurement import Measurement, worker_processes
from mlengine.backends.tensorboards import TensorBoards
from mlengine.backends.workers import ChildWorkers
from mlengine.clock import system_clock
from mlengine.database import Database
from mlengine.environments import Builder, program_environment
from mlengine.environments.contract import Access
from mlengine.errors import FailedPrecondition, Unavailable
from mlengine.jobs.executor import Sample
from mlengine.jobs.service import JobService
from mlengine.machines import Machine
from mlengine.models.service import ModelService
from mlengine.projects.service import ProjectService
from mlengine.settings import Settings, meaning, names
from mlengine.storage.blobs import Blobs
from mlengine.storage.service import StorageService
from mlengine.web.method import Call, Method

# What a TensorBoard is called where a job's token says who asks.
_NAME = "tensorboard"
_NO_BLOB = "0"


class Administration:
    """What those look at who run the server.

    Args:
        threads: The loops, which are well while they live.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        jobs: JobService,
        models: ModelService,
        storage: StorageService,
        blobs: Blobs,
        projects: ProjectService,
        database: Database,
        gateway: GatewayLink,
        workers: ChildWorkers,
        executor: LocalExecutor,
        audit: AuditFile,
        guard: Guard,
        job_tokens: JobTokens,
        machine: Machine,
        roots: Path,
        threads: Callable[[], Sequence[threading.Thread]],
    ) -> None:
        self._guard = guard
        self._projects = projects
        self._storage = storage
        builder = Builder(settings.cache_dir)
        self._boards = TensorBoards(
            settings.data_dir / "tensorboards",
            builder,
            system_clock,
            environment=lambda project, home, temporary: (
                program_environment(
                    project=project,
                    storage_endpoint=settings.endpoint,
                    home=home,
                    temporary=temporary,
                    machine=os.environ,
                    access=Access(
                        token=job_tokens.issue(f"{project}.{_NAME}"),
                        roots=roots,
                        boto_config=home / "boto.cfg",
                        required=settings.tokens_required,
                    )
                    if settings.tls_port
                    else None,
                )
                | {"CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "2"}
            ),
        )

        def last_sample(task: str) -> Sample | None:
            return next(reversed(executor.samples(task, None)), None)

        def database_answers() -> None:
            with database.read() as db:
                db.exec_driver_sql("SELECT 1")

        machine_service = MachineService(
            jobs,
            models,
            machine=machine,
            slots=settings.max_running_jobs,
            measure=Measurement(settings.data_dir).measure,
            last_sample=last_sample,
            processes=lambda: worker_processes(workers.processes()),
            checks={
                "database": database_answers,
                # A key never seen has no bytes; a store that is not there says so.
                "blobs": lambda: blobs.progress(_NO_BLOB),
                "gateway": gateway.figures,
                "loops": lambda: _all_live(threads()),
            },
        )
        self._rows = administration_methods.methods(
            machine_service,
            RuntimeService(
                builder, in_use=machine_service.runtimes_in_use, build=_in_a_process(settings.cache_dir)
            ),
            AuditService(
                audit,
                first_project=settings.project,
                bucket_project=lambda bucket: project_of(bucket, storage),
            ),
            settings=in_force(settings),
            sees=self._sees,
        )

    def methods(self) -> list[Method]:
        """The rows, to be put behind the guard."""
        return [*self._rows, *tensorboard_methods.methods(self._boards, may_read=self._may_read)]

    def pages(self) -> list[Method]:
        """The rows at which browsers see TensorBoards; their path is the credential."""
        return tensorboard_methods.pages(self._boards)

    def stop(self) -> None:
        """End what was started here."""
        self._boards.close()

    def _sees(self, call: Call) -> Callable[[str], bool]:
        who = self._guard.identify(call)
        seen = {
            project.project_id
            for project in self._projects.list()
            if self._guard.allows(call, "ml.jobs.list", f"projects/{project.project_id}")
        }
        if not seen:
            self._guard.check(who, Need("ml.jobs.list", On.SERVER), call)
        return seen.__contains__

    def _may_read(self, call: Call, bucket: str) -> None:
        who = self._guard.identify(call)
        about = replace(call, path={**call.path, "bucket": bucket})
        for verb in ("list", "get"):
            self._guard.check(who, Need(f"storage.objects.{verb}", On.BUCKET), about)
        self._storage.buckets.get(bucket)


def in_force(settings: Settings) -> list[Setting]:
    """The settings as they may be shown."""
    return [
        Setting(
            name=name,
            value=_shown(name, str(getattr(settings, name))),
            origin=settings.origins.get(name, "default"),
            meaning=meaning(name),
        )
        for name in names()
    ]


def _shown(name: str, value: str) -> str:
    """A database's URL may hold a password, before the host or in its query; then nothing of it is shown."""
    return "set" if name == "database_url" and ("@" in value or "?" in value) else value


def _all_live(threads: Sequence[threading.Thread]) -> None:
    dead = [thread.name for thread in threads if not thread.is_alive()]
    if dead:
        raise Unavailable(f"Ended: {', '.join(dead)}. Start the server again; its log tells why.")


def _in_a_process(cache_dir: Path) -> Callable[[str, Callable[[str], None]], None]:
    def build(name: str, hear: Callable[[str], None]) -> None:
        environment: Mapping[str, str] = dict(os.environ) | {"MLENGINE_CACHE_DIR": str(cache_dir)}
        command = [sys.executable, "-m", "mlengine.environments.build", name]
        said: list[str] = []
        with subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            env=environment,
        ) as process:
            assert process.stderr is not None
            for line in process.stderr:
                said.append(line.strip())
                hear(line.strip())
        if process.returncode != 0:
            raise FailedPrecondition("\n".join(said[-20:]) or f"The runtime {name} cannot be built.")

    return build
