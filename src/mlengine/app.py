"""The plan: settings in, wired application out. Two processes start here.

`serve` is the gateway, which owns the port and is the parent of all; `control` is the control plane,
which the gateway starts and restarts. Each imports only what it needs.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import mlengine
from mlengine.clock import system_clock, to_text
from mlengine.errors import FailedPrecondition, Problem
from mlengine.settings import Settings, read_settings

if TYPE_CHECKING:
    from mlengine.access.policies import PolicyService
    from mlengine.access.publisher import Publisher
    from mlengine.access.service import AccessService
    from mlengine.jobs.loop import JobLoop
    from mlengine.jobs.service import JobService
    from mlengine.models.service import ModelService
    from mlengine.names import ObjectUrl
    from mlengine.projects.service import ProjectService
    from mlengine.serving.loop import ServingLoop
    from mlengine.storage.loop import CollectLoop
    from mlengine.storage.service import StorageService
    from mlengine.web.fork import Fork
    from mlengine.web.method import Call, Json

# A Unix socket's path has at most 107 bytes on Linux, 103 on macOS; our longest file name takes 24 of them.
_LONGEST_SOCKET_FOLDER = 78
# Compiled into clients. More than are answered for today: other names would need a new authority.
_CERTIFIED_NAMES = (
    "www.googleapis.com",
    "storage.googleapis.com",
    "oauth2.googleapis.com",
    "accounts.google.com",
)
# Uploads that nobody has gone on with for a week expire, as in Google's store.
_FORGOTTEN_AFTER = timedelta(days=7)
# For requests that are being answered when the server is told to stop.
_ENDING_SECONDS = 5.0


def main(arguments: Sequence[str] | None = None) -> int:
    """`python -m mlengine.app serve|control`: run one of the two server processes; returns its exit code."""
    parser = argparse.ArgumentParser(prog="mlengine server")
    parser.add_argument("process", choices=["serve", "control"])
    parser.add_argument("--host")
    parser.add_argument("--port")
    parser.add_argument("--tls-port")
    parser.add_argument("--data-dir")
    parser.add_argument("--auth")
    given = vars(parser.parse_args(arguments))
    process = given.pop("process")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("alembic").setLevel(logging.WARNING)
    try:
        settings = read_settings(given, os.environ)
        return serve(settings) if process == "serve" else control(settings)
    except Problem as problem:
        sys.stderr.write(f"ERROR: {problem.message}\n{problem.hint}".rstrip() + "\n")
        return 1


def serve(settings: Settings) -> int:
    """Run the gateway, and below it everything else, until told to stop.

    Raises:
        FailedPrecondition: another server uses the data directory, or the port is taken.
    """
    from mlengine.backends.certificates import Certificates, roots_file
    from mlengine.backends.keys import job_secret, keys_folder, token_secret
    from mlengine.environments.proxies import STORAGE_HOSTS, https_proxy, no_proxy
    from mlengine.serving.gateway.process import run
    from mlengine.serving.gateway.settings import GatewaySettings, Ports

    run_dir = settings.data_dir / "run"
    run_dir.mkdir(parents=True, exist_ok=True)
    sockets = socket_folder(settings.data_dir)
    with ExitStack() as stack:
        _lock(stack, run_dir / "server.lock", settings.data_dir, seconds=0.5)
        record = run_dir / "server.json"

        keys = keys_folder(settings.data_dir)
        certificates = Certificates(keys, (settings.host, *_CERTIFIED_NAMES), system_clock)

        def certificate() -> Path:
            file = certificates.renew()
            certificates.gather_roots(os.environ)
            return file

        def on_listening(ports: Ports) -> None:
            found = {
                "pid": os.getpid(),
                "host": settings.host,
                "port": ports.plain,
                "tlsPort": ports.tls,
                "caFile": str(roots_file(keys)),
                "auth": "required" if settings.tokens_required else "loopback",
                "started": to_text(system_clock()),
                "version": mlengine.__version__,
            }
            partial = record.with_suffix(".partial")
            partial.write_text(json.dumps(found))
            partial.replace(record)

        stack.callback(record.unlink, missing_ok=True)
        return run(
            GatewaySettings(
                host=settings.host,
                port=settings.port,
                tls_port=settings.tls_port,
                certificate=certificate,
                job_secret=job_secret(keys),
                token_secret=token_secret(keys),
                tokens_required=settings.tokens_required,
                first_project=settings.project,
                impersonated_hosts=STORAGE_HOSTS,
                outer_proxy=https_proxy(os.environ),
                outer_no_proxy=no_proxy(os.environ),
                control_socket=str(sockets / "control.sock"),
                admin_socket=str(sockets / "admin.sock"),
                bulk_socket=str(sockets / "bulk.sock"),
                back_socket=str(sockets / "back.sock"),
                control_argv=(
                    sys.executable,
                    "-P",
                    "-m",
                    "mlengine.app",
                    "control",
                    "--host",
                    settings.host,
                    "--data-dir",
                    str(settings.data_dir),
                    "--auth",
                    "required" if settings.tokens_required else "loopback",
                ),
            ),
            on_listening=on_listening,
        )


def control(settings: Settings) -> int:
    """Run the control plane on its Unix socket until told to stop, or until the gateway is gone.

    Raises:
        FailedPrecondition: another control plane does not let go of the data directory.
    """
    tether = int(os.environ["MLENGINE_TETHER_FD"]) if "MLENGINE_TETHER_FD" in os.environ else None
    if tether is not None:
        threading.Thread(target=_end_with_the_gateway, args=[tether], name="tether", daemon=True).start()
    with ExitStack() as stack:
        # A predecessor whose gateway was killed may live on for a moment; two must not move the same jobs.
        _lock(stack, settings.data_dir / "run" / "control.lock", settings.data_dir, seconds=30)
        return _run(settings, tether)


def _end_with_the_gateway(tether: int) -> None:
    os.read(tether, 1)
    # Nothing needs saying or saving: what was acknowledged is on disk.
    os._exit(0)


def _run(settings: Settings, tether: int | None) -> int:
    from mlengine.web.handover import Handover
    from mlengine.web.server import HttpServer

    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    sockets = socket_folder(settings.data_dir)
    application = Application(settings, tether=tether)
    server = HttpServer(application.router.answer, hosts=(settings.host,))
    application.start()
    try:
        server.take_over(Handover(sockets / "bulk.sock", sockets / "back.sock"))
        # Last, for whoever can connect here takes the server for ready.
        server.listen(_unix_listener(sockets / "control.sock"))
        stop.wait()
    finally:
        server.stop(_ENDING_SECONDS)
        application.stop()
    return 0


def _unix_listener(path: Path) -> socket.socket:
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    path.chmod(0o600)
    listener.listen(1024)
    return listener


class Application:
    """The control plane, wired: every service once, the loops, and the routers over all methods.

    Args:
        tether: File descriptor that reads end-of-file when the gateway is gone.
    """

    router: Fork
    jobs: JobLoop
    serving: ServingLoop
    collect: CollectLoop
    publisher: Publisher

    def __init__(self, settings: Settings, *, tether: int | None) -> None:
        from mlengine.access import methods as access_methods
        from mlengine.access import oauth_methods, policy_methods
        from mlengine.access.consequences import Consequences
        from mlengine.access.domain import JobTokens
        from mlengine.access.entrance import Entrance
        from mlengine.access.guard import Guard
        from mlengine.access.oauth import TokenService
        from mlengine.access.policies import PolicyService
        from mlengine.access.publisher import Publisher
        from mlengine.access.rsa import make_pair
        from mlengine.access.service import AccessService
        from mlengine.access.signed_urls import SignedUrls
        from mlengine.access.tokens import AccessTokens
        from mlengine.access.xml_admission import XmlAdmission
        from mlengine.backends.accelerators import accelerators
        from mlengine.backends.audit_file import AuditFile
        from mlengine.backends.blobs import open_blobs
        from mlengine.backends.capacity import machine as this_machine
        from mlengine.backends.certificates import roots_file
        from mlengine.backends.database import open_database
        from mlengine.backends.executors.local import LocalExecutor
        from mlengine.backends.gateway_link import GatewayLink
        from mlengine.backends.keys import job_secret, keys_folder, signing_key, token_secret
        from mlengine.backends.ports import free_ports
        from mlengine.backends.replicas import ReplicaTasks
        from mlengine.backends.workers import ChildWorkers
        from mlengine.jobs import machine_methods
        from mlengine.jobs import methods as job_methods
        from mlengine.jobs.loop import JobLoop
        from mlengine.jobs.preflight import Preflight
        from mlengine.jobs.service import JobService
        from mlengine.jobs.usage import UsageService
        from mlengine.locations import methods as location_methods
        from mlengine.locations.domain import REGIONS
        from mlengine.locations.service import LocationService
        from mlengine.logs import methods as log_methods
        from mlengine.logs.service import LogService
        from mlengine.models import methods as model_methods
        from mlengine.models.service import ModelService
        from mlengine.operations import methods as operation_methods
        from mlengine.operations.service import OperationService
        from mlengine.projects import methods as project_methods
        from mlengine.projects.service import ProjectService
        from mlengine.serving.loop import ServingLoop
        from mlengine.storage import methods as storage_methods
        from mlengine.storage import xml_api
        from mlengine.storage.loop import CollectLoop
        from mlengine.storage.quotas import Quota
        from mlengine.storage.service import StorageService
        from mlengine.web.conventions import with_conventions
        from mlengine.web.discovery import methods as discovery_methods
        from mlengine.web.fork import Fork
        from mlengine.web.method import Method
        from mlengine.web.routing import Router

        data, sockets = settings.data_dir, socket_folder(settings.data_dir)
        keys = keys_folder(data)
        self._database = open_database(settings.database)
        gateway = GatewayLink(sockets / "admin.sock")
        tokens, job_tokens = AccessTokens(token_secret(keys)), JobTokens(job_secret(keys))
        projects = ProjectService(
            self._database,
            system_clock,
            first=settings.project,
            holdings=lambda project: _holdings(project, jobs, models, storage, access),
            changed=lambda: self.publisher.refresh(),
        )
        entrance = Entrance(
            tokens_required=settings.tokens_required,
            tokens=tokens,
            job_tokens=job_tokens,
            first_project=settings.project,
        )
        self.publisher = Publisher(
            self._database,
            system_clock,
            projects=lambda: {project.project_id: project.agent for project in projects.list()},
            entrance=entrance,
            push=gateway.publish_access,
        )
        logs = LogService(data / "logs", system_clock)
        storage = StorageService(
            self._database,
            open_blobs(settings.blobs_url, data),
            system_clock,
            quota=Quota(objects=settings.storage_quota_objects, size=settings.storage_quota_bytes),
            project=projects.meant,
        )
        access = AccessService(self._database, system_clock, changed=self.publisher.refresh)
        operations = OperationService(self._database, changed=lambda: self.serving.wake())
        machine = this_machine(os.environ)

        def read_package(url: ObjectUrl, most: int) -> bytes | None:
            found, pieces = storage.open(url)
            with closing(pieces):
                return b"".join(pieces) if found.size <= most else None

        jobs = JobService(
            self._database,
            system_clock,
            object_exists=storage.exists,
            find_bucket=storage.buckets.get,
            changed=lambda: self.jobs.wake(),
            machine=machine,
            slots=settings.max_running_jobs,
            inspect=Preflight(read_package),
        )
        models = ModelService(
            self._database,
            system_clock,
            list_files=storage.paths_under,
            changed=lambda: self.serving.wake(),
        )
        tasks = ReplicaTasks(
            data / "staging",
            storage,
            locks=data / "locks",
            cache_dir=settings.cache_dir,
            endpoint=settings.endpoint,
            machine=os.environ,
            tokens=job_tokens,
            tls_port=settings.tls_port,
            roots=roots_file(keys),
            agent=lambda project: projects.get(project).agent,
            private_key=lambda: signing_key(keys, lambda: make_pair()[0], name="jobs"),
            tokens_required=settings.tokens_required,
        )
        executor = LocalExecutor(data / "tasks")
        self.jobs = JobLoop(
            jobs,
            executor,
            logs,
            system_clock,
            prepare=tasks.prepare,
            discard=tasks.discard,
            ports=free_ports,
        )
        usage = UsageService(jobs, samples=executor.samples, requirements=tasks.requirements)
        self.serving = ServingLoop(
            models,
            ChildWorkers(data / "serving", sockets, tether=tether, environment=os.environ),
            gateway,
            root=data / "serving",
            fetch=storage.fetch_tree,
            interpreter=lambda runtime: _interpreter(runtime, settings.cache_dir),
        )
        policies = PolicyService(
            self._database,
            directory=lambda: entrance.directory,
            find=lambda resource: _find(resource, projects, models, jobs),
            changed=self.publisher.refresh,
        )
        guard = Guard(
            entrance,
            system_clock,
            projects=projects,
            bucket_project=lambda bucket: _project_of(bucket, storage),
            done=Consequences(
                policies,
                system_clock,
                directory=lambda: entrance.directory,
                note=AuditFile(data / "audit").append,
            ).heard,
        )
        oauth = TokenService(
            access,
            entrance,
            system_clock,
            tokens=tokens,
            job_tokens=job_tokens,
            signing_key=lambda: signing_key(keys, lambda: make_pair()[0]),
        )
        rows = [
            *job_methods.methods(jobs, usage),
            *machine_methods.methods(machine),
            *model_methods.methods(models, system_clock),
            *operation_methods.methods(operations, REGIONS),
            *location_methods.methods(LocationService(accelerators)),
            *log_methods.methods(logs, projects.id_of),
            *storage_methods.methods(storage, guard.wrap),
            *access_methods.methods(access),
            *policy_methods.methods(
                policies,
                identify=guard.identify,
                config=lambda project: (projects.get(project).agent, projects.get(project).number),
            ),
            *oauth_methods.methods(oauth),
            *project_methods.methods(
                projects,
                lambda call, project: guard.allows(
                    call, "resourcemanager.projects.get", f"projects/{project}"
                ),
            ),
            Method(
                id="mlengine.readyz",
                verb="GET",
                path="/readyz",
                handler=self._readyz,
                summary="Whether the control plane can answer: its database does.",
            ),
        ]
        rows += discovery_methods.methods(rows)
        signed = SignedUrls(access, system_clock)
        self.router = Fork(
            Router(with_conventions(guard.wrap(rows))),
            Router(xml_api.methods(storage, XmlAdmission(signed, guard, entrance).admit)),
        )
        self._ensure_admin: Callable[[], None] = lambda: _first_admin(settings, access, policies)
        self.collect = CollectLoop(storage, older_than=_FORGOTTEN_AFTER)
        self._threads = [
            threading.Thread(target=self.jobs.run, name="jobs", daemon=True),
            threading.Thread(target=self.serving.run, name="serving", daemon=True),
            threading.Thread(target=self.collect.run, name="collect", daemon=True),
        ]

    def start(self) -> None:
        """Begin to move jobs and versions on."""
        # Before the first routes: a gateway that does not know who may predict must not answer.
        self.publisher.refresh()
        self._ensure_admin()
        for thread in self._threads:
            thread.start()

    def _readyz(self, _call: Call) -> Json:
        with self._database.read() as db:
            db.exec_driver_sql("SELECT 1")
        return {"status": "ready"}

    def stop(self) -> None:
        """End the loops and close the database; tasks and workers live on."""
        self.jobs.stop()
        self.serving.stop()
        self.collect.stop()
        self.publisher.stop()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(timeout=5)
        self._database.close()


def socket_folder(data_dir: Path) -> Path:
    """Where this data directory's sockets live: inside it, or in the temporary folder if its path is long."""
    folder = data_dir / "run"
    if len(os.fsencode(folder)) > _LONGEST_SOCKET_FOLDER:
        mark = hashlib.sha256(os.fsencode(data_dir)).hexdigest()[:12]
        folder = Path(tempfile.gettempdir()) / f"mlengine-{os.getuid()}-{mark}"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if folder.lstat().st_uid != os.getuid():
        raise FailedPrecondition(
            f"{folder} belongs to another user.", hint="Choose a --data-dir of your own with a shorter path."
        )
    return folder


