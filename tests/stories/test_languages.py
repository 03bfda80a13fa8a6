"""One version, asked over HTTP in every language that there is, and what it tells of itself."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any

from tests.stories.conftest import Server, Shell

TRAIN = (
    "import sys, joblib, pandas\nfrom sklearn.linear_model import LinearRegression\n"
    "rows = pandas.DataFrame({'a': [0.0, 1, 0], 'b': [0.0, 0, 1]})\n"
    "joblib.dump(LinearRegression().fit(rows, [0.0, 1, 10]), sys.argv[1])\n"
)


def ask(url: str, body: str | None = None, media_type: str = "application/json") -> tuple[int, str, str]:
    """Status, media type and text of the answer."""
    data = None if body is None else body.encode()
    asked = urllib.request.Request(url, data=data, headers={"Content-Type": media_type})
    try:
        with urllib.request.urlopen(asked, timeout=60) as answer:
            return answer.status, answer.headers["Content-Type"], answer.read().decode()
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, refused.headers["Content-Type"], refused.read().decode()


def rounded(value: Any) -> list[float]:
    return [round(number, 6) for number in value]


def test_a_version_answers_in_every_language(server: Server, shell: Shell) -> None:
    python = shell.run("runtimes", "build", "2026.11-sklearn", timeout=600).stdout.split()[-1]
    folder = shell.cwd / "sum"
    folder.mkdir()
    shell.program(python, "-c", TRAIN, str(folder / "model.joblib"))
    (folder / "schema.json").write_text('{"inputs": [{"name": "b", "default": 2, "max": 9}]}')
    shell.run("models", "create", "sum", "--regions", "us-central1")
    shell.run(
        "versions", "create", "v1", "--model", "sum", "--origin", str(folder), "--unknown-fields", "ignore"
    )
    base = server.endpoint
    predict = f"{base}/v1/projects/local/models/sum:predict"

    status, _, text = ask(predict, '{"instances": [{"a": 1, "c": "?"}, [3, 4]]}')
    assert (status, rounded(json.loads(text)["predictions"])) == (200, [21.0, 43.0])
    status, media_type, text = ask(predict, "b,a\n2,1\n4,3\n", "text/csv")
    assert (media_type.split(";")[0], rounded(json.loads(text)["predictions"])) == (
        "application/json",
        [21.0, 43.0],
    )
    status, media_type, text = ask(predict, '{"a": 1}\n[3, 4]\n', "application/jsonl")
    assert media_type.startswith("application/x-ndjson")
    assert rounded(map(float, text.split())) == [21.0, 43.0]
    status, _, text = ask(
        f"{base}/v1/models/sum/versions/1:predict", '{"inputs": {"a": [1, 3], "b": [2, 4]}}'
    )
    assert (status, rounded(json.loads(text)["outputs"])) == (200, [21.0, 43.0])
    tensors = [
        {"name": "a", "shape": [2], "datatype": "FP64", "data": [1, 3]},
        {"name": "b", "shape": [2], "datatype": "FP64", "data": [2, 4]},
    ]
    status, _, text = ask(f"{base}/v2/models/sum/infer", json.dumps({"id": "7", "inputs": tensors}))
    answer = json.loads(text)
    assert (answer["model_name"], answer["model_version"], answer["id"]) == ("sum", "v1", "7")
    assert rounded(answer["outputs"][0]["data"]) == [21.0, 43.0]

    status, _, text = ask(predict, "a,b\n1,10\n", "text/csv")
    message = json.loads(text)["error"]["message"]
    assert (status, message) == (400, "Line 2, column 2 (b): 10 is above 9, the largest value allowed.")
    status, _, text = ask(f"{base}/v1/models/sum:predict", '{"instances": [[1, 10]]}')
    assert (status, json.loads(text)) == (
        400,
        {"error": "Instance 1, field b: 10 is above 9, the largest value allowed."},
    )

    metadata = json.loads(ask(f"{base}/v1/models/sum/metadata")[2])
    inputs = metadata["metadata"]["signature_def"]["signature_def"]["predict"]["inputs"]
    assert (metadata["model_spec"]["version"], sorted(inputs)) == ("v1", ["a", "b"])
    assert [one["name"] for one in json.loads(ask(f"{base}/v2/models/sum")[2])["inputs"]] == ["a", "b"]
    assert ask(f"{base}/v2/health/ready")[0] == 200
    assert ask(f"{base}/v2/models/none/ready")[0] == 404
