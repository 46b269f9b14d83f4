"""The document desk: from offer to paid without typing twice.

The page of one document shows the chain it belongs to, its lines (a table to type in while it is a draft), the totals,
and the next step. What is posted stays as it is; the way on is the next document or a credit note.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

from aiohttp import web
from sqlalchemy.orm import Session

from node.domain import chain, posting, records
from node.domain.access import Actor, may
from node.domain.concept import CONCEPTS, Concept, Kind, Values
from node.domain.users import user_names
from node.errors import Invalid, KoggeError, Stale
from node.web import forms
from node.web.document_view import (
    DRAFTS,
    DUE,
    KIND_WORDS,
    DeskLine,
    actions_of,
    facts_of,
    line_words,
    more_of,
    notes_of,
    parse_lines,
    payments_of,
    recipient_of,
    strip_of,
    totals_of,
)
from node.web.i18n import _, choose
from node.web.language import Reader, reader
from node.web.pages_lists import TONES
from node.web.record_view import standing_of, step_of
from node.web.render import Toast, go, page
from node.web.titles import titles_of
from node.web.visit import actor, address_of, database, posted, visit

KINDS: Mapping[str, str] = {"offers": "offer", "orders": "order", "invoices": "invoice", "credits": "credit"}
BLANK_LINES = 3  # offered where there is no script


def _concept(request: web.Request) -> Concept:
    return CONCEPTS[request.match_info["collection"]]


async def desk(request: web.Request) -> web.Response:
    """The page of one document."""
    return await _desk(request)


async def _desk(
    request: web.Request, typed: Sequence[DeskLine] = (), line_errors: str = "", status: int = 200
) -> web.Response:
    concept, by, v, id = _concept(request), actor(request), await visit(request), request.match_info["id"]
    kind = KINDS[concept.name]
    got = await database(request).read(_fetch, by, concept, id)
    item, known = got["item"], got["titles"]
    draft = item["state"] == "draft"
    may_edit = may(by, kind, "edit", got["row"])
    editing = draft and may_edit
    lines = list(typed) or [line_words(x, item, v, known, raw=editing) for x in item["lines"]]
    if editing and not typed:
        lines += [DeskLine()] * (BLANK_LINES if not lines else 1)
    settled = str(item.get("settled") or "")
    settled_field = concept.field("settled")
    return page(
        request,
        v,
        "document.html",
        status=status,
        concept=concept,
        base=address_of(concept),
        id=id,
        item=item,
        title=f"{v.text(KIND_WORDS[kind])} {item['number']}" if item["number"] else v.text(DRAFTS[kind]),
        company=known.get(str(item.get("company") or ""), ""),
        due_words=v.text(DUE[kind]),
        money_state=forms.choice_words(settled_field, settled, v.reader)
        if settled_field and settled and not draft
        else "",
        money_tone=TONES.get(settled, ""),
        step=step_of(item, v.pill, v.office),
        actions=actions_of(concept, item, kind, by, may_edit),
        more=more_of(concept, item, kind, by, may_edit),
        strip=strip_of(got["chain"], v),
        notes=notes_of(item, kind, v),
        editing=editing,
        lines=lines,
        blank=DeskLine(),
        line_errors=line_errors,
        version=got["version"],
        message="",
        totals=totals_of(item, v.reader, v.text),
        recipient=recipient_of(item, got["address"], known, v.reader),
        payments=payments_of(got["chain"], v),
        facts=facts_of(concept, item, v, known, may_edit),
        standing=standing_of(item, v, known),
        may_edit=may_edit,
    )


def _fetch(s: Session, by: Actor, concept: Concept, id: str) -> dict[str, Any]:
    row = records.load(s, by, concept, id)
    item = records.item(s, by, concept, row)
    address: Values = {}
    if item.get("company") and item["state"] == "draft" and may(by, "company", "read"):
        companies = CONCEPTS["companies"]
        query = records.Query(filters=(records.Filter("id", "eq", item["company"]),), columns=("addresses",), limit=1)
        found = records.page(s, by, companies, query).items
        address = next(iter((found[0].get("addresses") if found else None) or ()), {})
    codes = {str(x.get("product")) for x in item["lines"] if x.get("product")}
    products: dict[str, str] = {}
    if codes and may(by, "product", "read"):
        query = records.Query(
            filters=(records.Filter("id", "in", tuple(codes)),), columns=("code",), limit=min(len(codes), 500)
        )
        products = {
            f"code:{p['id']}": str(p.get("code") or "") for p in records.page(s, by, CONCEPTS["products"], query).items
        }
    s.expunge(row)
    return {
        "row": row,
        "item": item,
        "titles": {**titles_of(s, by, concept.fields, [item]), **_people(s, by, item), **products},
        "version": records.version(concept, item),
        "chain": chain.chain(s, by, str(item["id"])),
        "address": address,
    }


def _people(s: Session, by: Actor, item: Values) -> dict[str, str]:
    return user_names(s, [str(item.get(k) or "") for k in ("created_by", "changed_by", "posted_by")])


async def save_lines(request: web.Request) -> web.Response:
    """Save the table of lines; what cannot be read is shown again as typed."""
    concept, by, v, form = _concept(request), actor(request), await visit(request), await posted(request)
    id = request.match_info["id"]
    values, typed, error = parse_lines(form, v.reader)
    if not error:
        try:
            await database(request).write(_save_lines, by, concept, id, values, form.get("version", ""), by=by)
        except Invalid as invalid:
            error = "; ".join(v.text(t) for t in invalid.fields.values())
        except Stale:
            error = v.text(_("Somebody else changed this document meanwhile. Look at it in another window, then save."))
        except KoggeError as no:
            error = v.text(no.message)
        else:
            return go(address_of(concept, id), Toast(text=v.text(_("Lines saved."))))
    return await _desk(request, typed, v.text(error), 422)


def _save_lines(s: Session, by: Actor, concept: Concept, id: str, lines: list[Values], version: str) -> None:
    records.update(s, by, concept, id, {"lines": lines}, if_match=version or None)


async def post(request: web.Request) -> web.Response:
    """Post the draft: it gets its number and stays as it is."""
    concept, by, v, id = _concept(request), actor(request), await visit(request), request.match_info["id"]
    try:
        number = await database(request).write(_post, by, id, by=by)
    except KoggeError as no:
        return go(address_of(concept, id), Toast(text=v.text(no.message), tone="brick"))
    return go(address_of(concept, id), Toast(text=v.text(_("Posted as %(number)s."), number=number)))


def _post(s: Session, by: Actor, id: str) -> str:
    return posting.post(s, by, id).number


async def next_document(request: web.Request) -> web.Response:
    """A draft of the next kind, with what is left of the lines."""
    concept, by, v, id = _concept(request), actor(request), await visit(request), request.match_info["id"]
    kind = request.match_info["kind"]
    try:
        new_id = await database(request).write(_next, by, id, kind, by=by)
    except KoggeError as no:
        return go(address_of(concept, id), Toast(text=v.text(no.message), tone="brick"))
    return go(
        f"/{chain.COLLECTION[kind]}/{new_id}", Toast(text=v.text(_("A draft with what is left. Check and post it.")))
    )


def _next(s: Session, by: Actor, id: str, kind: str) -> str:
    return str(chain.next_document(s, by, id, kind).id)


async def copy(request: web.Request) -> web.Response:
    """The same lines in a new draft, at today's prices."""
    concept, by, v = _concept(request), actor(request), await visit(request)
    new_id = await database(request).write(_copy, by, request.match_info["id"], by=by)
    return go(address_of(concept, new_id), Toast(text=v.text(_("Copied, at today's prices."))))


