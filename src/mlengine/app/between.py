"""Questions that concern several flats, none of which may know the others."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from mlengine.access.first_admin import ensure_admin
from mlengine.access.policies import PolicyService
from mlengine.access.service import AccessService
from mlengine.backends.keys import keys_folder, write_private
from mlengine.environments import Builder, resolve
from mlengine.environments.models import for_model
from mlengine.errors import FailedPrecondition, NotFound
from mlengine.jobs.service import JobService
from mlengine.models.domain import Version
from mlengine.models.service import ModelService
from mlengine.names import JobName, ModelName
from mlengine.projects.service import ProjectService
from mlengine.serving.deployment import Home
from mlengine.serving.workers import Environment
from mlengine.settings import Settings
from mlengine.storage.service import StorageService
from mlengine.tables.service import TableService


def find(resource: str, projects: ProjectService, models: ModelService, jobs: JobService) -> None:
    """Whether there is what a policy is about. Raises NotFound."""

    match resource.split("/", 3):
        case [_, project, "models", model]:
            models.get_model(ModelName.of(project, model))
        case [_, project, "jobs", job]:
            jobs.get(JobName.of(project, job))
        case [_, project]:
            projects.get(project)


def project_of(bucket: str, storage: StorageService) -> str:

    try:
        return storage.buckets.get(bucket).project
    except NotFound:
        return ""


def holdings(
    project: str,
    jobs: JobService,
    models: ModelService,
    storage: StorageService,
    access: AccessService,
    tables: TableService,
) -> list[str]:
    """What belongs to a project and would be lost with it, in words."""
    counts = {
        "unfinished job": sum(job.name.project == project for job in jobs.unfinished()),
        "model": len(models.page_models(project, after="", limit=1000)),
        "bucket": len(storage.buckets.list(project)),
        "service account": access.count(project),
        "dataset": tables.count_datasets(project),
    }
    return [f"{count} {noun}{'s' * (count > 1)}" for noun, count in counts.items() if count]


def first_admin(settings: Settings, accounts: AccessService, policies: PolicyService) -> None:
    """Where tokens are required, somebody must have a first one."""

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


def home_of(version: Version, folder: Path, storage: StorageService, cache_dir: Path) -> Home:
    """Where the workers of a version run: its runtime, with the packages that it brings laid over it.

    Args:
        folder: The version's own, where its packages are kept for a restart.
    """
    framework = version.framework.word
    if not version.packages:
        return Home(environment=Environment(interpreter(version.runtime, cache_dir), framework))
    packages = folder / "packages"
    files = []
    for place, url in enumerate(version.packages):
        # In folders of their own: two may have the same name, and their order counts.
        file = packages / str(place) / url.object.rsplit("/", 1)[-1]
        files.append(file)
        if file.exists():
            continue
        file.parent.mkdir(parents=True, exist_ok=True)
        partial = file.with_name("partial")
        _, pieces = storage.open(url)
        with closing(pieces), partial.open("wb") as writing:
            writing.writelines(pieces)
        partial.rename(file)
    runtime = resolve(version.runtime).runtime
    python = for_model(Builder(cache_dir), runtime, files, logging.getLogger(__name__).info)
    return Home(environment=Environment(python, framework))


def interpreter(runtime: str, cache_dir: Path) -> Path:
    """A runtime's Python. Building it may take minutes and fail in many ways, so a child process does it."""

    builder, wanted = Builder(cache_dir), resolve(runtime).runtime
    if builder.is_built(wanted):
        return builder.interpreter(wanted)
    command = [sys.executable, "-m", "mlengine.environments.build", runtime]
    environment = dict(os.environ) | {"MLENGINE_CACHE_DIR": str(cache_dir)}
    built = subprocess.run(command, capture_output=True, text=True, env=environment)
    if built.returncode != 0:
        raise FailedPrecondition(f"Runtime {runtime} cannot be built.\n{built.stderr.strip()}")
    return Path(built.stdout.strip())
