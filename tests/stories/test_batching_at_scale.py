"""200,000 requests of many callers to several versions: each answer is that of its instances alone."""

from __future__ import annotations

import asyncio
import json
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.stories.conftest import Server, Shell

REQUESTS = 200_000
CALLERS = 48
WRONG = 0.02
# The sum of a linear model may differ in its last bits with the number of rows; trees may not differ at all.
LINEAR = 1e-12

TRAIN = """
import json, sys
from pathlib import Path
import joblib, numpy as np, xgboost
from sklearn.linear_model import Ridge
from sklearn.tree import DecisionTreeRegressor

out = Path(sys.argv[1])
random = np.random.default_rng(5)
known = random.uniform(0, 100, (1000, 4))
target = known @ [1.0, 10.0, 100.0, 1000.0]
asked = random.uniform(0, 100, (3000, 4))
oracle = {"instances": asked.tolist()}
for name, model in (("tree", DecisionTreeRegressor(max_depth=9)), ("ridge", Ridge())):
    (out / name).mkdir(parents=True)
    joblib.dump(model.fit(known, target), out / name / "model.joblib")
    oracle[name] = [float(model.predict(row[None])[0]) for row in asked]
(out / "booster").mkdir()
booster = xgboost.train({"max_depth": 5, "nthread": 1}, xgboost.DMatrix(known, label=target), 30)
booster.save_model(out / "booster" / "model.bst")
oracle["booster"] = [float(booster.predict(xgboost.DMatrix(row[None]))[0]) for row in asked]
(out / "oracle.json").write_text(json.dumps(oracle))
"""


@dataclass
class Asked:
    """A request on the wire, and what must come back."""

    version: str
    path: str
    media_type: str
    body: bytes
    expected: list[float] | None


class Source:
    """Makes requests up: which version, which language, which instances, and now and then a wrong one."""

    def __init__(self, oracle: dict[str, Any], seed: int) -> None:
        self._oracle = oracle
        self._random = random.Random(seed)

    def next(self) -> Asked:
        source = self._random
        version = source.choice(("tree", "ridge", "booster"))
        picked = [
            source.randrange(len(self._oracle["instances"])) for _ in range(source.choice((1, 1, 1, 2, 4)))
        ]
        instances = [self._oracle["instances"][place] for place in picked]
        expected: list[float] | None = [self._oracle[version][place] for place in picked]
        if source.random() < WRONG:
            instances, expected = [*instances, [1.0, 2.0]], None
        path = f"/v1/projects/local/models/batched/versions/{version}:predict"
        if source.random() < 0.2:
            body = "\n".join(",".join(map(repr, row)) for row in instances).encode()
            return Asked(version, path, "text/csv", body, expected)
        if source.random() < 0.2:
            path = f"/v1/models/batched/versions/{version}:predict"
        return Asked(
            version, path, "application/json", json.dumps({"instances": instances}).encode(), expected
        )


async def call(host: str, port: int, source: Source, count: int) -> tuple[int, int]:
    """Ask `count` times on one connection and check each answer; how many were right, how many refused."""
    reader, writer = await asyncio.open_connection(host, port)
    right = refused = 0
    for _ in range(count):
        asked = source.next()
        writer.write(
            f"POST {asked.path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: {asked.media_type}\r\n"
            f"Content-Length: {len(asked.body)}\r\n\r\n".encode()
            + asked.body
        )
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        length = int(head.split("content-length:")[1].split("\r\n")[0])
        answer = json.loads(await reader.readexactly(length))
        status = int(head.split(" ")[1])
        if asked.expected is None:
            assert status == 400, (asked, head, answer)
            refused += 1
            continue
        assert status == 200, (asked, head, answer)
        given = answer["predictions"]
        if asked.version == "ridge":
            assert given == pytest.approx(asked.expected, rel=LINEAR, abs=0), asked
        else:
            assert given == asked.expected, asked
        right += 1
    writer.close()
    await writer.wait_closed()
    return right, refused


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_every_answer_among_200_000_is_the_one_of_its_instances_alone(server: Server, shell: Shell) -> None:
    python = shell.run("runtimes", "build", "2026.11-sklearn", timeout=600).stdout.split()[-1]
    shell.program(python, "-c", TRAIN, str(shell.cwd / "made"))
    oracle = json.loads((Path(shell.cwd) / "made" / "oracle.json").read_text())
    shell.run("models", "create", "batched", "--regions", "us-central1")
    for version in ("tree", "ridge", "booster"):
        origin = str(shell.cwd / "made" / version)
        shell.run("versions", "create", version, "--model", "batched", "--origin", origin)
    address = urlsplit(server.endpoint)

    async def everybody() -> list[tuple[int, int]]:
        each = REQUESTS // CALLERS + 1
        sources = [Source(oracle, seed) for seed in range(CALLERS)]
        return await asyncio.gather(
            *(call(str(address.hostname), address.port or 80, source, each) for source in sources)
        )

    outcomes = asyncio.run(everybody())

    right, refused = (sum(one[place] for one in outcomes) for place in (0, 1))
    assert right + refused >= REQUESTS
    assert refused > REQUESTS * WRONG / 2
