"""The URLs where tokens are had, looked at and given back: Google's OAuth 2.0 paths."""

from __future__ import annotations

from urllib.parse import parse_qsl

from mlengine.access.oauth import OAuthError, TokenService
from mlengine.errors import InvalidArgument
from mlengine.web.method import Call, Handler, Json, Method, Reply

_LONGEST_FORM = 64 * 1024
_MOST_FIELDS = 50


def methods(service: TokenService) -> list[Method]:
    """The rows of `oauth2`."""

    def token(call: Call) -> Json:
        return service.grant(_form(call), base_url=call.base_url)

    def info(call: Call) -> Json:
        asked = {**call.query, **(_form(call) if call.verb == "POST" else {})}
        shown = asked.get("access_token", "")
        header = f"Bearer {shown}" if shown else call.headers.get("authorization", "")
        return service.info(header, base_url=call.base_url)

    def user(call: Call) -> Json:
        found = info(call)
        return {key: found[key] for key in ("sub", "email") if key in found} | {"email_verified": True}

    def revoke(call: Call) -> Json:
        asked = {**call.query, **_form(call)}
        service.revoke(asked.get("token", ""))
        return {}

    def certificates(_call: Call) -> Json:
        return service.certificates()

    rows: list[tuple[str, str, str, Handler, str]] = [
        ("token", "POST", "/token", token, "An access token for what a service account's key has signed."),
        ("revoke", "POST", "/revoke", revoke, "End an access token now."),
        ("certs", "GET", "/oauth2/v3/certs", certificates, "What ID tokens are signed with."),
        ("userinfo", "GET", "/oauth2/v3/userinfo", user, "Whose access token it is."),
    ]
    for name, path in (("tokeninfo", "/tokeninfo"), ("v3.tokeninfo", "/oauth2/v3/tokeninfo")):
        rows += [
            (name, "GET", path, info, "What is known of an access token."),
            (f"{name}.post", "POST", path, info, "What is known of an access token in a form."),
        ]
    return [
        Method(id=f"oauth2.{name}", verb=verb, path=path, handler=_in_oauth(handler), summary=summary)
        for name, verb, path, handler, summary in rows
    ]


def _form(call: Call) -> dict[str, str]:
    text = call.read(limit=_LONGEST_FORM).decode("utf-8", "replace")
    try:
        return dict(parse_qsl(text, keep_blank_values=True, max_num_fields=_MOST_FIELDS))
    except ValueError:
        raise OAuthError("invalid_request", f"The form has more than {_MOST_FIELDS} fields.") from None


def _in_oauth(handler: Handler) -> Handler:
    """`handler` with its refusals in OAuth's words."""

    def answered(call: Call) -> Json | Reply:
        try:
            try:
                return handler(call)
            except InvalidArgument as problem:
                raise OAuthError("invalid_request", str(problem)) from None
        except OAuthError as error:
            content = {"error": error.word, "error_description": error.description}
            status = 401 if error.word == "invalid_token" and "userinfo" in call.target else 400
            return Reply(content=content, status=status, headers={"cache-control": "no-store"})

    return answered
