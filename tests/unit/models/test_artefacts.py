from __future__ import annotations

from mlengine.models.artefacts import ARTEFACTS
from mlengine.models.domain import OWN_CODE, Framework
from mlengine.serving.runtimes import artefact


def test_each_file_that_a_worker_reads_is_known_here_and_read_by_the_framework_that_it_tells() -> None:
    assert set(ARTEFACTS) == {name for names in artefact.FILES.values() for name in names}
    for name, framework in ARTEFACTS.items():
        assert name in artefact.FILES[framework.word]


def test_each_framework_of_a_version_is_one_that_a_worker_knows() -> None:
    assert {framework.word for framework in Framework} == set(artefact.FRAMEWORKS)
    assert {framework.word for framework in OWN_CODE} == set(artefact.FRAMEWORKS) - set(artefact.FILES)
