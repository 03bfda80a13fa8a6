"""The OpenAPI page: the same rows for everyone else's tools, our own methods and storage included."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping

from mlengine.web.discovery.document import DESCRIPTION, STANDARD_PARAMETERS, TITLE
from mlengine.web.discovery.fields import Field
from mlengine.web.discovery.schemas import MESSAGES, OWN_FIELDS, OWN_VALUES, reachable, type_of
from mlengine.web.method import Json, Method, Parameter

_VARIABLE = re.compile(r"\{(\w+)([+*]?)\}")
# What a variable may hold. Tools cannot say `anything`: a path of several components is one value to them.
_VALUES = {"": "^[^/:]+$", "+": "^.+$", "*": "^.+$"}
_FORMATS: Mapping[str, Json] = {
    "string": {"type": "string"},
    "boolean": {"type": "boolean"},
    "int32": {"type": "integer", "format": "int32", "minimum": -(2**31), "maximum": 2**31 - 1},
    "int64": {"type": "string", "format": "int64", "pattern": "^-?[0-9]{1,18}$"},
    "double": {"type": "number", "format": "double"},
    "bytes": {"type": "string", "contentEncoding": "base64"},
    "timestamp": {"type": "string", "format": "date-time"},
    "duration": {"type": "string", "pattern": r"^-?[0-9]{1,12}(\.[0-9]{1,9})?s$"},
    "fieldmask": {"type": "string"},
    "any": {},
}
# On the wire both are the JSON of the prediction itself.
_BARE: Mapping[str, Json] = {
    "PredictRequest": {
        "type": "object",
        "properties": {
            "instances": {"type": "array", "minItems": 1, "items": {}},
            "signature_name": {"type": "string"},
        },
        "required": ["instances"],
    },
    "ExplainRequest": {
        "type": "object",
        "properties": {"instances": {"type": "array", "minItems": 1, "items": {}}},
        "required": ["instances"],
    },
    "HttpBody": {"type": "object"},
}
_ERROR: Json = {
    "type": "object",
    "properties": {
        "error": {
            "type": "object",
            "properties": {
                "code": {"type": "integer", "description": "The status of HTTP."},
                "message": {"type": "string"},
                "status": {"type": "string", "description": "Such as NOT_FOUND."},
                "errors": {"type": "array", "items": {"type": "object"}},
                "details": {"type": "array", "items": {"type": "object"}},
            },
            "required": ["code", "message", "status"],
        }
    },
    "required": ["error"],
}

# What the methods of OAuth say in its place, by RFC 6749.
_OAUTH_ERROR: Json = {
    "type": "object",
    "properties": {"error": {"type": "string"}, "error_description": {"type": "string"}},
    "required": ["error"],
}
_PLAIN_ERROR: Json = {
    "type": "object",
    "description": "An error in the words of TensorFlow Serving and Open Inference.",
    "properties": {"error": {"type": "string"}},
    "required": ["error"],
}
_ERRORS = {"Error": _ERROR, "OAuthError": _OAUTH_ERROR, "PlainError": _PLAIN_ERROR}
_PLAIN = ("mlengine.tfServing.", "mlengine.openInference.")


def openapi(methods: Iterable[Method], base_url: str, *, version: str) -> Json:
    """The page, in OpenAPI 3.1.

    Args:
        base_url: Where the client found us.
        version: Of the server.
    """
    rows = sorted(methods, key=lambda row: (row.path, row.verb))
    used = reachable(name for row in rows for name in (row.request, row.response) if name not in _BARE)
    schemas = {name: _message(name) for name in used}
    bare = {name: about for name, about in _BARE.items() if any(name in _named(row) for row in rows)}
    return {
        "openapi": "3.1.0",
        "info": {"title": TITLE, "version": version, "description": DESCRIPTION},
        "servers": [{"url": base_url}],
        "security": [{}, {"token": []}],
        "paths": _paths(rows),
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "parameters": {_key(name): _standard(name) for name in STANDARD_PARAMETERS},
            "schemas": dict(sorted((schemas | bare | _ERRORS).items())),
        },
    }


def _named(row: Method) -> tuple[str, str]:
    return row.request, row.response


def _paths(rows: Iterable[Method]) -> Json:
    rows = list(rows)
    count = Counter(row.id for row in rows)
    paths: Json = {}
    for row in rows:
        described = _operation(row)
        if count[row.id] > 1:
            described["operationId"] += f".{_last_word(row)}"
        paths.setdefault(_VARIABLE.sub(r"{\1}", row.path), {})[row.verb.lower()] = described
    return paths


def _last_word(row: Method) -> str:
    """What tells a row from others with its id: the last collection of its path, or what takes the rest."""
    words = re.findall(r"/(\w+)|\{(\w+)\*\}", row.path.partition(":")[0])
    return "".join(words[-1])


def _operation(row: Method) -> Json:
    parameters: list[Json] = [_path_variable(name, kind) for name, kind in _VARIABLE.findall(row.path)]
    parameters += [_query(parameter) for parameter in row.parameters]
    if row.id.startswith("ml."):
        parameters += [{"$ref": f"#/components/parameters/{_key(name)}"} for name in STANDARD_PARAMETERS]
    described: Json = {
        "operationId": row.id,
        "summary": row.summary,
        "tags": [tag(row)],
        "parameters": parameters,
        "responses": _answers(row),
    }
    if body := _body(row):
        described["requestBody"] = body
    return described


def _answers(row: Method) -> Json:
    # What nobody has described is any status below 300 with any content.
    good = {"200": {"description": "Done."} | _content(row.response)}
    bad = {"description": "Not done: the message says why, and what to do next."}
    return (good if row.response else {"2XX": {"description": "Done."}}) | {
        "default": bad | _content(_error_of(row))
    }


def _body(row: Method) -> Json:
    """What a method takes besides its parameters; empty for nothing."""
    if row.request:
        return {"required": row.request in _BARE} | _content(row.request)
    if row.verb not in ("POST", "PUT", "PATCH") or row.id.startswith("ml."):
        return {}
    # Nobody has described it yet; contents of objects come as any type at all.
    kind = "application/x-www-form-urlencoded" if _is_oauth(row) else "application/json"
    raw: Json = {"application/octet-stream": {}} if "/upload/" in row.path else {}
    return {"content": {kind: {"schema": {"type": "object"}}} | raw}


def _error_of(row: Method) -> str:
    """The schema of what it answers when it refuses."""
    if _is_oauth(row):
        return "OAuthError"
    return "PlainError" if row.id.startswith(_PLAIN) else "Error"


def _is_oauth(row: Method) -> bool:
    return row.id.startswith("oauth2.")


def tag(row: Method) -> str:
    """What a method is listed under: its id without the verb."""
    return row.id.rpartition(".")[0]


def _path_variable(name: str, kind: str) -> Json:
    return {
        "name": name,
        "in": "path",
        "required": True,
        "schema": {"type": "string", "pattern": _VALUES[kind]},
    }


def _query(parameter: Parameter) -> Json:
    schema: Json = {"type": parameter.kind}
    if parameter.kind == "integer" and parameter.format:
        schema |= {"format": parameter.format}
    described: Json = {"name": parameter.name, "in": "query", "schema": schema}
    if parameter.summary:
        described["description"] = parameter.summary
    return described


def _standard(name: str) -> Json:
    said = STANDARD_PARAMETERS[name]
    schema: Json = {key: said[key] for key in ("type", "enum") if key in said}
    if "default" in said:
        schema["default"] = said["default"] == "true" if said["type"] == "boolean" else said["default"]
    return {"name": name, "in": "query", "description": said["description"], "schema": schema}


def _key(name: str) -> str:
    """A parameter's name where `$` may not stand first."""
    return name.removeprefix("$.")


def _content(name: str) -> Json:
    return {"content": {"application/json": {"schema": _reference(name)}}}


def _reference(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def _message(message: str) -> Json:
    properties = {name: _property(field) for name, field in sorted(MESSAGES[message].items())}
    properties |= {name: _property(field) for name, field in OWN_FIELDS.get(message, {}).items()}
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _property(field: Field) -> Json:
    type_ = type_of(field)
    described: Json
    if type_.values is not None:
        described = {"type": "string", "enum": [*type_.values, *OWN_VALUES.get(type_.name, {})]}
    elif type_.name in _FORMATS:
        described = dict(_FORMATS[type_.name])
    else:
        described = _reference(type_.name)
    if type_.is_map:
        described = {"type": "object", "additionalProperties": described}
    if type_.is_list:
        described = {"type": "array", "items": described}
    if field.about:
        described["description"] = field.about
    if field.output:
        described["readOnly"] = True
    return described
