"""What can be done with projects."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Mapping

from mlengine.clock import Clock
from mlengine.database import Database
from mlengine.errors import AlreadyExists, FailedPrecondition, InvalidArgument, NotFound, nearest
from mlengine.projects import store
from mlengine.projects.domain import Project, checked

# What a project still holds, in words: ("2 models", "1 bucket").
Holdings = Callable[[str], list[str]]


class ProjectService:
    """The projects of one server.

    They are few and asked about with every request, so all of them are kept in memory; whoever makes or
    deletes one does it here.

    Args:
        first: Id of the project that is there from the start, and can never be deleted.
        holdings: Says what else belongs to a project.
        changed: Called after a project was made or deleted.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        *,
        first: str,
        holdings: Holdings = lambda _: [],
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self.first = first
        self._database = database
        self._clock = clock
        self._holdings = holdings
        self._changed = changed
        self._writing = threading.Lock()
        self._known: dict[str, Project] = {}
        self._load()
        if first not in self._known:
            self._make(first, name=first, labels={})

    def list(self) -> list[Project]:
        """All projects in the order of their ids."""
        return list(self._known.values())

    def get(self, asked: str) -> Project:
        """The project of an id or a number.

        Raises:
            NotFound: there is none; says so if a name was given in place of the id, else names the nearest.
        """
        known = self._known
        if found := known.get(asked):
            return found
        for project in known.values():
            if project.number == asked:
                return project
        shown = asked[:80]
        for project in known.values():
            if project.name.lower() == asked.lower():
                raise NotFound(
                    f"There is no project '{shown}' on this server: "
                    f"'{shown}' is the name of project id '{project.project_id}'.",
                    hint=f"Use the id: --project {project.project_id}, or set MLENGINE_PROJECT.",
                    field="project",
                )
        raise NotFound(
            f"There is no project '{shown}' on this server.", hint=_hint(asked, list(known)), field="project"
        )

    def id_of(self, asked: str) -> str:
        """The id of the project that an id or a number means. Raises NotFound."""
        return self.get(asked).project_id

    def meant(self, asked: str) -> str:
        """As `id_of`; without saying so, the first project is meant."""
        return self.id_of(asked) if asked else self.first

    def create(self, project_id: str, *, name: str = "", labels: Mapping[str, str] | None = None) -> Project:
        """Make a project.

        Raises:
            InvalidArgument: a bad id, name or label.
            AlreadyExists: the id is taken.
        """
        project = self._make(project_id, name=name or project_id, labels=labels or {})
        self._changed()
        return project

    def delete(self, project_id: str) -> None:
        """Delete an empty project.

        Raises:
            NotFound: there is none.
            FailedPrecondition: something belongs to it still, or it is the server's first.
        """
        project = self.get(project_id)
        if project.project_id == self.first:
            raise FailedPrecondition(
                f"'{self.first}' is the server's first project (its setting `project`) and stays.",
                hint="Delete what is in it instead.",
            )
        with self._writing:
            if held := self._holdings(project.project_id):
                raise FailedPrecondition(
                    f"Project '{project.project_id}' is not empty: it has {', '.join(held)}.",
                    hint="Delete these first.",
                )
            with self._database.begin() as db:
                store.delete(db, project.project_id, self._clock())
            self._load()
        self._changed()

    def _make(self, project_id: str, *, name: str, labels: Mapping[str, str]) -> Project:
        project = checked(
            Project(
                project_id=project_id,
                number=str(10**11 + secrets.randbelow(9 * 10**11)),
                name=name,
                created=self._clock(),
                labels=dict(labels),
            )
        )
        with self._writing:
            with self._database.begin() as db:
                if store.taken(db, project_id):
                    is_ = "is" if project_id in self._known else "was"
                    raise AlreadyExists(
                        f"Requested entity already exists: there {is_} a project '{project_id}'.",
                        hint="Ids are never given twice: choose another.",
                        field="project_id",
                    )
                store.add(db, project)
            self._load()
        return project

    def _load(self) -> None:
        with self._database.read() as db:
            self._known = {project.project_id: project for project in store.existing(db)}


def check_id_field(text: str) -> str:
    """The id in a request that makes a project.

    Raises:
        InvalidArgument: it is missing.
    """
    if not text:
        raise InvalidArgument("The project needs an id.", hint='Send {"projectId": "…"}.', field="project_id")
    return text


def _hint(asked: str, known: list[str]) -> str:
    if len(known) == 1:
        return f"Its project id is '{known[0]}': use --project {known[0]}, or set MLENGINE_PROJECT."
    close = nearest(asked, known)
    shown = ", ".join(known[:10]) + (", …" if len(known) > 10 else "")
    return close or f"Its project ids: {shown}. Use one: --project ID, or set MLENGINE_PROJECT."
