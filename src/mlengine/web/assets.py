"""The files of the console, given to browsers with the headers that keep other pages' code out of it."""

from __future__ import annotations

import gzip
import hashlib
import mimetypes
from dataclasses import dataclass
from pathlib import Path

from mlengine.errors import NotFound
from mlengine.web.method import Call, Method, Reply

# Only the console's own files run or are shown; nothing is sent elsewhere, and nobody shows it in a frame.
CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob: data:",
        "connect-src 'self'",
        "font-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    # Asked for again each time, and answered with 304: after an upgrade nobody sees yesterday's page.
    "Cache-Control": "no-cache",
}
_TYPES = {".js": "text/javascript; charset=UTF-8", ".css": "text/css; charset=UTF-8"}
_PAGE = "index.html"


@dataclass(frozen=True, slots=True)
class _Asset:
    content: bytes
    packed: bytes
    etag: str
    media_type: str


def methods(folder: Path) -> list[Method]:
    """The rows of the console.

    Args:
        folder: Its files; `index.html` is given for every address that is a page and no file.
    """

    kept: dict[str, tuple[int, _Asset]] = {}

    def load(name: str) -> _Asset | None:
        path = folder / name
        # Addresses come from anywhere: what leads out of the folder is not there.
        if "\0" in name or not path.resolve().is_relative_to(folder.resolve()) or not path.is_file():
            return None
        changed = path.stat().st_mtime_ns
        known = kept.get(name)
        if known is None or known[0] != changed:
            known = kept[name] = (changed, _read(path))
        return known[1]

    def home(_call: Call) -> Reply:
        return Reply(status=302, headers={"Location": "/console/"})

    def page(call: Call) -> Reply:
        return _answer(call, load(_PAGE))

    def file(call: Call) -> Reply:
        name = call.path["path"]
        # Pages are below /console/p/; what looks like a file and is none is missing, not a page.
        asset = load(_PAGE) if name.startswith("p/") or name == "" else load(name)
        if asset is None:
            raise NotFound(f"The console has no file '{name[:200]}'.", hint="Begin at /console.")
        return _answer(call, asset)

    rows = (("/console", home), ("/console/", page), ("/console/{path*}", file))
    return [
        Method(
            id=f"mlengine.console.{handler.__name__}",
            verb="GET",
            path=path,
            handler=handler,
            summary="The web console.",
        )
        for path, handler in rows
    ]


def _read(path: Path) -> _Asset:
    content = path.read_bytes()
    media = _TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    if path.suffix == ".html":
        media = "text/html; charset=UTF-8"
    etag = f'"{hashlib.sha256(content).hexdigest()[:20]}"'
    return _Asset(content, gzip.compress(content, 9, mtime=0), etag, media)


def _answer(call: Call, asset: _Asset | None) -> Reply:
    if asset is None:
        raise NotFound("This installation has no console.", hint="Install mlengine again.")
    headers = _HEADERS | {"ETag": asset.etag, "Vary": "Accept-Encoding"}
    if call.headers.get("if-none-match") == asset.etag:
        return Reply(status=304, headers=headers, media_type=asset.media_type)
    if "gzip" in call.headers.get("accept-encoding", ""):
        headers["Content-Encoding"] = "gzip"
        return Reply(content=asset.packed, headers=headers, media_type=asset.media_type)
    return Reply(content=asset.content, headers=headers, media_type=asset.media_type)
