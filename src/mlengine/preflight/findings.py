"""What a check found: a code, the place, what is wrong, and the cure. Apart, for every check speaks it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from mlengine.errors import AlreadyExists, FailedPrecondition, InvalidArgument, NotFound, Problem

_DETAIL = "type.googleapis.com/google.rpc.BadRequest"


class Weight(StrEnum):
    """What a finding does to a job.

    Attributes:
        CERTAIN: It can never work: refused wherever it comes from.
        DOUBTFUL: Hardly meant: our own command stops, which can be told to go on; the server says it only.
        WARNING: Said, and nothing more.
    """

    CERTAIN = "stops"
    DOUBTFUL = "stops the command"
    WARNING = "warns"


@dataclass(frozen=True, slots=True)
class Rule:
    """One thing that is looked at.

    Attributes:
        about: The slip, in a few words.
        cure: What helps, in a few words.
        weight: Unless a finding says otherwise.
        problem: The class of error that it becomes.
    """

    about: str
    cure: str
    weight: Weight = Weight.CERTAIN
    problem: type[Problem] = InvalidArgument


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing found.

    Attributes:
        code: Of `RULES`.
        message: What is wrong and why, in whole sentences.
        where: The user's "file:line", a flag, or "".
        hint: The cure.
        field: The request field at fault in snake_case, where there is one.
        lowered: Whether it only warns here, whatever its rule says.
    """

    code: str
    message: str
    where: str = ""
    hint: str = ""
    field: str = ""
    lowered: bool = False

    @property
    def weight(self) -> Weight:
        """What it does to the job."""
        return Weight.WARNING if self.lowered else RULES[self.code].weight

    @property
    def text(self) -> str:
        """Place and message."""
        return f"{self.where}: {self.message}" if self.where else self.message

    def __str__(self) -> str:
        """One line: place, message, cure and code."""
        return f"{self.text} {self.hint}".rstrip() + f" [{self.code}]"


@dataclass(frozen=True, slots=True)
class Report:
    """What came of all checks.

    Attributes:
        findings: In the order of the checks, each once.
        unchecked: Sentences about what could not be looked at, and why.
    """

    findings: tuple[Finding, ...] = ()
    unchecked: tuple[str, ...] = ()

    def stopping(self, *, certain_only: bool = False, skip: Iterable[str] = ()) -> tuple[Finding, ...]:
        """What stops the job.

        Args:
            certain_only: As the server does, which leaves the doubtful to the sender.
            skip: Codes that the user wants to go on in spite of.
        """
        stops = {Weight.CERTAIN} if certain_only else {Weight.CERTAIN, Weight.DOUBTFUL}
        skipped = set(skip)
        return tuple(found for found in self.findings if found.weight in stops and found.code not in skipped)

    def __add__(self, other: Report) -> Report:
        return Report((*self.findings, *other.findings), (*self.unchecked, *other.unchecked))


def refusal(findings: tuple[Finding, ...]) -> Problem:
    """The error that says them all: of their own class if they agree on one; its details hold the codes."""
    classes = {RULES[found.code].problem for found in findings}
    raised = classes.pop() if len(classes) == 1 else InvalidArgument
    violations = [
        {"field": found.field or found.where, "description": found.text, "reason": found.code}
        for found in findings
    ]
    details = ({"@type": _DETAIL, "fieldViolations": violations},)
    if len(findings) == 1:
        (only,) = findings
        if only.hint:
            return raised(only.text, hint=f"{only.hint} [{only.code}]", details=details)
        return raised(f"{only.text} [{only.code}]", details=details)
    lines = [f"{len(findings)} things stop this job; nothing was sent:"]
    for found in findings:
        lines.append(f"  {found.text} [{found.code}]")
        if found.hint:
            lines.append(f"    {found.hint}")
    return raised("\n".join(lines), details=details)


def finding_of(problem: Problem) -> Finding | None:
    """The only finding of an error that `refusal` made; None of any other error."""
    violations = [each for detail in problem.details for each in detail.get("fieldViolations", ())]
    code = violations[0].get("reason", "") if len(violations) == 1 else ""
    if code not in RULES:
        return None
    suffix = f" [{code}]"
    return Finding(
        code=code, message=problem.message.removesuffix(suffix), hint=problem.hint.removesuffix(suffix)
    )


_DOUBTFUL, _WARNING = Weight.DOUBTFUL, Weight.WARNING

