"""The checks of `mlengine.preflight` for a job that somebody sends: by its words and its uploaded packages.

Nothing of a trainer is run here. What can never work is refused; the rest is said in the job's log.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mlengine.jobs.domain import JobRequest
from mlengine.names import ObjectUrl
from mlengine.preflight.check import check_request
from mlengine.preflight.findings import Report, refusal
from mlengine.preflight.surroundings import Surroundings

# Packages larger than that are left unread: whoever sends them waits for the answer.
LARGEST_PACKAGE = 32 << 20

Read = Callable[[ObjectUrl, int], bytes | None]


class Preflight:
    """What a job service asks before it takes a job.

    Args:
        read: The content of an object, None where it is larger than so many bytes.
        anything_at: Whether an object, or any below that name, is there.
        bucket_exists: Whether there is such a bucket.
    """

    def __init__(
        self,
        read: Read,
        *,
        anything_at: Callable[[ObjectUrl], bool] | None = None,
        bucket_exists: Callable[[str], bool] | None = None,
    ) -> None:
        self._read = read
        self._around = Surroundings(
            bucket_exists=bucket_exists, anything_at=anything_at, same_machine=True, server=True
        )

    def __call__(self, request: JobRequest) -> tuple[str, ...]:
        """Check a job.

        Returns:
            Sentences for its log.

        Raises:
            Problem: it can never work; all reasons at once.
        """
        report = self.report(request)
        if stopping := report.stopping(certain_only=True):
            raise refusal(stopping)
        return tuple(str(found) for found in report.findings)

    def report(self, request: JobRequest) -> Report:
        """Everything that can be told of a job; raises nothing for what is wrong with it."""
        return check_request(_training(request), self._content, self._around)

    def _content(self, uri: str) -> bytes | None:
        return self._read(ObjectUrl.parse(uri), LARGEST_PACKAGE)


def _training(request: JobRequest) -> dict[str, Any]:
    """What the checks look at, named as in JSON; machines are the service's own business."""
    training = request.training
    return {
        "args": list(training.args),
        "jobDir": training.job_dir,
        "packageUris": list(training.package_uris),
        "pythonModule": training.python_module,
        "pythonVersion": training.python_version,
        "runtimeVersion": training.runtime_version,
    }
