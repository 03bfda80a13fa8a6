"""A storage server as a process of its own, so that it can be killed."""

from __future__ import annotations

import socket
import sys
from datetime import timedelta
from pathlib import Path

import uvicorn

from mlengine.backends.blobs_folder import FolderBlobs
from mlengine.backends.database import open_database
from mlengine.clock import system_clock
from mlengine.storage.methods import methods
from mlengine.storage.service import StorageService
from mlengine.web.routing import Router


def main(folder: Path, port: int) -> None:
    """Serve what lies in `folder` on `port` (0: any), and print the port."""
    service = StorageService(
        open_database(f"sqlite:///{folder / 'mlengine.db'}"), FolderBlobs(folder / "blobs"), system_clock
    )
    service.collect(timedelta(days=7))
    listener = socket.create_server(("127.0.0.1", port), backlog=128)
    print(listener.getsockname()[1], flush=True)
    config = uvicorn.Config(Router(methods(service)), log_level="warning", lifespan="off", access_log=False)
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
