"""How to ask one model, written from its description: an OpenAPI document, and calls to copy. Pure.

`document` is for tools, `samples` for people: the console and the reference show them.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import Any

from mlengine.web.method import Json

_TYPES = {"number": "number", "integer": "integer", "boolean": "boolean", "string": "string"}
_BINARY = {
    "type": "object",
    "required": ["b64"],
    "properties": {"b64": {"type": "string", "contentEncoding": "base64"}},
}


def document(description: Mapping[str, Any], *, model: str, version: str, url: str) -> Json:
    """The OpenAPI 3.1 document of one model, or of one of its versions.

    Args:
        description: What the model told of itself.
        model: `projects/P/models/M`.
        version: Id of the version; empty for whatever the model's traffic goes to.
        url: Scheme and authority of the server.
    """
    resource = f"{model}/versions/{version}" if version else model
    instance = instance_schema(description)
    sample = description.get("sample")
    request: Json = {
        "type": "object",
        "required": ["instances"],
        "properties": {
            "instances": {"type": "array", "minItems": 1, "items": instance},
            "signature_name": _signature_schema(description),
        },
    }
    body: Json = {"schema": request}
    if sample is not None:
        body["example"] = {"instances": [sample]}
    answer = {
        "type": "object",
        "required": ["predictions"],
        "properties": {"predictions": {"type": "array", "items": prediction_schema(description)}},
    }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": model.rsplit("/", 1)[-1],
            "version": version or "default",
            "description": f"Online predictions of {resource}, a {description.get('framework', '')} model.",
        },
        "servers": [{"url": url}],
        "paths": {
            f"/v1/{resource}:predict": {
                "post": {
                    "operationId": "predict",
                    "summary": "One prediction for each instance, in order.",
                    "security": [{"token": []}],
                    "requestBody": {
                        "required": True,
                        "content": {
                            "application/json": body,
                            "application/x-ndjson": {"schema": {"type": "string"}},
                            "text/csv": {"schema": {"type": "string"}},
                            "application/vnd.apache.arrow.stream": {"schema": {"type": "string"}},
                        },
                    },
                    "responses": {
                        "200": {
                            "description": "The predictions.",
                            "content": {"application/json": {"schema": answer}},
                        },
                        "default": {
                            "description": "What is wrong, where, and what to do.",
                            "content": {
                                "application/json": {"schema": {"$ref": "#/components/schemas/Error"}}
                            },
                        },
                    },
                }
            }
        },
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": {"Error": _ERROR},
        },
    }


def samples(description: Mapping[str, Any], *, model: str, version: str, url: str) -> dict[str, str]:
    """The same request for a shell, for Python, and for the command line of mlengine.

    Args:
        description: What the model told of itself.
        model: `projects/P/models/M`.
        version: Id of the version; empty for whatever the model's traffic goes to.
        url: Scheme and authority of the server.

    Returns:
        Texts under `curl`, `python` and `cli`; nothing where no instance can be made up.
    """
    sample = description.get("sample")
    if sample is None:
        return {}
    resource = f"{model}/versions/{version}" if version else model
    asked: Json = {"instances": [sample]}
    if not description.get("signature") and description.get("signatures"):
        asked["signature_name"] = min(description["signatures"])
    body = json.dumps(asked, ensure_ascii=False)
    _, project, _, name = model.split("/")
    options = [f"--model={name}"]
    if version:
        options.append(f"--version={version}")
    if "signature_name" in asked:
        options.append(f"--signature-name={asked['signature_name']}")
    instance = json.dumps(sample, ensure_ascii=False)
    return {
        "curl": (
            f"curl -H 'Content-Type: application/json' -H \"Authorization: Bearer $TOKEN\" \\\n"
            f"  -d {shlex.quote(body)} \\\n  {shlex.quote(f'{url}/v1/{resource}:predict')}\n"
        ),
        "python": (
            "import json\nimport os\nimport urllib.request\n\n"
            f"request = urllib.request.Request(\n    {f'{url}/v1/{resource}:predict'!r},\n"
            f"    data=json.dumps({asked!r}).encode(),\n"
            '    headers={"Content-Type": "application/json", '
            '"Authorization": f"Bearer {os.environ[\'TOKEN\']}"},\n)\n'
            "with urllib.request.urlopen(request) as answer:\n"
            '    print(json.load(answer)["predictions"])\n'
        ),
        "cli": (
            f"echo {shlex.quote(instance)} |\n  mlengine predict --project={project} {shlex.join(options)} "
            "--json-instances=-\n"
        ),
    }


def instance_schema(description: Mapping[str, Any]) -> Json:
    """JSON Schema of one instance."""
    kind, inputs = description.get("instance"), description.get("inputs") or []
    if kind == "text":
        return {"type": "string"}
    if not inputs:
        return {"type": "object"} if kind == "object" else {}
    fields = {one["name"]: _field_schema(one) for one in inputs}
    as_object: Json = {
        "type": "object",
        "properties": fields,
        "required": [one["name"] for one in inputs if one["required"]],
        "additionalProperties": False,
    }
    as_list: Json = {
        "type": "array",
        "prefixItems": list(fields.values()),
        "minItems": len(fields),
        "maxItems": len(fields),
    }
    if kind == "row":
        return {"oneOf": [as_object, as_list]} if description.get("named") else as_list
    if kind == "tensor" and len(inputs) == 1:
        return {"oneOf": [as_object, next(iter(fields.values()))]}
    return as_object


def prediction_schema(description: Mapping[str, Any]) -> Json:
    """JSON Schema of one prediction."""
    outputs = description.get("outputs") or []
    if len(outputs) == 1 and not outputs[0]["name"]:
        return _output_schema(outputs[0])
    if not outputs:
        return {}
    return {"type": "object", "properties": {one["name"]: _output_schema(one) for one in outputs}}


def _field_schema(one: Mapping[str, Any]) -> Json:
    leaf: Json
    if one["type"] == "bytes":
        leaf = {"oneOf": [{"type": "string"}, _BINARY]}
    else:
        leaf = {"type": _TYPES[one["type"]]} if one["type"] in _TYPES else {}
    for key, word in (("min", "minimum"), ("max", "maximum")):
        if one.get(key) is not None:
            leaf[word] = one[key]
    if one.get("categories") and one.get("closed"):
        leaf["enum"] = [*one["categories"], *([None] if one.get("nullable") else [])]
    elif one.get("categories"):
        leaf["examples"] = one["categories"]
    if one.get("nullable") and isinstance(leaf.get("type"), str):
        leaf["type"] = [leaf["type"], "null"]
    schema = _nested(leaf, one["shape"])
    if "default" in one:
        schema["default"] = one["default"]
    if one.get("description"):
        schema["description"] = one["description"]
    return schema


def _output_schema(one: Mapping[str, Any]) -> Json:
    leaf: Json = {"type": _TYPES[one["type"]]} if one["type"] in _TYPES else {}
    if one["type"] == "bytes":
        leaf = dict(_BINARY)
    # Of some outputs not even the rank is known.
    return _nested(leaf, one["shape"]) if one["shape"] is not None else {}


def _nested(leaf: Json, shape: list[int | None] | None) -> Json:
    if shape is None:
        return {}
    schema = leaf
    for size in reversed(shape):
        schema = {"type": "array", "items": schema}
        if size is not None:
            schema |= {"minItems": size, "maxItems": size}
    return schema


def _signature_schema(description: Mapping[str, Any]) -> Json:
    names = description.get("signatures") or []
    schema: Json = {"type": "string", "examples": list(names)}
    if description.get("signature"):
        schema["default"] = description["signature"]
    return schema


_ERROR: Json = {
    "type": "object",
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message", "status"],
            "properties": {
                "code": {"type": "integer"},
                "message": {"type": "string"},
                "status": {"type": "string"},
                "details": {"type": "array", "items": {"type": "object"}},
            },
        }
    },
}
