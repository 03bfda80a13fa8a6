"""Who did what, as JSON lines in DATA/audit, a file a month; apart from those who decide what is noted."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Any


class AuditFile:
    """Appends records, each whole or not at all."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._writing = threading.Lock()

    def append(self, record: dict[str, Any]) -> None:
        """Write one record; it has a `time` in RFC 3339. Raises OSError."""
        line = json.dumps(record, ensure_ascii=False).encode() + b"\n"
        with self._writing:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            path = self._folder / f"{record['time'][:7]}.jsonl"
            descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            try:
                os.write(descriptor, line)
            finally:
                os.close(descriptor)
