"""Where the sockets between the server's processes lie."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

from mlengine.errors import FailedPrecondition

# A Unix socket's path has at most 107 bytes on Linux, 103 on macOS; our longest file name takes 24 of them.
_LONGEST_SOCKET_FOLDER = 78


def socket_folder(data_dir: Path) -> Path:
    """Where this data directory's sockets live: inside it, or in the temporary folder if its path is long."""
    folder = data_dir / "run"
    if len(os.fsencode(folder)) > _LONGEST_SOCKET_FOLDER:
        mark = hashlib.sha256(os.fsencode(data_dir)).hexdigest()[:12]
        folder = Path(tempfile.gettempdir()) / f"mlengine-{os.getuid()}-{mark}"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if folder.lstat().st_uid != os.getuid():
        raise FailedPrecondition(
            f"{folder} belongs to another user.", hint="Choose a --data-dir of your own with a shorter path."
        )
    return folder
