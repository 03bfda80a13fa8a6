"""The discovery document: what Google's client libraries build themselves from.

Everything in it is derived from the rows of the method table by the rules of Google's own document, so that
clients that bring theirs along and clients that ask us behave alike.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby

from mlengine.web.discovery.fields import Field
from mlengine.web.discovery.schemas import MESSAGES, reachable, type_of
from mlengine.web.method import Json, Method, Parameter

# Of the document whose methods and messages ours are the same as.
REVISION = "20251213"
TITLE = "Cloud ML Engine"
DESCRIPTION = "Train models, keep them, and predict with them."

_SCOPES = {
    "https://www.googleapis.com/auth/cloud-platform": "See and change everything in your projects.",
    "https://www.googleapis.com/auth/cloud-platform.read-only": "See everything in your projects.",
}
_READERS = frozenset(
    f"ml.projects.{id_}"
    for id_ in (
        "jobs.get",
        "jobs.list",
        "locations.get",
        "locations.list",
        "models.get",
        "models.list",
        "models.versions.list",
    )
)
_IAM = frozenset({"getIamPolicy", "setIamPolicy", "testIamPermissions"})
_PREFIXES = {
    "GoogleApi__": ("HttpBody",),
    "GoogleIamV1__": (
        "AuditConfig",
        "AuditLogConfig",
        "Binding",
        "Policy",
        "SetIamPolicyRequest",
        "TestIamPermissionsRequest",
        "TestIamPermissionsResponse",
    ),
    "GoogleLongrunning__": ("ListOperationsResponse", "Operation"),
    "GoogleProtobuf__": ("Empty",),
    "GoogleRpc__": ("Status",),
    "GoogleType__": ("Expr",),
    "GoogleCloudMlV1_HyperparameterOutput_": ("HyperparameterMetric",),
}
_PREFIX_OF = {name: prefix for prefix, names in _PREFIXES.items() for name in names}
_PIECE = re.compile(r"/(\w+)(?:/\{\w+\})?")

STANDARD_PARAMETERS: Mapping[str, Json] = {
    "$.xgafv": {
        "type": "string",
        "description": "Shape of errors.",
        "enum": ["1", "2"],
        "enumDescriptions": ["Old shape.", "Today's shape."],
    },
    "access_token": {"type": "string", "description": "A token, in place of the Authorization header."},
    "alt": {
        "type": "string",
        "description": "Shape of the answer.",
        "default": "json",
        "enum": ["json", "media", "proto"],
        "enumDescriptions": ["JSON.", "The content alone.", "Protocol buffers."],
    },
    "callback": {"type": "string", "description": "Name of a JavaScript function to call (JSONP)."},
    "fields": {"type": "string", "description": "Which fields of the answer are wanted."},
    "key": {"type": "string", "description": "An API key."},
    "oauth_token": {"type": "string", "description": "The same as access_token."},
    "prettyPrint": {
        "type": "boolean",
        "description": "Whether the answer has line breaks and indentation.",
        "default": "true",
    },
    "quotaUser": {"type": "string", "description": "On whose behalf the request is counted."},
    "uploadType": {"type": "string", "description": "How content is uploaded."},
    "upload_protocol": {"type": "string", "description": "How content is uploaded."},
}


def discovery_document(methods: Iterable[Method], base_url: str) -> Json:
    """The document of `ml` v1.

    Args:
        methods: Rows; those whose id does not begin with "ml." are left out.
        base_url: Where the client found us: there it will send what it sends.
    """
    rows = sorted((row for row in methods if row.id.startswith("ml.")), key=lambda row: (row.id, row.path))
    resources: Json = {}
    for id_, same in groupby(rows, key=lambda row: row.id):
        _, *collections, verb = id_.split(".")
        place: Json = {"resources": resources}
        for collection in collections:
            place = place.setdefault("resources", {}).setdefault(collection, {})
        place.setdefault("methods", {})[verb] = _method(list(same), collections)
    return {
        "kind": "discovery#restDescription",
        "discoveryVersion": "v1",
        "id": "ml:v1",
        "name": "ml",
        "version": "v1",
        "version_module": True,
        "revision": REVISION,
        "title": TITLE,
        "canonicalName": "Cloud Machine Learning Engine",
        "description": DESCRIPTION,
        "protocol": "rest",
        "rootUrl": f"{base_url}/",
        "baseUrl": f"{base_url}/",
        "mtlsRootUrl": f"{base_url}/",
        "basePath": "",
        "servicePath": "",
        "batchPath": "batch",
        "fullyEncodeReservedExpansion": True,
        "auth": {"oauth2": {"scopes": {scope: {"description": about} for scope, about in _SCOPES.items()}}},
        "parameters": {
            name: {"location": "query"} | parameter for name, parameter in STANDARD_PARAMETERS.items()
        },
        "schemas": _schemas(rows),
        "resources": resources,
    }


def full_name(name: str) -> str:
    """What the document calls the message that our rows call `name`."""
    return _PREFIX_OF.get(name, "GoogleCloudMlV1__") + name


def _method(rows: Sequence[Method], collections: Sequence[str]) -> Json:
    """One method; with several rows, its paths differ in how long a name they take."""
    row = max(rows, key=lambda row: row.path.count("/"))
    path, flat_path, parameter, pattern = _name_parameter(row, collections)
    described: Json = {
        "id": row.id,
        "httpMethod": row.verb,
        "path": path,
        "flatPath": flat_path,
        "description": row.summary,
        "parameters": {
            parameter: {
                "type": "string",
                "location": "path",
                "required": True,
                "pattern": pattern,
                "description": f"Like {_example(pattern)}.",
            }
        }
        | {parameter.name: _query(parameter) for parameter in row.parameters},
        "parameterOrder": [parameter],
        "scopes": [scope for scope in _SCOPES if not scope.endswith("read-only") or row.id in _READERS],
    }
    if row.request:
        described["request"] = {"$ref": full_name(row.request)}
    if row.response:
        described["response"] = {"$ref": full_name(row.response)}
    return described


def _name_parameter(row: Method, collections: Sequence[str]) -> tuple[str, str, str, str]:
    """Path, flat path, and name and pattern of the one variable that a path of Google's has."""
    _, version, rest = row.path.split("/", 2)
    pieces, _, custom = f"/{rest}".partition(":")
    words: list[str] = _PIECE.findall(pieces)
    suffix = f":{custom}" if custom else ""
    if len(words) > len(collections):
        # The id names fewer collections than the path: any name below them will do.
        words, pattern = words[: len(collections)], f"^{'/[^/]+/'.join(collections)}/.*$"
        of_collection = False
    else:
        of_collection = not pieces.endswith("}")
        pattern = "/".join(f"{word}/[^/]+" for word in (words[:-1] if of_collection else words))
        pattern = f"^{pattern}$"
    flat = "/".join(f"{word}/{{{word}Id}}" for word in words)
    if of_collection:
        flat = flat.rpartition("/")[0]
        suffix = f"/{words[-1]}{suffix}"
    name = _variable(row, custom, of_collection=of_collection)
    return f"{version}/{{+{name}}}{suffix}", f"{version}/{flat}{_colon(custom)}", name, pattern