def _copy(s: Session, by: Actor, id: str) -> str:
    return str(chain.copy_document(s, by, id).id)


async def cancel(request: web.Request) -> web.Response:
    """Give a draft up."""
    concept, by, v, id = _concept(request), actor(request), await visit(request), request.match_info["id"]
    await database(request).write(_cancel, by, id, by=by)
    return go(address_of(concept, id), Toast(text=v.text(_("The draft is given up; it stays to be seen."))))


def _cancel(s: Session, by: Actor, id: str) -> None:
    posting.cancel_draft(s, by, id)


async def payment(request: web.Request) -> web.Response:
    """The payment form, filled from the invoice."""
    concept, by, id = _concept(request), actor(request), request.match_info["id"]
    item = (await database(request).read(_fetch, by, concept, id))["item"]
    v = await visit(request)
    amount = forms.show_raw(Kind.MONEY, item.get("open"), v.reader)
    back = address_of(concept, id)
    filled = {"company": item.get("company") or "", "amount": amount, "currency": item["currency"],
              "reference": item["number"], "back": back}  # fmt: skip
    return go("/payments/new?" + urlencode(filled))


async def printed(request: web.Request) -> web.Response:
    """The document as it goes on paper: in the customer's language, without the shell."""
    concept, by, v, id = _concept(request), actor(request), await visit(request), request.match_info["id"]
    kind = KINDS[concept.name]
    got = await database(request).read(_fetch, by, concept, id)
    item, known = got["item"], got["titles"]
    language = choose(request.query.get("letter"), v.language)
    letter = replace(v, language=language)
    words: Reader = reader(language, v.timezone, v.country)
    return page(
        request,
        letter,
        "print.html",
        base=address_of(concept),
        id=id,
        item=item,
        letter_language=language,
        title=f"{words.text(KIND_WORDS[kind])} {item['number']}" if item["number"] else words.text(DRAFTS[kind]),
        sender=" · ".join(filter(None, (v.company, v.office_name))),
        recipient=recipient_of(item, got["address"], known, words),
        due_words=words.text(DUE[kind]),
        lines=[line_words(x, item, letter, known, raw=False) for x in item["lines"]],
        totals=totals_of({**item, "open": None}, words, words.text),
    )


_R = "/{collection:offers|orders|invoices|credits}/{id:[0-9A-HJKMNP-TV-Z]{16}}"
ROUTES: list[web.RouteDef] = [
    web.get(_R, desk),
    web.post(_R + "/lines", save_lines),
    web.post(_R + "/post", post),
    web.post(_R + "/next/{kind:order|invoice|credit}", next_document),
    web.post(_R + "/copy", copy),
    web.post(_R + "/cancel", cancel),
    web.get(_R + "/payment", payment),
    web.get(_R + "/print", printed),
]
