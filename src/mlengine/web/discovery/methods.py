"""The URLs of the API's own description."""

from __future__ import annotations

from collections.abc import Iterable

import mlengine
from mlengine.errors import InvalidArgument, NotFound
from mlengine.web.discovery.document import DESCRIPTION, REVISION, TITLE, discovery_document
from mlengine.web.discovery.openapi import openapi
from mlengine.web.discovery.page import html
from mlengine.web.method import Call, Json, Method, Parameter, Reply


def methods(described: Iterable[Method]) -> list[Method]:
    """The rows of discovery, OpenAPI and the page for people.

    Args:
        described: All other rows of the table; the new ones describe themselves, too.
    """
    others = tuple(described)

    def rest(call: Call) -> Json:
        if "version" not in call.query:
            raise InvalidArgument(
                "A discovery document is asked for by version; here is that of ml v1.",
                hint="Ask for /$discovery/rest?version=v1.",
                field="version",
            )
        return _document(call, "ml", call.query["version"])

    def get_rest(call: Call) -> Json:
        return _document(call, call.path["api"], call.path["version"])

    def list_(call: Call) -> Json:
        if call.query.get("name", "ml") != "ml":
            return {"kind": "discovery#directoryList", "discoveryVersion": "v1"}
        return {
            "kind": "discovery#directoryList",
            "discoveryVersion": "v1",
            "items": [
                {
                    "kind": "discovery#directoryItem",
                    "id": "ml:v1",
                    "name": "ml",
                    "version": "v1",
                    "revision": REVISION,
                    "title": TITLE,
                    "description": DESCRIPTION,
                    "discoveryRestUrl": f"{call.base_url}/discovery/v1/apis/ml/v1/rest",
                    "preferred": True,
                }
            ],
        }

    def get_openapi(call: Call) -> Json:
        return openapi(rows, call.base_url, version=mlengine.__version__)

    def get_page(_call: Call) -> Reply:
        content = html(rows, version=mlengine.__version__)
        return Reply(content=content, media_type="text/html; charset=UTF-8")

    def _document(call: Call, api: str, version: str) -> Json:
        if (api, version) != ("ml", "v1"):
            raise NotFound(
                f"There is no discovery document of {api} {version} here.",
                hint="There is one of ml v1: ask for /discovery/v1/apis/ml/v1/rest.",
            )
        return discovery_document(others, call.base_url)

    own = [
        Method(
            id="mlengine.discovery.rest",
            verb="GET",
            path="/$discovery/rest",
            handler=rest,
            summary="The discovery document of ml v1, where today's clients look.",
            parameters=(Parameter(name="version", summary="v1."),),
        ),
        Method(
            id="discovery.apis.getRest",
            verb="GET",
            path="/discovery/v1/apis/{api}/{version}/rest",
            handler=get_rest,
            summary="The discovery document of ml v1, where older clients look.",
        ),
        Method(
            id="discovery.apis.list",
            verb="GET",
            path="/discovery/v1/apis",
            handler=list_,
            summary="The APIs that have a discovery document.",
            parameters=(Parameter(name="name", summary="Only the API of this name."),),
        ),
        Method(
            id="mlengine.openapi.get",
            verb="GET",
            path="/openapi.json",
            handler=get_openapi,
            summary="All methods, as OpenAPI 3.1.",
        ),
        Method(
            id="mlengine.docs.get",
            verb="GET",
            path="/docs",
            handler=get_page,
            summary="All methods, as a page for people.",
        ),
    ]
    rows = (*others, *own)
    return own
