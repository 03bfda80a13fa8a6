"""What all methods of `ml` have in common, put around the rows of the table in its order."""

from __future__ import annotations

from collections.abc import Sequence

from mlengine.web.batch import batches
from mlengine.web.method import Method
from mlengine.web.overrides import with_overrides
from mlengine.web.standard_parameters import with_standard_parameters


def with_conventions(methods: Sequence[Method]) -> list[Method]:
    """The rows with the standard query parameters, with overrides of the verb, and the two of batches.

    Args:
        methods: As they are called with one request, whatever looks at its caller around them already.
    """
    rows = with_standard_parameters(methods)
    return [*with_overrides(rows), *batches(row for row in rows if row.id.startswith("ml."))]
