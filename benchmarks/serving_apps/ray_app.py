"""Ray Serve behind HAProxy, with its own batching."""

import os
import sys
import time

import numpy as np
import orjson
import ray
from models import load
from ray import serve
from starlette.requests import Request
from starlette.responses import Response

KIND = os.environ["BENCHMARK_KIND"]


@serve.deployment(max_ongoing_requests=200, num_replicas=1, ray_actor_options={"num_cpus": 1})
class Model:
    def __init__(self) -> None:
        self.model = load(KIND)

    @serve.batch(max_batch_size=64, batch_wait_timeout_s=0.001)
    async def answer(self, requests: list) -> list:
        answers = np.asarray(self.model.predict([row for rows in requests for row in rows])).tolist()
        found, start = [], 0
        for rows in requests:
            found.append(answers[start : start + len(rows)])
            start += len(rows)
        return found

    async def __call__(self, request: Request) -> Response:
        rows = orjson.loads(await request.body())["instances"]
        return Response(orjson.dumps({"predictions": await self.answer(rows)}), media_type="application/json")


if __name__ == "__main__":
    ray.init(num_cpus=2, include_dashboard=False, logging_level="ERROR")
    serve.start(http_options={"host": "127.0.0.1", "port": int(sys.argv[1])})
    serve.run(Model.bind(), route_prefix="/")
    print("serving", flush=True)
    while True:
        time.sleep(60)
