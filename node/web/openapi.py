"""The OpenAPI 3.1 document, made from the table that the server is made from, so that the two cannot drift apart."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from node.domain.concept import CONCEPTS, Concept, Values
from node.domain.items import json_schema
from node.domain.listing import LIMIT, LIMIT_MAX, OPS

ROOT = "/api/v1"
_PARAMETERS: Mapping[str, tuple[str, Values]] = {
    "limit": ("How many at most", {"type": "integer", "minimum": 1, "maximum": LIMIT_MAX, "default": LIMIT}),
    "cursor": ("`next` of the page before", {"type": "string"}),
    "order": ("Fields, `-` before one: descending", {"type": "string", "examples": ["-changed_at,name"]}),
    "q": ("Full text", {"type": "string", "maxLength": 200}),
    "columns": ("Only these fields", {"type": "string", "examples": ["name,city"]}),
    "kinds": ("Only these kinds, with commas", {"type": "string"}),
    "by": ("What to group by", {"type": "string"}),
    "kind": ("Which kind", {"type": "string"}),
    "since": ("From this day on", {"type": "string", "format": "date"}),
    "until": ("Up to this day, included", {"type": "string", "format": "date"}),
    "state": ("open, decided or all", {"type": "string"}),
    "concept": ("Only this collection", {"type": "string"}),
}
ERROR: Values = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message"],
            "properties": {
                "code": {"type": "string"},
                "message": {"type": "string", "description": "A sentence for a person"},
                "fields": {"type": "object", "additionalProperties": {"type": "string"}},
                "details": {"type": "object"},
            },
        }
    },
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One address with one method: how it is answered, and how it is described."""

    method: str
    path: str
    handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    title: str
    tag: str
    status: int = 200
    query: tuple[str, ...] = ()
    lists: Concept | None = None  # a list of this: takes its filters as well
    body: Values | None = None
    answer: Values = field(default_factory=lambda: {"type": "object"})
    etag: bool = False
    open: bool = False  # needs no log-in


def schema_name(concept: Concept) -> str:
    """price_lists → PriceList."""
    return "".join(word.capitalize() for word in concept.singular.split("_"))


def page_of(item: Values) -> Values:
    """The schema of a page of a list."""
    return {
        "type": "object",
        "required": ["items", "next"],
        "properties": {
            "items": {"type": "array", "items": item},
            "next": {"type": ["string", "null"], "description": "Cursor of the next page"},
            "count": {"type": "integer", "description": "Of the whole list; counting stops at 1,000"},
            "count_is_exact": {"type": "boolean"},
        },
    }


def document(routes: Sequence[Route]) -> Values:
    """The whole document."""
    paths: dict[str, Values] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    schemas: Values = {"Error": ERROR}
    for concept in CONCEPTS.values():
        if concept.api:
            schemas[schema_name(concept)] = json_schema(concept)
            schemas[schema_name(concept) + "Write"] = json_schema(concept, writing=True)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Kogge",
            "version": "1",
            "summary": "The records of one node: companies, deals, documents and what belongs to them.",
            "license": {"name": "see COPYING"},
        },
        "servers": [{"url": "/"}],
        "security": [{"token": []}, {"session": []}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": "A key made by `kogge token`"},
                "session": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "X-CSRF-Token",
                    "description": "The browser's session cookie; writes carry the session's token in this header",
                },
            },
        },
    }


def _operation(route: Route) -> Values:
    parameters: list[Values] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"\{(\w+)\}", route.path)
    ]
    names = (*route.query, *(("limit", "cursor", "order", "q", "columns") if route.lists else ()))
    for name in names:
        text, schema = _PARAMETERS[name]
        parameters.append({"name": name, "in": "query", "description": text, "schema": schema})
    if route.lists is not None:
        parameters.append(
            {
                "name": "filters",
                "in": "query",
                "description": f"`field=value` or `field__op=value`; field: of the record; op: {', '.join(OPS)}",
                "style": "form",
                "explode": True,
                "schema": {"type": "object", "additionalProperties": {"type": "string"}},
            }
        )
    if route.etag and route.method in ("PATCH", "DELETE"):
        parameters.append(
            {
                "name": "If-Match",
                "in": "header",
                "description": "ETag of the version that was seen; 412 with both versions if it is not the stored one",
                "schema": {"type": "string"},
            }
        )
    done: Values = {"description": "Done"}
    if route.status != 204:
        done["content"] = {"application/json": {"schema": route.answer}}
    if route.etag and route.method != "DELETE":
        done["headers"] = {"ETag": {"schema": {"type": "string"}}}
    found: Values = {
        "operationId": _operation_id(route),
        "summary": route.title,
        "tags": [route.tag],
        "responses": {str(route.status): done, "default": _error("What went wrong")},
    }
    if route.body is not None:
        found["responses"]["422"] = _error("Fields that cannot be taken, each with its sentence")
        found["requestBody"] = {"content": {"application/json": {"schema": route.body}}}
    if route.etag and route.method == "PATCH":
        found["responses"]["412"] = _error("Somebody was faster; `details` holds `yours` and `stored`")
    if parameters:
        found["parameters"] = parameters
    if route.open:
        found["security"] = []
    return found


def _operation_id(route: Route) -> str:
    words = re.sub(r"[^A-Za-z0-9]+", "_", route.path.removeprefix(ROOT)).strip("_")
    return f"{route.method.lower()}_{words}"


def _error(description: str) -> Any:
    return {
        "description": description,
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
    }