def _lock(stack: ExitStack, path: Path, data_dir: Path, *, seconds: float) -> None:
    """Hold the data directory for as long as this process lives; wait up to `seconds` for it."""
    file = stack.enter_context(path.open("a"))
    deadline = time.monotonic() + seconds
    while True:
        try:
            return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            # `server status` holds the lock for a moment, too, while it looks.
            if time.monotonic() < deadline:
                time.sleep(0.02)
                continue
            raise FailedPrecondition(
                f"Another server uses {data_dir}.",
                hint="See it with: mlengine server status. Or give this one its own --data-dir.",
            ) from None


def _find(resource: str, projects: ProjectService, models: ModelService, jobs: JobService) -> None:
    """Whether there is what a policy is about. Raises NotFound."""
    from mlengine.names import JobName, ModelName

    match resource.split("/", 3):
        case [_, project, "models", model]:
            models.get_model(ModelName.of(project, model))
        case [_, project, "jobs", job]:
            jobs.get(JobName.of(project, job))
        case [_, project]:
            projects.get(project)


def _project_of(bucket: str, storage: StorageService) -> str:
    from mlengine.errors import NotFound

    try:
        return storage.buckets.get(bucket).project
    except NotFound:
        return ""


def _holdings(
    project: str, jobs: JobService, models: ModelService, storage: StorageService, access: AccessService
) -> list[str]:
    """What belongs to a project and would be lost with it, in words."""
    counts = {
        "unfinished job": sum(job.name.project == project for job in jobs.unfinished()),
        "model": len(models.page_models(project, after="", limit=1000)),
        "bucket": len(storage.buckets.list(project)),
        "service account": access.count(project),
    }
    return [f"{count} {noun}{'s' * (count > 1)}" for noun, count in counts.items() if count]


