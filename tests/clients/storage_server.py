"""A storage server as a process of its own, so that it can be killed."""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from mlengine.access import methods as access_methods
from mlengine.access.service import AccessService
from mlengine.access.signed_urls import SignedUrls
from mlengine.backends.blobs_folder import FolderBlobs
from mlengine.backends.database import open_database
from mlengine.clock import system_clock
from mlengine.storage import methods, xml_api
from mlengine.storage.service import StorageService
from mlengine.web.fork import Fork
from mlengine.web.routing import Router
from mlengine.web.server import HttpServer


def say(port: int) -> None:
    print(port, flush=True)


def main(folder: Path, port: int, url: str = "", tell: Callable[[int], None] = say) -> None:
    """Serve what lies in `folder` (rows: in the database `url`) on `port` (0: any), and tell the port."""
    database = open_database(url or f"sqlite:///{folder / 'mlengine.db'}")
    service = StorageService(database, FolderBlobs(folder / "blobs"), system_clock)
    service.collect(timedelta(days=7))
    access = AccessService(database, system_clock)
    apis = Router([*methods.methods(service), *access_methods.methods(access)])
    router = Fork(apis, Router(xml_api.methods(service, SignedUrls(access, system_clock).admit)))
    listener = socket.create_server(("127.0.0.1", port), backlog=128)
    tell(listener.getsockname()[1])
    HttpServer(router.answer).listen(listener)
    threading.Event().wait()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:])
