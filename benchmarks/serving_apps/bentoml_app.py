"""BentoML with adaptive batching."""

import os

import bentoml
import numpy as np
from models import load

KIND = os.environ["BENCHMARK_KIND"]


@bentoml.service(workers=1, traffic={"timeout": 60})
class Service:
    def __init__(self) -> None:
        self.model = load(KIND)

    @bentoml.api(batchable=True, batch_dim=0, max_batch_size=1024, max_latency_ms=1000)
    def predict(self, instances: list) -> list:
        return np.asarray(self.model.predict(instances)).tolist()
