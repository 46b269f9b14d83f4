"""What can be done with a record beside changing its fields: post an invoice, move a deal, merge two companies.

Each is an action of the concept's own file; here it only gets its address, its body and its answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from typing import Any

from aiohttp import web
from sqlalchemy.orm import Session

from node.domain import chain, deals, duplicates, merging, payments, posting, records, taking, tasks, users
from node.domain.access import Actor
from node.domain.concept import CONCEPTS, Concept, Kind, Values
from node.domain.sessions import hash_password
from node.errors import Invalid
from node.web import openapi
from node.web.answers import answer, body_of, only
from node.web.openapi import ROOT, Route
from node.web.visit import actor, database

Do = Callable[[Session, Actor, str, Values], Any]  # (s, by, key, body) → row, None, or plain values
TEXT: Values = {"type": "string"}
QUANTITIES: Values = {
    "type": "object",
    "description": "Key of a line → how many; left out: all that is left",
    "additionalProperties": {"type": ["string", "number"]},
}
CHOOSE: Values = {
    "type": "object",
    "description": "Field → whose value holds",
    "additionalProperties": {"enum": ["loser", "survivor"]},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One action. `result` is the concept of the row that it gives; empty: plain values or nothing."""

    name: str
    title: str
    do: Do
    body: Mapping[str, Values] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    result: str = ""
    method: str = "POST"


def routes_of(concept: Concept) -> list[Route]:
    """The actions of one concept."""
    base = f"{ROOT}/{concept.name.replace('_', '-')}"
    found = []
    for action in ACTIONS.get(concept.name, ()):
        result = CONCEPTS.get(action.result)
        schema: Values = {"type": "object"}
        if result is not None:
            schema = {"$ref": f"#/components/schemas/{openapi.schema_name(result)}"}
        body: Values = {
            "type": "object",
            "additionalProperties": False,
            "properties": dict(action.body),
            "required": list(action.needs),
        }
        found.append(
            Route(
                method=action.method,
                path=f"{base}/{{id}}/{action.name}",
                handler=partial(_act, concept, action),
                title=action.title,
                tag=concept.name,
                body=body if action.method == "POST" else None,
                answer=schema,
            )
        )
    if concept.name in merging.MERGEABLE:
        found.append(
            Route(
                method="POST",
                path=f"{base}/similar",
                handler=partial(_similar, concept),
                title=f"Who may be meant, before a new {concept.label.lower()} is made",
                tag=concept.name,
                body={"type": "object"},
            )
        )
    if concept.name == "users":
        found.append(
            Route(
                method="POST",
                path=f"{base}/{{id}}/password",
                handler=_password,
                title="Give the user another password; his sessions end",
                tag=concept.name,
                body={
                    "type": "object",
                    "required": ["password"],
                    "additionalProperties": False,
                    "properties": {"password": {"type": "string", "minLength": users.PASSWORD_MIN, "writeOnly": True}},
                },
            )
        )
    return found


async def _act(concept: Concept, action: Action, request: web.Request) -> web.StreamResponse:
    only(request)
    by, id = actor(request), request.match_info["id"]
    body = await body_of(request, tuple(action.body)) if action.method == "POST" else {}
    missing = {name: "This is needed." for name in action.needs if not body.get(name)}
    if missing:
        raise Invalid(missing)

    def run(s: Session) -> Any:
        row = records.load(s, by, concept, id)
        done = action.do(s, by, row.id, body)
        s.flush()
        if action.result and done is not None:
            result = CONCEPTS[action.result]
            return records.to_json(result, records.item(s, by, result, done))
        return done if isinstance(done, dict | list) else {"ok": True}

    db = database(request)
    if action.method == "GET":
        return answer(await db.read(run))
    return answer(await db.write(run, by=by, cause="api"))


async def _similar(concept: Concept, request: web.Request) -> web.StreamResponse:
    only(request)
    body, by = await body_of(request), actor(request)
    for name in ("phones", "emails", "addresses"):
        if not isinstance(body.get(name, []), list):
            raise Invalid({name: "A list."})
    found = await database(request).read(_candidates, by, concept, body)
    return answer({"items": found})


