"""KServe's Python server, version 1 protocol, two workers."""

import os
import sys

import kserve
import numpy as np
from models import load

KIND = os.environ["BENCHMARK_KIND"]


class Model(kserve.Model):
    def __init__(self) -> None:
        super().__init__("model")
        # Loaded by each worker for itself: what the parent had loaded would have to be pickled for them.
        self.model = None
        self.ready = True

    def predict(self, payload: dict, headers: dict | None = None) -> dict:
        if self.model is None:
            self.model = load(KIND)
        return {"predictions": np.asarray(self.model.predict(payload["instances"])).tolist()}


if __name__ == "__main__":
    kserve.ModelServer(
        http_port=int(sys.argv[1]),
        workers=2,
        enable_grpc=False,
        access_log_format=None,
        enable_docs_url=False,
    ).start([Model()])
