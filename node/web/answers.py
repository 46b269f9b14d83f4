"""JSON in and out: reading a request's body strictly, writing answers and errors in one shape.

An error is `{"error": {"code", "message", "details"}}`, of a validation also with `"fields": {name: sentence}`. Numbers
with a point are read as exact decimals, because a price of 0.1 is not a binary fraction.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from decimal import Decimal
from typing import Any

from aiohttp import web

from node.domain.items import plain
from node.errors import BadInput, Invalid, KoggeError

BODY_BYTES_MAX = 10 * 1024 * 1024
_CODES = {
    400: "bad_input", 401: "not_logged_in", 403: "forbidden", 404: "not_found", 405: "method_not_allowed",
    413: "too_large", 415: "bad_input",
}  # fmt: skip
_SENTENCES = {
    404: "There is no such address. The addresses are listed in /api/v1/openapi.json.",
    405: "This address does not know that method; it knows {allowed}.",
    413: "This is more than 10 MB. Send it in smaller parts.",
}


def answer(value: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """A JSON answer; dates, decimals and the like become text."""
    text = json.dumps(plain(value), ensure_ascii=False, separators=(",", ":"))
    return web.Response(
        body=text.encode(),
        status=status,
        content_type="application/json",
        headers={"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", **(headers or {})},
    )


def error_answer(error: Exception, reference: str = "") -> web.Response:
    """What went wrong, with its HTTP status. `reference` finds the log entry of what is our own fault."""
    headers = {}
    if isinstance(error, KoggeError):
        status, code, message, details = error.status, error.code, error.message, dict(error.details)
    elif isinstance(error, web.HTTPException):
        status, code, details = error.status, _CODES.get(error.status, "error"), {}
        allowed = ", ".join(sorted(getattr(error, "allowed_methods", ())))
        message = _SENTENCES.get(status, error.reason).format(allowed=allowed)
        if allowed:
            headers["Allow"] = allowed
    else:
        status, code, details = 500, "error", {"reference": reference}
        message = "Something went wrong here; nothing was changed. Tell the administrator the reference."
    body: dict[str, Any] = {"code": code, "message": message}
    if isinstance(error, Invalid):
        body["fields"] = details.pop("fields", {})
    body["details"] = details
    if status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="Kogge"'
    if "retry_after_s" in details:
        headers["Retry-After"] = str(details["retry_after_s"])
    return answer({"error": body}, status=status, headers=headers)


async def body_of(request: web.Request, known: Collection[str] | None = None) -> dict[str, Any]:
    """The JSON object of the body, {} where there is none. Raise BadInput; Invalid for names that are not `known`."""
    raw = await request.read()
    if not raw.strip():
        return {}
    try:
        value = json.loads(raw.decode("utf-8"), parse_float=Decimal, parse_constant=_no_constant)
    except (UnicodeDecodeError, ValueError, RecursionError) as e:
        raise BadInput(f"The body is not valid JSON in UTF-8: {e}.") from None
    if not isinstance(value, dict):
        raise BadInput("The body must be a JSON object: {…}.")
    if known is not None:
        sentence = f"There is no such field. Known: {', '.join(known) or 'none'}."
        unknown = {name: sentence for name in value if name not in known}
        if unknown:
            raise Invalid(unknown)
    return value


def only(request: web.Request, *known: str) -> dict[str, str]:
    """The query parameters. Raise Invalid for one that this address does not know."""
    unknown = {
        name: f"There is no such parameter. Known: {', '.join(known) or 'none'}."
        for name in request.query
        if name not in known
    }
    if unknown:
        raise Invalid(unknown)
    return dict(request.query)


def whole(values: Mapping[str, str], name: str, default: int, most: int) -> int:
    """A whole number from 1 to `most` of the query. Raise Invalid."""
    text = values.get(name, str(default))
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= most):
        raise Invalid({name: f"A whole number from 1 to {most}."})
    return int(text)


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a number of JSON")
