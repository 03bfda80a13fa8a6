"""LitServe with its own batching."""

import os
import sys

import litserve
import numpy as np
from models import load

KIND = os.environ["BENCHMARK_KIND"]


class Api(litserve.LitAPI):
    def setup(self, device: str) -> None:
        self.model = load(KIND)

    def decode_request(self, request: dict) -> list:
        return request["instances"]

    def batch(self, inputs: list) -> list:
        return inputs

    def unbatch(self, output: list) -> list:
        return output

    def predict(self, requests: list) -> list:
        answers = self.model.predict([row for rows in requests for row in rows])
        answers, found, start = np.asarray(answers).tolist(), [], 0
        for rows in requests:
            found.append(answers[start : start + len(rows)])
            start += len(rows)
        return found

    def encode_response(self, output: list) -> dict:
        return {"predictions": output}


if __name__ == "__main__":
    api = Api(max_batch_size=64, batch_timeout=0.001)
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=1, timeout=60)
    server.run(host="127.0.0.1", port=int(sys.argv[1]), generate_client_file=False, num_api_servers=1)