def _first_admin(settings: Settings, accounts: AccessService, policies: PolicyService) -> None:
    """Where tokens are required, somebody must have a first one."""
    from mlengine.access.first_admin import ensure_admin
    from mlengine.backends.keys import keys_folder, write_private

    if not settings.tokens_required:
        return
    file = keys_folder(settings.data_dir) / "admin.json"
    made = ensure_admin(
        accounts,
        policies,
        project=settings.project,
        endpoint=settings.endpoint,
        file=file,
        write=write_private,
    )
    if made:
        logging.getLogger(__name__).info(
            "This server wants access tokens. The key of its first owner: %s. "
            "Use it with: export MLENGINE_CREDENTIALS=%s",
            file,
            file,
        )


def _interpreter(runtime: str, cache_dir: Path) -> Path:
    """A runtime's Python. Building it may take minutes and fail in many ways, so a child process does it."""
    from mlengine.environments import Builder, resolve

    builder, wanted = Builder(cache_dir), resolve(runtime).runtime
    if builder.is_built(wanted):
        return builder.interpreter(wanted)
    command = [sys.executable, "-m", "mlengine.environments.build", runtime]
    environment = dict(os.environ) | {"MLENGINE_CACHE_DIR": str(cache_dir)}
    built = subprocess.run(command, capture_output=True, text=True, env=environment)
    if built.returncode != 0:
        raise FailedPrecondition(f"Runtime {runtime} cannot be built.\n{built.stderr.strip()}")
    return Path(built.stdout.strip())


if __name__ == "__main__":
    sys.exit(main())
