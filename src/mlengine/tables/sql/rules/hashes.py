"""Hashes and encodings."""

from __future__ import annotations

from mlengine.tables.sql.calls import Call, rule, simple
from mlengine.tables.sql.kinds import BYTES, INT64, STRING
from mlengine.tables.sql.values import Value

simple("TO_HEX", "BYTES", "STRING", "lower(hex({0}))")
simple("FROM_HEX", "STRING", "BYTES", "unhex(CASE WHEN length({0}) % 2 = 1 THEN '0' || {0} ELSE {0} END)")
simple("TO_BASE64", "BYTES", "STRING", "to_base64({0})")
simple("FROM_BASE64", "STRING", "BYTES", "from_base64({0})")
simple("TO_BASE32", "BYTES", "STRING", "bq_base32({0})")
simple("FROM_BASE32", "STRING", "BYTES", "bq_from_base32({0})")


@rule("MD5", "SHA1", "SHA256", "SHA512", "FARM_FINGERPRINT")
def digest(call: Call) -> Value:
    call.count(1)
    value = call.take(0, STRING, BYTES)
    data = value.sql
    if call.name in ("SHA512", "FARM_FINGERPRINT"):
        data = f"encode({data})" if value.kind.kind == "STRING" else data
        name = "bq_sha512" if call.name == "SHA512" else "bq_farm_fingerprint"
        return Value(f"{name}({data})", BYTES if call.name == "SHA512" else INT64)
    return Value(f"unhex({call.name.lower()}({data}))", BYTES)


_HOST = r"(?i)^\s*(?:[a-z][a-z0-9+.-]*:)?//(?:[^/?#@]*@)?(\[[^\]]*\]|[^/?#:\s]*)"


@rule("NET.HOST")
def host(call: Call) -> Value:
    call.count(1)
    value = call.take(0, STRING)
    return Value(f"nullif(regexp_extract({value.sql}, '{_HOST}', 1), '')", STRING)


simple("NET.IPV4_FROM_INT64", "INT64", "BYTES", "unhex(printf('%08x', {0} & 4294967295))")
simple("NET.IPV4_TO_INT64", "BYTES", "INT64", "CAST('0x' || hex({0}) AS BIGINT)")
