"""JSON of datasets and tables, in the words of BigQuery's REST API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from mlengine.errors import InvalidArgument, nearest
from mlengine.tables.domain import Dataset, Table, tag
from mlengine.tables.schema import MODES, TYPES, Field, Schema, TableReference

Json = dict[str, Any]

# What is kept as it was said, and told again.
_DATASET_SAID = ("friendlyName", "description", "labels", "defaultTableExpirationMs")
_DATASET_OURS = (
    *("kind", "etag", "id", "selfLink", "datasetReference", "location", "creationTime", "lastModifiedTime"),
    *("type", "satisfiesPzs", "satisfiesPzi"),
)
_TABLE_SAID = (
    *("friendlyName", "description", "labels", "timePartitioning", "rangePartitioning", "clustering"),
    "tableConstraints",
)
_TABLE_OURS = (
    *("kind", "etag", "id", "selfLink", "tableReference", "schema", "numBytes", "numRows", "creationTime"),
    *("lastModifiedTime", "type", "location", "expirationTime", "view", "numLongTermBytes", "mlengine"),
    *("numTotalLogicalBytes", "numActiveLogicalBytes", "numLongTermLogicalBytes", "streamingBuffer"),
)
# Said by clients with the value that means what we do anyway.
_NEUTRAL: dict[str, Sequence[Any]] = {
    "requirePartitionFilter": (False,),
    "defaultCollation": ("",),
    "defaultRoundingMode": ("ROUNDING_MODE_UNSPECIFIED", "ROUND_HALF_AWAY_FROM_ZERO"),
    "maxTimeTravelHours": ("168", 168),
    "storageBillingModel": ("LOGICAL", "STORAGE_BILLING_MODEL_UNSPECIFIED"),
    "isCaseInsensitive": (False,),
    "access": ([],),
    "resourceTags": ({},),
    "restrictions": ({},),
}
_FIELD_KEYS = (
    "name",
    "type",
    "mode",
    "fields",
    "description",
    "precision",
    "scale",
    "maxLength",
    "roundingMode",
)


def dataset_json(dataset: Dataset, base_url: str) -> Json:
    """The resource."""
    place = f"projects/{dataset.project}/datasets/{dataset.dataset}"
    return {
        "kind": "bigquery#dataset",
        "etag": tag(dataset),
        "id": f"{dataset.project}:{dataset.dataset}",
        "selfLink": f"{base_url}/bigquery/v2/{place}",
        "datasetReference": {"projectId": dataset.project, "datasetId": dataset.dataset},
        "location": dataset.location,
        "creationTime": millis(dataset.created),
        "lastModifiedTime": millis(dataset.updated),
        "type": "DEFAULT",
        "access": [],
        **dataset.said,
    }


def said_of_dataset(resource: Mapping[str, Any]) -> Json:
    """What a resource says that is kept; None where a value is to go.

    Raises:
        InvalidArgument: something that would have no effect here.
    """
    _refuse_others(resource, (*_DATASET_SAID, *_DATASET_OURS), "a dataset")
    found = {key: resource[key] for key in _DATASET_SAID if key in resource}
    _check_labels(found.get("labels"))
    if (lifetime := found.get("defaultTableExpirationMs")) is not None:
        found["defaultTableExpirationMs"] = str(_positive(lifetime, "defaultTableExpirationMs"))
    return found


def merged(old: Mapping[str, Any], new: Mapping[str, Any]) -> Json:
    """What was said, and what is said now; null takes away."""
    both = dict(old)
    for key, value in new.items():
        if key == "labels" and isinstance(value, dict):
            kept = dict(both.get("labels") or {}) | value
            both[key] = {name: text for name, text in kept.items() if text is not None}
        elif value is None:
            both.pop(key, None)
        else:
            both[key] = value
    return both


def table_json(table: Table, base_url: str, location: str = "US") -> Json:
    """The resource."""
    reference = table.reference
    place = f"projects/{reference.project}/datasets/{reference.dataset}/tables/{reference.table}"
    found: Json = {
        "kind": "bigquery#table",
        "etag": tag(table),
        "id": str(reference),
        "selfLink": f"{base_url}/bigquery/v2/{place}",
        "tableReference": reference_json(reference),
        "type": table.kind,
        "location": location,
        "creationTime": millis(table.created),
        "lastModifiedTime": millis(table.updated),
        "schema": schema_json(table.schema),
        **table.said,
    }
    if table.kind == "VIEW":
        found["view"] = {"query": table.view, "useLegacySql": False}
    else:
        found |= {
            "numRows": str(table.content.rows),
            "numBytes": str(table.content.size),
            "numLongTermBytes": "0",
            "mlengine": {"version": str(table.version)},
        }
    if table.expires:
        found["expirationTime"] = millis(table.expires)
    return found


def table_entry(table: Table) -> Json:
    """A table in a list."""
    found: Json = {
        "kind": "bigquery#table",
        "id": str(table.reference),
        "tableReference": reference_json(table.reference),
        "type": table.kind,
        "creationTime": millis(table.created),
    }
    kept = ("friendlyName", "labels", "timePartitioning", "rangePartitioning", "clustering")
    found |= {key: table.said[key] for key in kept if key in table.said}
    if table.kind == "VIEW":
        found["view"] = {"useLegacySql": False}
    if table.expires:
        found["expirationTime"] = millis(table.expires)
    return found


def said_of_table(resource: Mapping[str, Any]) -> Json:
    """What a resource says that is kept; None where a value is to go.

    Raises:
        InvalidArgument: something that would have no effect here.
    """
    _refuse_others(resource, (*_TABLE_SAID, *_TABLE_OURS), "a table")
    found = {key: resource[key] for key in _TABLE_SAID if key in resource}
    _check_labels(found.get("labels"))
    if parts := found.get("timePartitioning"):
        if not parts.get("field"):
            raise InvalidArgument(
                "Partitioning by the time of loading is not supported.",
                hint="Give timePartitioning.field: a DATE, DATETIME or TIMESTAMP column.",
            )
        if parts.get("expirationMs"):
            raise InvalidArgument("timePartitioning.expirationMs is not supported: partitions do not expire.")
        if parts.get("requirePartitionFilter"):
            raise InvalidArgument("timePartitioning.requirePartitionFilter is not supported.")
    return found


def expiration(resource: Mapping[str, Any]) -> datetime | None:
    """When a table is to be deleted."""
    value = resource.get("expirationTime")
    return None if value in (None, "") else moment(_positive(value, "expirationTime"))


def reference_json(reference: TableReference) -> Json:
    """A table reference."""
    return {"projectId": reference.project, "datasetId": reference.dataset, "tableId": reference.table}


def reference_from(value: Any, *, project: str) -> TableReference:
    """A table reference; `name@millis` is the table at a time. Raises InvalidArgument."""
    if not isinstance(value, Mapping) or not value.get("datasetId") or not value.get("tableId"):
        raise InvalidArgument(
            "Required parameter is missing: a table.",
            hint='Send {"projectId": "…", "datasetId": "…", "tableId": "…"}.',
        )
    return named_table(str(value.get("projectId") or project), str(value["datasetId"]), str(value["tableId"]))


def named_table(project: str, dataset: str, name: str) -> TableReference:
    """The table that a path or a reference means, with `@millis` behind its name or without.

    Raises:
        InvalidArgument: it names a single partition, or a time that cannot be read.
    """
    bare, dollar, partition = name.partition("$")
    if dollar:
        raise InvalidArgument(
            f"A single partition ({bare[:80]}${partition[:80]}) is meant: $ decorators are not supported.",
            hint="Name the table. Rows find their partition by its column; WHERE on it reads only that part.",
        )
    bare, at, millis_ = bare.partition("@")
    when: datetime | None = None
    if at:
        if not millis_.isdigit():
            raise InvalidArgument(
                f"Invalid snapshot decorator in {name[:80]!r}.", hint="Write table@milliseconds since 1970."
            )
        when = moment(int(millis_))
    return TableReference(project=project, dataset=dataset, table=bare, at=when)


def schema_json(schema: Schema) -> Json:
    """A schema."""
    return {"fields": [_field_json(one) for one in schema]}


def schema_from(value: Any, *, path: str = "schema") -> Schema:
    """A schema. Raises InvalidArgument, which names the field."""
    fields = value.get("fields", []) if isinstance(value, Mapping) else None
    if not isinstance(fields, list):
        raise InvalidArgument(f"{path}.fields must be a list of fields.")
    return tuple(_field_from(one, f"{path}.fields[{index}]") for index, one in enumerate(fields))


def millis(when: datetime) -> str:
    """Milliseconds since 1970, as text."""
    return str(int(when.timestamp() * 1000))


def moment(value: int) -> datetime:
    """The time so many milliseconds after the beginning of 1970. Raises InvalidArgument."""
    try:
        return datetime.fromtimestamp(value / 1000, UTC)
    except (OverflowError, ValueError, OSError):
        raise InvalidArgument(f"{value} milliseconds since 1970 is no time.") from None


def word(said: Mapping[str, Any], key: str, default: str = "") -> str:
    """A text. Raises InvalidArgument."""
    value = said.get(key, default)
    if value is None:
        return default
    if not isinstance(value, str):
        raise InvalidArgument(f"{key} must be text, not {value!r}.")
    return value


def truth(said: Mapping[str, Any], key: str, default: bool = False) -> bool:
    """A flag. Raises InvalidArgument."""
    value = said.get(key, default)
    if value is None:
        return default
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    if not isinstance(value, bool):
        raise InvalidArgument(f"{key} must be true or false, not {value!r}.")
    return value


def numeral(said: Mapping[str, Any], key: str) -> int | None:
    """A whole number, also as text. Raises InvalidArgument."""
    value = said.get(key)
    if value in (None, ""):
        return None
    try:
        if isinstance(value, bool | float):
            raise ValueError
        number = int(value)
    except (TypeError, ValueError):
        raise InvalidArgument(f"{key} must be a whole number, not {value!r}.") from None
    if number < 0:
        raise InvalidArgument(f"{key} must not be negative, but is {number}.")
    return number


def _field_json(one: Field) -> Json:
    found: Json = {"name": one.name, "type": one.type, "mode": one.mode}
    if one.fields:
        found["fields"] = [_field_json(part) for part in one.fields]
    if one.description:
        found["description"] = one.description
    for key, value in (("precision", one.precision), ("scale", one.scale), ("maxLength", one.max_length)):
        if value is not None:
            found[key] = str(value)
    return found


def _field_from(value: Any, path: str) -> Field:
    if not isinstance(value, Mapping):
        raise InvalidArgument(f"{path} must be an object.")
    for key, said in value.items():
        if key not in _FIELD_KEYS and said not in (None, "", [], {}, {"names": []}):
            raise InvalidArgument(f"{path}.{key} is not supported.", hint=nearest(key, list(_FIELD_KEYS)))
    name, kind = word(value, "name"), word(value, "type").upper()
    if kind in ("GEOGRAPHY", "RANGE", "FOREIGN"):
        raise InvalidArgument(f"Field {name}: the type {kind} is not supported.", hint="Keep it as a STRING.")
    if kind not in TYPES:
        raise InvalidArgument(
            f"Invalid value for type: {kind} is not a valid value", hint=nearest(kind, list(TYPES))
        )
    mode = (word(value, "mode") or "NULLABLE").upper()
    if mode not in MODES:
        raise InvalidArgument(f"Invalid value for mode: {mode} is not a valid value")
    return Field(
        name=name,
        type=TYPES[kind],
        mode=mode,
        fields=schema_from(value, path=path) if TYPES[kind] == "RECORD" else (),
        description=word(value, "description"),
        precision=numeral(value, "precision"),
        scale=numeral(value, "scale"),
        max_length=numeral(value, "maxLength"),
    )


def _refuse_others(resource: Mapping[str, Any], known: Sequence[str], what: str) -> None:
    for key, value in resource.items():
        if key in known or value is None:
            continue
        if value in _NEUTRAL.get(key, ()):
            continue
        hint = nearest(key, list(known))
        if key == "access":
            hint = "Who may do what is a matter of the project: mlengine projects add-iam-policy-binding."
        raise InvalidArgument(f"{key} of {what} is not supported.", hint=hint)


def _check_labels(labels: Any) -> None:
    if labels is not None and not isinstance(labels, Mapping):
        raise InvalidArgument("labels must be an object of texts.")
    for key, value in (labels or {}).items():
        if value is not None and not isinstance(value, str):
            raise InvalidArgument(f"labels.{key} must be text, not {value!r}.")


def _positive(value: Any, name: str) -> int:
    try:
        number = int(value)
    except (TypeError, ValueError):
        raise InvalidArgument(f"{name} must be a whole number, not {value!r}.") from None
    if number <= 0:
        raise InvalidArgument(f"{name} must be positive, but is {number}.")
    return number


def changed_table(old: Table, resource: Mapping[str, Any], *, whole: bool) -> Table:
    """A table as a PATCH (or, `whole`, a PUT) says.

    Raises:
        InvalidArgument: something that cannot be so.
    """
    said = said_of_table(resource)
    new = replace(old, said=merged({} if whole else old.said, said))
    if "expirationTime" in resource or whole:
        new = replace(new, expires=expiration(resource))
    if resource.get("schema", {}) and resource["schema"].get("fields"):
        new = replace(new, schema=schema_from(resource["schema"]))
    return new
