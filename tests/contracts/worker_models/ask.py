"""Opens the models of standard input's list one after the other, and prints what each said and answered.

Run in the Python of a runtime: `python ask.py < orders.json`, each order with the keys model_dir, framework,
options, bodies, explain (bodies too). One process for all, since importing a framework takes longer than
all the rest.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from pathlib import Path

spec = importlib.util.spec_from_file_location("worker_main", os.environ["WORKER"])
main = importlib.util.module_from_spec(spec)
spec.loader.exec_module(main)
main._make_importable()
main._quieten()

from mlengine.serving.messages import EXPLAIN, PREDICT  # noqa: E402
from mlengine.serving.runtimes.model import LoadFailed  # noqa: E402
from mlengine.serving.runtimes.opening import open_model  # noqa: E402
from mlengine.serving.runtimes.options import options_from  # noqa: E402
from mlengine.serving.worker import golden  # noqa: E402
from mlengine.serving.worker.batch import Answerer  # noqa: E402


def told(order):
    try:
        options = options_from(order.get("options", {}))
        model = open_model(Path(order["model_dir"]), order.get("framework"), options)
        golden.prove(model)
    except LoadFailed as error:
        return {"error": str(error)}

    def asked(kind, body):
        status, answer = Answerer(model).answer([(kind, json.dumps(body).encode())])[0][:2]
        return [status, json.loads(answer)]

    return {
        "describe": model.describe(),
        "answers": [asked(PREDICT, body) for body in order["bodies"]],
        "explained": [asked(EXPLAIN, body) for body in order.get("explain", [])],
    }


output = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
json.dump([told(order) for order in json.load(sys.stdin)], output)
