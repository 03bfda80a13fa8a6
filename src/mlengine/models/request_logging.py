"""Where samples of a version's requests are written: what a patch says of it, and how it is shown.

Google's field names a table. The one in our own block names a bucket, and means every request unless it says
else. A version has one of them; whichever is set, or cleared, takes the place of what was there.
"""

from __future__ import annotations

import re
from typing import Any

from mlengine.errors import InvalidArgument
from mlengine.models.domain import Version
from mlengine.names import ObjectUrl
from mlengine.web.fields import Fields

TABLE, BUCKET = "requestLoggingConfig", "mlengine.requestLogging"
_NAME = re.compile(r"([a-z0-9][a-z0-9-]*)[.:](\w+)\.([^.:`\s]+)")


def change(table: Fields | None, bucket: Fields | None, mask: frozenset[str]) -> dict[str, Any] | None:
    """What a patch asks for, as `Version.request_logging`; None where it does not speak of it.

    Raises:
        InvalidArgument: both at once, or one that is not whole.
    """
    found = {path: said for path, said in ((TABLE, _table(table)), (BUCKET, _bucket(bucket))) if path in mask}
    wanted = [said for said in found.values() if said]
    if len(wanted) == 2:
        raise InvalidArgument(
            f"The patch has {TABLE} and {BUCKET}; requests are logged in one place.", field="update_mask"
        )
    return None if not found else wanted[0] if wanted else {}


def to_json(version: Version) -> tuple[dict[str, Any], dict[str, Any]]:
    """Google's field and our own; at most one of them says something."""
    logging = version.request_logging
    return (logging, {}) if "bigqueryTableName" in logging else ({}, logging)


def _table(fields: Fields | None) -> dict[str, Any]:
    if fields is None:
        return {}
    name, share = fields.text("bigqueryTableName"), fields.fraction("samplingPercentage")
    fields.done()
    if not name:
        if share:
            raise fields.wrong("bigqueryTableName", "is missing.", hint="Send it, too: PROJECT.DATASET.TABLE")
        return {}
    found = _NAME.fullmatch(name)
    if not found:
        hint = "Write PROJECT.DATASET.TABLE."
        raise fields.wrong("bigqueryTableName", f"'{name[:100]}' is no name of a table.", hint=hint)
    return {"bigqueryTableName": ".".join(found.groups()), "samplingPercentage": share}


def _bucket(fields: Fields | None) -> dict[str, Any]:
    if fields is None:
        return {}
    sampled = fields.has("samplingPercentage")
    destination, share = fields.text("destination"), fields.fraction("samplingPercentage", 1.0)
    fields.done()
    if not destination:
        if sampled:
            raise fields.wrong("destination", "is missing.", hint="Send it, too: gs://BUCKET/FOLDER")
        return {}
    url = ObjectUrl.parse(destination, field=fields.spell("destination"))
    return {"destination": str(url).rstrip("/"), "samplingPercentage": share}
