"""What queries, copies and extracts may say, and what it means. No I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mlengine.errors import InvalidArgument, nearest
from mlengine.names import ObjectUrl
from mlengine.tables.copies import EXTRACTS, ExtractOptions
from mlengine.tables.domain import RESULTS
from mlengine.tables.load_options import manner, one_of
from mlengine.tables.queries import Query
from mlengine.tables.schema import TableReference
from mlengine.tables.service import Manner
from mlengine.tables.wire import expiration, numeral, reference_from, truth, word

_QUERY = (
    *("query", "useLegacySql", "parameterMode", "queryParameters", "defaultDataset", "destinationTable"),
    *(
        "writeDisposition",
        "createDisposition",
        "schemaUpdateOptions",
        "timePartitioning",
        "rangePartitioning",
    ),
    *("clustering", "maximumBytesBilled"),
)
# Said by clients; they ask for what we do anyway, or for what only costs money elsewhere.
_QUERY_NEUTRAL = (
    *(
        "useQueryCache",
        "priority",
        "allowLargeResults",
        "flattenResults",
        "maximumBillingTier",
        "preserveNulls",
    ),
    *(
        "labels",
        "requestId",
        "location",
        "formatOptions",
        "kind",
        "maxResults",
        "timeoutMs",
        "jobCreationMode",
    ),
    *("dryRun", "jobTimeoutMs"),
)
_COPY = (
    *("sourceTable", "sourceTables", "destinationTable", "writeDisposition", "createDisposition"),
    *("operationType", "destinationExpirationTime"),
)
_EXTRACT = (
    *("sourceTable", "destinationUri", "destinationUris", "destinationFormat", "compression", "printHeader"),
    *("fieldDelimiter", "useAvroLogicalTypes"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyOptions:
    """A copy, understood."""

    sources: tuple[TableReference, ...]
    destination: TableReference
    manner: Manner
    snapshot: bool


def query_options(said: Mapping[str, Any], *, project: str, job_id: str) -> Query:
    """Read `configuration.query`, or the body of `jobs.query`.

    Raises:
        InvalidArgument: a wrong value, or something that would have no effect here.
    """
    _refuse_others(said, (*_QUERY, *_QUERY_NEUTRAL), "a query")
    text = word(said, "query")
    if not text.strip():
        raise InvalidArgument("Required parameter is missing: query")
    if truth(said, "useLegacySql"):
        raise InvalidArgument("Legacy SQL is not supported.", hint="Use GoogleSQL: useLegacySql=false.")
    default = said.get("defaultDataset") or {}
    destination = (
        reference_from(said["destinationTable"], project=project) if said.get("destinationTable") else None
    )
    if destination is not None and destination.dataset == RESULTS:
        destination = None
    parameters = said.get("queryParameters") or []
    if not isinstance(parameters, list):
        raise InvalidArgument("queryParameters must be a list.")
    return Query(
        text=text,
        project=project,
        job_id=job_id,
        parameters=parameters,
        default=TableReference(
            project=str(default.get("projectId") or project), dataset=str(default["datasetId"]), table=""
        )
        if default.get("datasetId")
        else None,
        destination=destination,
        manner=manner(said, default="WRITE_EMPTY"),
        most_bytes=numeral(said, "maximumBytesBilled"),
    )


def copy_options(said: Mapping[str, Any], *, project: str) -> CopyOptions:
    """Read `configuration.copy`. Raises InvalidArgument."""
    _refuse_others(said, _COPY, "a copy")
    sources = said.get("sourceTables") or ([said["sourceTable"]] if said.get("sourceTable") else [])
    if not sources:
        raise InvalidArgument("Required parameter is missing: sourceTables")
    operation = one_of(
        said,
        "operationType",
        ("OPERATION_TYPE_UNSPECIFIED", "COPY", "SNAPSHOT", "RESTORE", "CLONE"),
        "COPY",
    )
    chosen = manner(said, default="WRITE_EMPTY")
    expires = expiration({"expirationTime": said.get("destinationExpirationTime")})
    return CopyOptions(
        sources=tuple(reference_from(one, project=project) for one in sources),
        destination=reference_from(said.get("destinationTable"), project=project),
        manner=Manner(write=chosen.write, create=chosen.create, expires=expires),
        snapshot=operation == "SNAPSHOT",
    )


def extract_options(said: Mapping[str, Any], *, project: str) -> tuple[TableReference, ExtractOptions]:
    """Read `configuration.extract`. Raises InvalidArgument."""
    _refuse_others(said, _EXTRACT, "an extract")
    uris = said.get("destinationUris") or ([said["destinationUri"]] if said.get("destinationUri") else [])
    if len(uris) != 1:
        raise InvalidArgument("An extract has exactly one destinationUris entry here.")
    url = ObjectUrl.parse(str(uris[0]))
    options = ExtractOptions(
        url=url,
        format=one_of(said, "destinationFormat", EXTRACTS, "CSV"),
        compression=word(said, "compression", "NONE") or "NONE",
        delimiter=word(said, "fieldDelimiter", ",").replace("\\t", "\t") or ",",
        header=truth(said, "printHeader", True),
    )
    return reference_from(said.get("sourceTable"), project=project), options


def _refuse_others(said: Mapping[str, Any], known: Sequence[str], what: str) -> None:
    for key, value in said.items():
        if key not in known and value not in (None, "", [], {}, False):
            raise InvalidArgument(f"{key} of {what} is not supported.", hint=nearest(key, list(known)))
