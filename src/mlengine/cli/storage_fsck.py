"""`mlengine storage fsck`: does the server still have all it was given?"""

from __future__ import annotations

from argparse import Namespace
from typing import Any

from mlengine.cli.grammar import Parser
from mlengine.cli.session import Session

DETAIL = (
    "Works on a running server, beside everything else. Prints one line for each thing that is wrong, and "
    "ends with exit code 1 unless all of them were repaired. Objects are never touched: one whose content is "
    "lost stays until it is deleted or uploaded again."
)
# A page reads up to 1 GiB, or one object that is larger.
_SECONDS = 3600.0
_REPAIRABLE = ("UNREFERENCED", "COUNT")
_WORDS = {
    "MISSING": "content lost",
    "WRONG_SIZE": "wrong size",
    "WRONG_CONTENT": "content damaged",
    "UNREFERENCED": "left over",
    "COUNT": "wrong count",
}


def fsck_arguments(parser: Parser) -> None:
    """Declare what may be asked for."""
    parser.add_argument(
        "--checksums", action="store_true", help="read all contents, too, and compare their CRC32C"
    )
    parser.add_argument(
        "--repair", action="store_true", help="delete what is left over, and set wrong counts right"
    )


def fsck(arguments: Namespace, session: Session) -> int:
    """Go through all pages; 0 if nothing is wrong at the end, else 1."""
    asked: dict[str, Any] = {"checksums": arguments.checksums, "repair": arguments.repair}
    objects = read = 0
    found: list[dict[str, Any]] = []
    while True:
        page = session.connection.call("POST", "/mlengine/v1/storage:fsck", body=asked, timeout=_SECONDS)
        objects += int(page["objectsChecked"])
        read += int(page["bytesRead"])
        for finding in page["findings"]:
            found.append(finding)
            word = _WORDS.get(finding["kind"], finding["kind"])
            mended = "; repaired" if finding["repaired"] else ""
            print(f"{word}: {finding['subject']}: {finding['detail']}{mended}", flush=True)
        if not page.get("nextPageToken"):
            break
        asked["pageToken"] = page["nextPageToken"]
    contents = f" ({read} bytes read)" if arguments.checksums else ""
    open_ = [finding for finding in found if not finding["repaired"]]
    session.say(f"{objects} objects checked{contents}: {_verdict(len(found), len(found) - len(open_))}")
    if any(finding["kind"] in _REPAIRABLE for finding in open_):
        session.say("Set right what is left over or counted wrong: mlengine storage fsck --repair")
    return 1 if open_ else 0


def _verdict(found: int, repaired: int) -> str:
    if not found:
        return "nothing is wrong."
    return f"{found} wrong, {repaired} of them repaired."
