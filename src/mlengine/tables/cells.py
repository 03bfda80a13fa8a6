"""Cells as the REST API writes them, made by DuckDB: SQL that gives the JSON text of a whole row.

Row by row in Python it would take many times as long.
"""

from __future__ import annotations

from mlengine.errors import InvalidArgument
from mlengine.tables.schema import Field, Schema
from mlengine.tables.types import literal, quoted


def row_text(schema: Schema, *, whole_microseconds: bool = True) -> str:
    """An SQL expression: the JSON text of a row with these columns.

    Args:
        whole_microseconds: Timestamps as a number of them, not as seconds with a fraction.
    """
    cells = [_cell(quoted(one.name), one, whole_microseconds, 0) for one in schema]
    return _record(cells)


def _record(cells: list[str]) -> str:
    if not cells:
        return literal('{"f":[]}')
    parts = [literal('{"f":[{"v":')]
    for cell in cells:
        parts += [cell, literal('},{"v":')]
    parts[-1] = literal("}]}")
    return f"concat({', '.join(parts)})"


def _cell(value: str, one: Field, micros: bool, depth: int) -> str:
    if one.repeated:
        # Each depth a name of its own: an inner one must not hide an outer one.
        item = f"item{depth}"
        inner = _cell(item, one.element, micros, depth + 1)
        wrapped = f"concat('{{\"v\":', {inner}, '}}')"
        texts = f"array_to_string(list_transform({value}, lambda {item}: {wrapped}), ',')"
        return f"concat('[', coalesce({texts}, ''), ']')"
    if one.type == "RECORD":
        parts = [_cell(f"({value}).{quoted(part.name)}", part, micros, depth) for part in one.fields]
        return f"CASE WHEN {value} IS NULL THEN 'null' ELSE {_record(parts)} END"
    return f"coalesce({_scalar(value, one.type, micros)}, 'null')"


def _scalar(value: str, kind: str, micros: bool) -> str:
    match kind:
        case "STRING":
            return f"to_json({value})::VARCHAR"
        case "JSON":
            return f"to_json({value}::VARCHAR)::VARCHAR"
        case "FLOAT":
            return (
                f"CASE WHEN isnan({value}) THEN '\"NaN\"' "
                f"WHEN {value} = 'Infinity'::DOUBLE THEN '\"Infinity\"' "
                f"WHEN {value} = '-Infinity'::DOUBLE THEN '\"-Infinity\"' "
                f"ELSE '\"' || {value}::VARCHAR || '\"' END"
            )
        case "NUMERIC" | "BIGNUMERIC":
            return f"'\"' || rtrim(rtrim({value}::VARCHAR, '0'), '.') || '\"'"
        case "BYTES":
            return f"'\"' || to_base64({value}) || '\"'"
        case "TIMESTAMP" if micros:
            return f"'\"' || epoch_us({value}) || '\"'"
        case "TIMESTAMP":
            return f"'\"' || (epoch_us({value})::DECIMAL(38,6) / 1000000)::DECIMAL(38,6)::VARCHAR || '\"'"
        case "TIME":
            return f"'\"' || {_padded(f'{value}::VARCHAR', 15)} || '\"'"
        case "DATETIME":
            text = f"replace({value}::VARCHAR, ' ', 'T')"
            return f"'\"' || {_padded(text, 26)} || '\"'"
        case "INTERVAL":
            return _interval(value)
    return f"'\"' || {value}::VARCHAR || '\"'"


def _padded(text: str, length: int) -> str:
    """A time with all six digits of its fraction, or with none."""
    return f"CASE WHEN contains({text}, '.') THEN rpad({text}, {length}, '0') ELSE {text} END"


def _interval(value: str) -> str:
    """[-]Y-M [-]D [-]H:M:S[.F], as BigQuery writes one."""
    months = f"(datepart('year', {value}) * 12 + datepart('month', {value}))"
    micros = f"(epoch_us({value}) - epoch_us(to_months({months}::INTEGER)) - {_days(value)} * 86400000000)"
    text = (
        f"printf('\"%s%d-%d %d %s%d:%d:%d.%06d\"', "
        f"CASE WHEN {months} < 0 THEN '-' ELSE '' END, abs({months}) // 12, abs({months}) % 12, "
        f"{_days(value)}, CASE WHEN {micros} < 0 THEN '-' ELSE '' END, "
        f"abs({micros}) // 3600000000, abs({micros}) // 60000000 % 60, "
        f"abs({micros}) // 1000000 % 60, abs({micros}) % 1000000)"
    )
    return f"CASE WHEN {value} IS NOT NULL THEN {text} END"


def _days(value: str) -> str:
    return f"datepart('day', {value})"


def selected(schema: Schema, wanted: str) -> Schema:
    """The columns that `selectedFields` names ("a,b.c"), in its order, as Google's client reads them.

    Without a name, all.

    Raises:
        InvalidArgument: there is no such column.
    """
    names = [name.strip() for name in wanted.split(",") if name.strip()]
    if not names:
        return schema
    return _picked(schema, names, "")


def _picked(schema: Schema, names: list[str], within: str) -> Schema:
    known = {one.name.lower(): one for one in schema}
    wanted: dict[str, list[str]] = {}
    for name in names:
        head, _, rest = name.partition(".")
        if head.lower() not in known:
            raise InvalidArgument(f"No such field: {within}{name}.")
        wanted.setdefault(head.lower(), []).append(rest)
    found: list[Field] = []
    for head, inner in wanted.items():
        one = known[head]
        if all(inner) and one.type == "RECORD":
            fields = _picked(one.fields, inner, f"{within}{one.name}.")
            one = Field(name=one.name, type=one.type, mode=one.mode, fields=fields)
        elif any(inner):
            raise InvalidArgument(f"Field {within}{one.name} has no fields of its own.")
        found.append(one)
    return tuple(found)