def _candidates(s: Session, by: Actor, concept: Concept, body: Values) -> list[Values]:
    own = str(body.pop("id", "") or "")
    values = records.take(s, by, concept, body, new=False)
    if own:
        values["id"] = own
    found = duplicates.candidates(s, by, concept.singular, values)
    return [{"id": c.id, "title": c.title, "score": c.score, "reasons": list(c.reasons)} for c in found]


async def _password(request: web.Request) -> web.StreamResponse:
    only(request)
    by, password = actor(request), str((await body_of(request, ("password",))).get("password", ""))
    users.acceptable_password(password)
    db = database(request)
    hashed = await db.read(lambda _s: hash_password(password))  # on a thread, outside the transaction
    await db.write(users.set_password, by, request.match_info["id"], hashed, by=by, cause="api")
    return answer({"ok": True})


# the actions themselves


def _quantities(body: Values) -> dict[str, Decimal] | None:
    given = body.get("quantities")
    if given is None:
        return None
    if not isinstance(given, dict):
        raise Invalid({"quantities": "An object: key of the line → how many."})
    return {str(line): _typed("quantities", Kind.QUANTITY, count) for line, count in given.items()}


def _typed(name: str, kind: Kind, raw: Any) -> Any:
    try:
        return taking.one_of(kind, raw)
    except taking.Wrong as e:
        raise Invalid({name: str(e)}) from None


def _next(kind: str, s: Session, by: Actor, id: str, body: Values) -> Any:
    return chain.next_document(s, by, id, kind, quantities=_quantities(body))


def _credit(s: Session, by: Actor, id: str, body: Values) -> Any:
    return chain.credit_invoice(s, by, id, quantities=_quantities(body))


def _chain(s: Session, by: Actor, id: str, body: Values) -> Any:
    return {"items": [{n: getattr(link, n) for n in link.__slots__} for link in chain.chain(s, by, id)]}


def _move(s: Session, by: Actor, id: str, body: Values) -> Any:
    row = records.load(s, by, CONCEPTS["deals"], id, "edit")
    stage = deals.find_stage(s, body.get("pipeline") or row.pipeline_id, str(body["stage"]))
    if stage is None:
        known = ", ".join(stage.name for stage in deals.stages(s, row.pipeline_id))
        raise Invalid({"stage": f"There is no such stage in this pipeline. There are: {known}."})
    reason = body.get("lost_reason")
    if reason is not None and str(reason) not in {r.id for r in deals.lost_reasons(s)}:
        raise Invalid({"lost_reason": "There is no such reason: give the key of one of lost-reasons."})
    return deals.move_deal(s, by, id, stage.id, reason)


def _from_deal(s: Session, by: Actor, id: str, body: Values) -> Any:
    return chain.document_from_deal(s, by, id, "offer")


def _merge(concept: str, s: Session, by: Actor, id: str, body: Values) -> Any:
    choose = body.get("choose") or {}
    if not isinstance(choose, dict):
        raise Invalid({"choose": "An object: field → loser or survivor."})
    into = records.load(s, by, CONCEPTS[concept], str(body["into"]), "edit")
    return merging.merge(s, by, concept, id, into.id, {str(k): str(v) for k, v in choose.items()})


def _decide(s: Session, by: Actor, id: str, body: Values) -> Any:
    duplicates.decide(s, by, id, str(body["choice"]))
    return records.load(s, by, CONCEPTS["duplicates"], id)


def _done(s: Session, by: Actor, id: str, body: Values) -> Any:
    minutes = body.get("minutes")
    after = tasks.complete(
        s, by, id, str(body.get("result") or ""), None if minutes is None else _typed("minutes", Kind.INT, minutes)
    )
    return {"ok": True, "next": after.id if after is not None else None}


def _snooze(s: Session, by: Actor, id: str, body: Values) -> Any:
    raw = str(body["until"])
    tasks.snooze(s, by, id, _typed("until", Kind.INSTANT if "T" in raw else Kind.DAY, raw))
    return records.load(s, by, CONCEPTS["tasks"], id)


