"""TensorBoard for the server, run by path in the environment of a runtime: standard library and TensorBoard.

The first line of standard input says what to show, as JSON; so the secret in its path stands in no list of
processes. When standard input ends, the server is gone, and so is this.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from urllib.parse import urlsplit


def main() -> None:
    """Serve until nobody holds the other end of standard input."""
    order = json.loads(sys.stdin.buffer.readline())
    threading.Thread(target=_end_with_the_server, daemon=True).start()
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # frameworks print where they like; the answer must stand alone
    from tensorboard import default, main_lib, program

    main_lib.global_init()
    # Without those that other packages bring, and without the projector, which reads any file that an
    # object in the bucket names.
    board = program.TensorBoard(plugins=default.get_static_plugins())
    board.configure(
        logdir=order["logdir"],
        path_prefix=order["prefix"],
        window_title=order["logdir"],
        host="127.0.0.1",
        port=0,
        # The other loader is a program of its own that knows no server but Google's.
        load_fast="false",
        reload_interval=order["reload_seconds"],
    )
    url = board.launch()
    print(json.dumps({"port": urlsplit(url).port}), file=out, flush=True)
    threading.Event().wait()


def _end_with_the_server() -> None:
    # Of the descriptor, not the buffer: another thread may be at that when the interpreter ends.
    while os.read(0, 4096):
        pass
    os._exit(0)


if __name__ == "__main__":
    main()
