"""What travels: each table once, with its groups and how two blind edits of one cell are decided.

A column that is not in a group is a cell of its own. `changed` (time and author of the last change) is bookkeeping: the
later one holds, silently. Everything not listed here stays at home.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from node.base import Base, Record
from node.domain import (
    activities as act,
)
from node.domain import (
    catalogue as cat,
)
from node.domain import (
    customers as cus,
)
from node.domain import (
    deals,
    offices,
    tasks,
    users,
    views,
)
from node.domain import (
    documents as doc,
)
from node.domain import (
    payments as pay,
)
from replication import journal
from replication.travel import Policy, Travel


def _travel(model: Any, order: int, **options: Any) -> Travel:
    groups: dict[str, tuple[str, ...]] = dict(options.pop("groups", {}))
    policies: dict[str, Policy] = dict(options.pop("policies", {}))
    if issubclass(model, Record):
        groups["changed"] = ("changed_at", "changed_by")
        groups["created"] = ("created_at", "created_by")
        policies["changed"] = Policy.MAX
        policies["created"] = Policy.MAX  # nobody edits it; two offices may make the same row with a derived key
    return Travel(table=model.__table__, order=order, groups=groups, policies=policies, **options)


_PARTY_TEXT: Mapping[str, Policy] = {"tags": Policy.TAGS, "notes": Policy.TEXT}

TRAVELS: tuple[Travel, ...] = (
    _travel(offices.Office, 1, groups={"address": ("street", "zip", "city", "region", "country")}),
    _travel(users.Role, 1, policies={"rules": Policy.CENTRE}),
    _travel(users.User, 1, policies={"active": Policy.CENTRE, "role": Policy.CENTRE}),
    _travel(views.Setting, 1, policies={"value": Policy.CENTRE}),
    _travel(views.SavedView, 2, groups={"view": ("query", "concept")}),
    _travel(cus.Tag, 2),
    _travel(cat.Product, 2),
    _travel(cat.PriceList, 2),
    _travel(cat.Price, 3, groups={"price": ("price", "from_quantity")}),
    _travel(cat.CurrencyRate, 2, groups={"rate": ("rate", "source")}),
    _travel(deals.Pipeline, 2),
    _travel(deals.Stage, 3),
    _travel(deals.LostReason, 2),
    _travel(
        cus.Company,
        4,
        merged="merged_into",
        groups={"name": ("name", "name_key"), "tax": ("tax_number", "tax_key")},
        policies=_PARTY_TEXT,
    ),
    _travel(
        cus.Person,
        4,
        merged="merged_into",
        groups={"name": ("first_name", "last_name", "name_key")},
        policies=_PARTY_TEXT,
    ),
    _travel(cus.LegalEntity, 5),
    _travel(cus.Position, 5),
    _travel(cus.ContactPoint, 5, groups={"value": ("value", "normal", "kind")}),
    _travel(cus.Address, 5, groups={"address": ("street", "zip", "city", "region", "country")}),
    _travel(cus.BankAccount, 5, groups={"account": ("iban", "bic", "account", "bank")}),
    _travel(cus.Occasion, 5, groups={"date": ("month", "day", "year")}),
    _travel(cus.Duplicate, 6, groups={"decision": ("state", "decided_by")}, policies={"score": Policy.MAX}),
    _travel(
        deals.Deal,
        6,
        groups={
            "stage": ("pipeline_id", "stage_id", "state", "stage_since", "closed_on", "lost_reason_id"),
            "amount": ("amount", "currency"),
        },
        policies={"tags": Policy.TAGS, "notes": Policy.TEXT},
    ),
    _travel(deals.Participant, 7),
    _travel(deals.DealLine, 7),
    _travel(
        doc.Document,
        7,
        groups={
            "posting": ("number", "state", "posted_at", "posted_by", "addressee"),
            "totals": ("net", "vat", "gross", "currency", "rate"),
        },
        policies={"notes": Policy.TEXT},
    ),
    _travel(
        doc.DocumentLine,
        8,
        groups={"line": ("product_id", "text", "quantity", "unit", "price", "discount", "vat_rate", "net")},
    ),
    _travel(cat.StockMovement, 8),
    _travel(pay.Payment, 8),
    _travel(pay.Allocation, 9),
    _travel(act.Activity, 9, policies={"text": Policy.TEXT}),
    _travel(
        tasks.Task,
        9,
        groups={"state": ("state", "done_at", "done_by"), "due": ("due_on", "due_time")},
        policies={"text": Policy.TEXT},
    ),
    journal.travel(),
)

STAYS_HOME = frozenset(Base.metadata.tables) - {t.table.name for t in TRAVELS}