def _variable(row: Method, custom: str, *, of_collection: bool) -> str:
    if custom in _IAM:
        return "resource"
    # Operations have an interface that is older than the habit of saying parent.
    return "parent" if of_collection and not row.id.endswith(".operations.list") else "name"


def _colon(custom: str) -> str:
    return f":{custom}" if custom else ""


def _example(pattern: str) -> str:
    """A pattern for people: `^projects/[^/]+/jobs/[^/]+$` as projects/PROJECT/jobs/JOB."""
    words = pattern.strip("^$").replace(".*", "…").split("/[^/]+")
    return "".join(f"{word}/{word.strip('/')[:-1].upper()}" for word in words[:-1]) + words[-1]


def _query(parameter: Parameter) -> Json:
    described: Json = {"type": parameter.kind, "location": "query"}
    if parameter.format:
        described["format"] = parameter.format
    if parameter.summary:
        described["description"] = parameter.summary
    return described


def _schemas(rows: Iterable[Method]) -> Json:
    # No method names the metadata of operations, but all of their readers want it.
    used = reachable({"OperationMetadata"}.union(*({row.request, row.response} for row in rows)))
    described: Json = {}
    for full, name in sorted((full_name(name), name) for name in used):
        properties = {field_name: _property(field) for field_name, field in sorted(MESSAGES[name].items())}
        described[full] = {"id": full, "type": "object", "properties": properties}
    return described


def _property(field: Field) -> Json:
    type_ = type_of(field)
    described: Json
    if type_.values is not None:
        described = {
            "type": "string",
            "enum": list(type_.values),
            "enumDescriptions": list(type_.values.values()),
        }
    else:
        described = dict(type_.scalar or {"$ref": full_name(type_.name)})
    if type_.is_map:
        described = {"type": "object", "additionalProperties": described}
    if type_.is_list:
        described = {"type": "array", "items": described}
    if field.about:
        described["description"] = field.about
    if field.output:
        described["readOnly"] = True
    return described
