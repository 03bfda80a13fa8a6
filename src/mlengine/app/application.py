"""The control plane, wired: the one place that knows every part of it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import mlengine
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
from mlengine.app.administration import Administration
from mlengine.app.between import find, first_admin, holdings, home_of, project_of
from mlengine.app.monitoring import Monitoring
from mlengine.app.sockets import socket_folder
from mlengine.app.tables import Tables
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
from mlengine.clock import system_clock
from mlengine.jobs import machine_methods
from mlengine.jobs import methods as job_methods
from mlengine.jobs.loop import JobLoop
from mlengine.jobs.preflight import Preflight
from mlengine.jobs.service import JobService
from mlengine.jobs.usage import UsageService
from mlengine.locations import methods as location_methods
from mlengine.locations.service import LocationService
from mlengine.logs import methods as log_methods
from mlengine.logs.service import LogService
from mlengine.models import description_methods
from mlengine.models import methods as model_methods
from mlengine.models.service import ModelService
from mlengine.names import ObjectUrl
from mlengine.operations import methods as operation_methods
from mlengine.operations.service import OperationService
from mlengine.projects import methods as project_methods
from mlengine.projects.service import ProjectService
from mlengine.regions import REGIONS
from mlengine.serving.loop import ServingLoop
from mlengine.settings import Settings
from mlengine.storage import methods as storage_methods
from mlengine.storage import xml_api
from mlengine.storage.loop import CollectLoop
from mlengine.storage.quotas import Quota
from mlengine.storage.service import StorageService
from mlengine.web import assets
from mlengine.web.conventions import with_conventions
from mlengine.web.discovery import methods as discovery_methods
from mlengine.web.fork import Fork
from mlengine.web.method import Call, Json, Method
from mlengine.web.routing import Router

# Uploads that nobody has gone on with for a week expire, as in Google's store.
_FORGOTTEN_AFTER = timedelta(days=7)


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
        data, sockets = settings.data_dir, socket_folder(settings.data_dir)
        keys = keys_folder(data)
        self._database = open_database(settings.database)
        gateway = GatewayLink(sockets / "admin.sock")
        tokens, job_tokens = AccessTokens(token_secret(keys)), JobTokens(job_secret(keys))
        projects = ProjectService(
            self._database,
            system_clock,
            first=settings.project,
            holdings=lambda project: holdings(project, jobs, models, storage, access, tables.service),
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
        blobs = open_blobs(settings.blobs_url, data)
        storage = StorageService(
            self._database,
            blobs,
            system_clock,
            quota=Quota(objects=settings.storage_quota_objects, size=settings.storage_quota_bytes),
            project=projects.meant,
        )
        self._tables = tables = Tables(settings, self._database, storage)
        access = AccessService(self._database, system_clock, changed=self.publisher.refresh)
        operations = OperationService(self._database, changed=lambda: self.serving.wake())
        machine = this_machine(os.environ)

        def read_package(url: ObjectUrl, most: int) -> bytes | None:
            found, pieces = storage.open(url)
            with closing(pieces):
                return b"".join(pieces) if found.size <= most else None

        preflight = Preflight(read_package)
        jobs = JobService(
            self._database,
            system_clock,
            object_exists=storage.exists,
            find_bucket=storage.buckets.get,
            changed=lambda: self.jobs.wake(),
            machine=machine,
            slots=settings.max_running_jobs,
            inspect=preflight,
            report=preflight.report,
        )
        models = ModelService(
            self._database,
            system_clock,
            list_files=storage.paths_under,
            object_exists=storage.exists,
            machine=machine,
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
        workers = ChildWorkers(data / "serving", sockets, tether=tether, environment=os.environ)
        self._monitoring = monitoring = Monitoring(
            data, self._database, models, tables, storage, workers=workers, gateway=gateway
        )
        self.serving = ServingLoop(
            models,
            workers,
            gateway,
            root=data / "serving",
            fetch=storage.fetch_tree,
            home=lambda version, folder: home_of(version, folder, storage, settings.cache_dir),
            project=settings.project,
            cores=machine.cpus,
            idle_seconds=settings.idle_seconds,
            standbys=settings.standbys,
        )
        policies = PolicyService(
            self._database,
            directory=lambda: entrance.directory,
            find=lambda resource: find(resource, projects, models, jobs),
            changed=self.publisher.refresh,
        )
        audit = AuditFile(data / "audit")
        guard = Guard(
            entrance,
            system_clock,
            projects=projects,
            bucket_project=lambda bucket: project_of(bucket, storage),
            done=Consequences(
                policies,
                system_clock,
                directory=lambda: entrance.directory,
                note=audit.append,
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
        self._administration = administration = Administration(
            settings,
            jobs=jobs,
            models=models,
            storage=storage,
            blobs=blobs,
            projects=projects,
            database=self._database,
            gateway=gateway,
            workers=workers,
            executor=executor,
            audit=audit,
            guard=guard,
            job_tokens=job_tokens,
            machine=machine,
            roots=roots_file(keys),
            threads=lambda: self._threads,
        )
        rows = [
            *job_methods.methods(jobs, usage, tables=tables.lineage.of),
            *machine_methods.methods(machine),
            *model_methods.methods(
                models, system_clock, may_log=lambda call, place: monitoring.may_log(guard, call, place)
            ),
            *description_methods.methods(
                models, project=settings.project, server_version=mlengine.__version__
            ),
            *monitoring.methods(),
            *operation_methods.methods(operations, REGIONS),
            *location_methods.methods(LocationService(accelerators)),
            *administration.methods(),
            *log_methods.methods(logs, projects.id_of),
            *storage_methods.methods(storage, guard.wrap),
            *tables.methods(guard, entrance, projects),
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
        rows += administration.pages()
        rows += assets.methods(Path(mlengine.__file__).parent / "console" / "static")
        signed = SignedUrls(access, system_clock)
        self.router = Fork(
            Router(with_conventions(guard.wrap(rows))),
            Router(xml_api.methods(storage, XmlAdmission(signed, guard, entrance).admit)),
        )
        self._ensure_admin: Callable[[], None] = lambda: first_admin(settings, access, policies)
        self.collect = CollectLoop(storage, older_than=_FORGOTTEN_AFTER)
        self._threads = [
            threading.Thread(target=self.jobs.run, name="jobs", daemon=True),
            threading.Thread(target=self.serving.run, name="serving", daemon=True),
            threading.Thread(target=self.collect.run, name="collect", daemon=True),
            threading.Thread(target=tables.loop.run, name="tables", daemon=True),
            *monitoring.threads,
        ]

    def start(self) -> None:
        """Begin to move jobs and versions on."""
        # Before the first routes: a gateway that does not know who may predict must not answer.
        self.publisher.refresh()
        self._ensure_admin()
        self._tables.start()
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
        self._tables.stop()
        self._monitoring.stop()
        self.publisher.stop()
        self._administration.stop()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(timeout=5)
        self._database.close()