def _task(do: Callable[[Session, Actor, str], None], s: Session, by: Actor, id: str, body: Values) -> Any:
    do(s, by, id)
    return records.load(s, by, CONCEPTS["tasks"], id)


def _user(do: Callable[[Session, Actor, str], None], s: Session, by: Actor, id: str, body: Values) -> Any:
    do(s, by, id)
    return records.load(s, by, CONCEPTS["users"], id)


def _reverse(s: Session, by: Actor, id: str, body: Values) -> Any:
    return payments.reverse_payment(s, by, id, str(body.get("notes") or ""))


def _document_actions(concept: str, following: Mapping[str, str]) -> tuple[Action, ...]:
    found = [
        Action(name="post", title="Draw the number; it cannot be changed any more", result=concept,
               do=lambda s, by, id, body: posting.post(s, by, id)),
        Action(name="cancel", title="Give a draft up", result=concept,
               do=lambda s, by, id, body: posting.cancel_draft(s, by, id)),
        Action(name="chain", title="From which document it came and which came from it", do=_chain, method="GET"),
    ]  # fmt: skip
    if concept != "credits":
        found.append(
            Action(name="copy", title="A new draft like this one", result=concept,
                   do=lambda s, by, id, body: chain.copy_document(s, by, id))
        )  # fmt: skip
    for kind, plural in following.items():
        found.append(
            Action(name=kind, title=f"The {kind} that follows, as a draft", do=partial(_next, kind), result=plural,
                   body={"quantities": QUANTITIES})
        )  # fmt: skip
    return tuple(found)


def _merging_actions(concept: str) -> tuple[Action, ...]:
    return (
        Action(name="merge", title="Make one of two; this one becomes an alias of the other", result=concept,
               do=partial(_merge, concept), needs=("into",),
               body={"into": TEXT, "choose": CHOOSE}),
    )  # fmt: skip


ACTIONS: Mapping[str, tuple[Action, ...]] = {
    "offers": _document_actions("offers", {"order": "orders", "invoice": "invoices"}),
    "orders": _document_actions("orders", {"invoice": "invoices"}),
    "invoices": (
        *_document_actions("invoices", {}),
        Action(name="credit", title="A credit note for what is left of it, as a draft", do=_credit, result="credits",
               body={"quantities": QUANTITIES}),
    ),
    "credits": _document_actions("credits", {}),
    "payments": (
        Action(name="reverse", title="Cancel it by its opposite", do=_reverse, result="payments", body={"notes": TEXT}),
    ),
    "deals": (
        Action(name="move", title="Put it into another stage", do=_move, result="deals", needs=("stage",),
               body={"stage": {"type": "string", "description": "Key or name"}, "pipeline": TEXT, "lost_reason": TEXT}),
        Action(name="offer", title="An offer with the deal's products, as a draft", do=_from_deal, result="offers"),
    ),
    "companies": _merging_actions("companies"),
    "persons": _merging_actions("persons"),
    "duplicates": (
        Action(name="decide", title="They are different, or open again; merge them to make them one", do=_decide,
               result="duplicates", needs=("choice",), body={"choice": {"enum": ["different", "open"]}}),
    ),
    "tasks": (
        Action(name="done", title="It is done; a repeated one gives the next", do=_done,
               body={"result": TEXT, "minutes": {"type": "integer"}}),
        Action(name="reopen", title="It was not done after all", do=partial(_task, tasks.reopen), result="tasks"),
        Action(name="cancel", title="It need not be done", do=partial(_task, tasks.cancel), result="tasks"),
        Action(name="snooze", title="Put it off to a day, or its reminder to a time", do=_snooze, result="tasks",
               needs=("until",), body={"until": TEXT}),
    ),
    "users": (
        Action(name="disable", title="He cannot log in any more", do=partial(_user, users.disable), result="users"),
        Action(name="enable", title="He can log in again", do=partial(_user, users.enable), result="users"),
    ),
}  # fmt: skip
