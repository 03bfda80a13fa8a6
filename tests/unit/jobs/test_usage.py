"""What jobs use and run on, by their URLs."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from mlengine.backends.database import SqlDatabase
from mlengine.errors import InvalidArgument, NotFound
from mlengine.jobs.domain import JobRequest, TrainingInput
from mlengine.jobs.executor import GpuSample, Sample
from mlengine.jobs.machine_methods import methods as machine_methods
from mlengine.jobs.methods import methods
from mlengine.jobs.service import JobService
from mlengine.jobs.usage import UsageService
from mlengine.machines import Gpu, Machine
from mlengine.names import JobName
from mlengine.web.method import Call, Json
from tests.conftest import HandClock
from tests.unit.jobs.house import MACHINE


class House:
    """One job of three replicas, of which the first used something."""

    def __init__(self, database: SqlDatabase, clock: HandClock) -> None:
        self.start = clock()
        self.lock = ""
        self.asked: list[tuple[str, datetime | None]] = []
        self.jobs = JobService(
            database,
            clock,
            object_exists=lambda url: True,
            find_bucket=lambda name: None,
            changed=lambda: None,
            machine=MACHINE,
            slots=1,
        )
        self.usage = UsageService(self.jobs, samples=self.samples, requirements=lambda job: self.lock)
        training = TrainingInput(
            python_module="t",
            package_uris=("gs://box/t.tar.gz",),
            region="here",
            runtime="",
            scale_tier="CUSTOM",
            master_type="standard",
            worker_type="standard",
            worker_count=1,
        )
        self.uid = self.jobs.submit(JobRequest(name=JobName("local", "a"), training=training)).uid

    def samples(self, task: str, since: datetime | None) -> list[Sample]:
        self.asked.append((task, since))
        if "master" not in task:
            return []
        gpu = GpuSample(index=1, busy=0.5, memory_bytes=7)
        return [
            Sample(
                time=self.start + timedelta(seconds=1),
                cpus=1.23456,
                cpu_seconds=1.5,
                memory_bytes=2**40,
                processes=3,
                disk_read_bytes=4,
                disk_written_bytes=5,
                machine_received_bytes=6,
                machine_sent_bytes=7,
                gpus=(gpu,),
            )
        ]

    def call(self, method: str, job_id: str = "a", **query: str) -> Json:
        row = next(row for row in methods(self.jobs, self.usage) if row.id == f"mlengine.jobs.{method}")
        answer = row.handler(Call(path={"project": "local", "job": job_id}, query=query))
        assert isinstance(answer, dict)
        return answer


@pytest.fixture
def house(sqlite: SqlDatabase, clock: HandClock) -> House:
    return House(sqlite, clock)


def test_the_metrics_of_a_job_are_those_of_each_replica(house: House) -> None:
    found = house.call("metrics", since="2026-11-02T09:30:00Z")

    assert found["replicas"] == [
        {
            "name": "master-replica-0",
            "samples": [
                {
                    "time": "2026-11-02T09:30:01Z",
                    "cpus": 1.235,
                    "cpuSeconds": 1.5,
                    "memoryBytes": "1099511627776",
                    "processes": 3,
                    "diskReadBytes": "4",
                    "diskWrittenBytes": "5",
                    "machineReceivedBytes": "6",
                    "machineSentBytes": "7",
                    "gpus": [{"index": 1, "busy": 0.5, "memoryBytes": "7"}],
                }
            ],
        },
        {"name": "worker-replica-0", "samples": []},
    ]
    assert house.asked == [
        (f"{house.uid}.{name}", house.start) for name in ("master-replica-0", "worker-replica-0")
    ]


def test_metrics_since_no_time_are_refused(house: House) -> None:
    with pytest.raises(InvalidArgument, match="is no time"):
        house.call("metrics", since="yesterday")


def test_requirements_are_known_when_the_environment_is_ready(house: House) -> None:
    with pytest.raises(NotFound, match="not known"):
        house.call("requirements")

    house.lock = "numpy==2.1\n"

    assert house.call("requirements") == {"requirements": "numpy==2.1\n"}
    with pytest.raises(NotFound, match="no job 'b'"):
        house.call("requirements", job_id="b")


def machine_types(machine: Machine, name: str = "") -> Json:
    verb = "get" if name else "list"
    row = next(row for row in machine_methods(machine) if row.id == f"mlengine.machineTypes.{verb}")
    answer = row.handler(Call(path={"type": name}))
    assert isinstance(answer, dict)
    return answer


def test_every_tier_and_machine_type_is_shown_with_what_it_is_here() -> None:
    here = Machine(cpus=8, memory_bytes=40 * 10**9, gpus=(Gpu(index=0, name="NVIDIA T4"),))

    found = machine_types(here)

    assert found["machine"] == {
        "cpus": 8,
        "memoryBytes": "40000000000",
        "gpus": [{"index": 0, "name": "NVIDIA T4"}],
    }
    rows = {row["name"]: row for row in found["machineTypes"]}
    assert rows["BASIC_GPU"]["here"] == [
        "n1-standard-8 (8 CPUs, 30 GB, 1 K80) is mapped to this machine: 8 CPUs, 30 GB, 1 GPU."
    ]
    assert len(rows["STANDARD_1"]["here"]) == 3
    assert (rows["BASIC_TPU"]["available"], rows["BASIC_TPU"]["here"]) == (False, ["BASIC_TPU needs a TPU."])
    assert machine_types(here, "complex_model_l") == rows["complex_model_l"]


def test_a_machine_type_that_does_not_exist_is_told_with_the_nearest() -> None:
    with pytest.raises(NotFound) as refused:
        machine_types(MACHINE, "n1-standart-8")

    assert "n1-standard-8" in str(refused.value)