RULES: dict[str, Rule] = {
    # The line.
    "blank-argument": Rule("an argument of blanks only", "remove blanks behind a backslash", _DOUBTFUL),
    "stray-backslash": Rule(
        "an argument that is a backslash", "end the line right behind the backslash", _DOUBTFUL
    ),
    "carriage-return": Rule(
        "an argument that ends in a carriage return", "save the script with Unix lines", _DOUBTFUL
    ),
    "typographic-dash": Rule("a flag that begins with a typographic dash", "type two hyphens", _DOUBTFUL),
    "typographic-quote": Rule("curly quotes in an argument", "type straight quotes", _WARNING),
    "empty-value": Rule("a flag of the trainer with an empty value", "set the variable", _WARNING),
    "unexpanded-variable": Rule(
        "$NAME left as it is in an argument", "use double quotes, set the variable", _DOUBTFUL
    ),
    "job-id": Rule("a job id that the API does not take", "the spelling offered"),
    "duplicate-job": Rule("a job id used before", "the next free one, which is named", problem=AlreadyExists),
    # Where things lie.
    "job-dir-no-bucket": Rule("a job-dir without a bucket (gs:///x)", "set the variable"),
    "job-dir-bucket-root": Rule("a job-dir that is a bucket's root", "name a folder in it", _DOUBTFUL),
    "job-dir-local": Rule("a local job-dir for a submitted job", "a gs:// folder, or `local train`"),
    "job-dir-empty-part": Rule("a job-dir with an empty part (gs://b//x)", "set the variable", _WARNING),
    "staging-bucket": Rule("a staging bucket that is no bucket name", "gs://BUCKET"),
    "missing-bucket": Rule("a bucket that is not there", "mlengine storage mb", problem=NotFound),
    "nowhere-to-upload": Rule("local packages, and no bucket for them", "--job-dir or --staging-bucket"),
    "data-no-bucket": Rule("a gs:// argument without a legal bucket", "set the variable", _DOUBTFUL),
    "data-missing": Rule("input data that is not there", "upload it; mind the spelling", _DOUBTFUL),
    "local-path": Rule("a path of this machine in a submitted job", "mlengine storage cp, gs://", _WARNING),
    # What it runs on.
    "unknown-runtime": Rule("a runtime version that does not exist", "mlengine runtimes list"),
    "runtime-python": Rule("a Python that the runtime version lacks", "the Python named"),
    "unknown-tier": Rule("a scale tier that does not exist", "the one offered"),
    "unknown-machine": Rule("a machine type that does not exist", "mlengine machine-types list"),
    "machine-missing": Rule("scale tier CUSTOM without a machine type", "--master-machine-type"),
    "machine-without-custom": Rule("a machine type without scale tier CUSTOM", "--scale-tier custom"),
    "mixed-machines": Rule("legacy and Compute Engine types in one job", "one kind for all replicas"),
    "accelerator-count": Rule("a number of GPUs that a machine cannot have", "one of the numbers named"),
    "replica-count": Rule("a number of replicas that does not fit", "type and count together"),
    "no-accelerator": Rule(
        "a GPU is asked for where there is none", "--scale-tier basic", problem=FailedPrecondition
    ),
    "no-tpu": Rule("a TPU is asked for; there are none outside Google", "--scale-tier basic"),
    "unknown-region": Rule("a region that does not exist", "the one offered", _WARNING),
    "unknown-field": Rule("a setting in --config that no job has", "the spelling offered"),
    "running-time": Rule("a running time that is no duration", 'seconds: "7200s"'),
    # The package.
    "no-module-name": Rule("no module to run", "--module-name trainer.task"),
    "module-name": Rule("a module named as a file", "dots, and no .py"),
    "no-package": Rule("a package path that is no package", "touch __init__.py, or the inner folder"),
    "no-packages": Rule("a job without packages", "--package-path"),
    "no-file": Rule("a file of --packages that is not there", "the right path"),
    "not-an-archive": Rule("a package that is no archive", "a .tar.gz, .zip or .whl"),
    "missing-package": Rule("a package URL with nothing at it", "upload it", problem=FailedPrecondition),
    "same-file-name": Rule("two packages with one file name", "rename one"),
    "build-failed": Rule("setup.py fails", "mend the line named"),
    "empty-package": Rule("a package without any module", "packages=find_packages()"),
    "module-not-packed": Rule("a module that setup.py leaves out", "packages=find_packages()"),
    "module-is-package": Rule("a module that is a package", "one of its modules"),
    "no-module": Rule("a module that is in no package", "the nearest one, which is named"),
    "shadowed-module": Rule("a package named like a module of Python's own", "rename the package"),
    "wheel-python": Rule("a wheel for another Python", "a wheel for the runtime's Python"),
    "wheel-platform": Rule("a wheel for another system", "a Linux or pure wheel"),
    "requires-python": Rule("a package for another Python", "another runtime, or python_requires"),
    "requirement-conflict": Rule(
        "a requirement that no version for the runtime's Python meets", "loosen or drop it", _DOUBTFUL
    ),
    "requirement-name": Rule("a requirement by the name of its module", "the distribution's name", _WARNING),
    # The sources.
    "python2": Rule("Python 2 in a file", "the line in Python 3"),
    "python2-module": Rule("a module of Python 2's library", "its name in Python 3"),
    "python2-name": Rule("a built-in name of Python 2", "its name in Python 3", _WARNING),
    "syntax": Rule("a file that Python cannot read", "mend the line named"),
    "encoding": Rule("a file that is not UTF-8", "save it as UTF-8"),
    "missing-import": Rule("an import that the runtime and the packages lack", "install_requires"),
    "gone-module": Rule("a module that newer versions lack", "its successor"),
    "sibling-import": Rule("a file of the package imported as if it stood alone", "from PACKAGE import X"),
    "missing-own-module": Rule("an import of a module that the package lacks", "the nearest one"),
    "missing-name": Rule("a name imported from a file that does not define it", "the nearest name"),
    # The trainer's own arguments.
    "argument-rejected": Rule("an argument that the trainer's parser rejects", "the nearest flag"),
    "argument-missing": Rule("an argument that the trainer's parser requires", "give it behind --"),
    "argument-value": Rule("a value that the trainer's parser rejects", "one of the values it takes"),
    "argument-ignored": Rule("a misspelt flag that parse_known_args drops", "the nearest flag", _WARNING),
    "job-dir-rejected": Rule("a parser without --job-dir", "parser.add_argument('--job-dir')"),
}
