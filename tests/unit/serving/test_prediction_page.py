"""Every example of docs/prediction.md is answered as the page says."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from mlengine.serving import messages
from mlengine.serving.runtimes.rules import schema_file
from mlengine.serving.worker.batch import Answerer

from .small_models import table_model, tensor_model

PAGE = (Path(__file__).parents[3] / "docs" / "prediction.md").read_text(encoding="utf-8")
EXAMPLE = re.compile(
    r"<!-- example: (\w+) (\w+)(?: (\d+))? -->\n```\w+\n(.*?)\n```\n```json\n(.*?)\n```", re.DOTALL
)
EXAMPLES = EXAMPLE.findall(PAGE)
MODELS = {"table": table_model, "tensor": tensor_model}


def test_every_marked_example_is_found() -> None:
    assert len(EXAMPLES) == PAGE.count("<!-- example:") == 9


@pytest.mark.parametrize(("kind", "model", "status", "sent", "answered"), EXAMPLES)
def test_an_example_is_answered_as_the_page_says(
    kind: str, model: str, status: str, sent: str, answered: str
) -> None:
    asked = MODELS[model](model_name="m", version_name="v1")

    (answer,) = Answerer(asked).answer([(getattr(messages, kind), sent.encode())])

    def read(text: str) -> Any:
        return (
            [json.loads(line) for line in text.split("\n") if line]
            if kind == "JSON_LINES"
            else json.loads(text)
        )

    assert answer.status == int(status or 200)
    assert read(answer.body.decode()) == read(answered)


def test_the_schema_on_the_page_is_one(tmp_path: Path) -> None:
    text = PAGE.split("## schema.json")[1].split("```json\n")[1].split("```")[0]
    (tmp_path / "schema.json").write_text(text)

    schema = schema_file(tmp_path)

    assert schema is not None
    assert [one.name for one in schema.inputs] == ["Age", "Embarked"]
