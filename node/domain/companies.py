"""The concept of a company: what its page, its list and its API show, and what follows from what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from node.domain import access, contacts
from node.domain.access import Actor
from node.domain.concept import OFFICE, OWNER, Concept, Field, Kind, SearchText, Values, register
from node.domain.customers import Address, BankAccount, Company, ContactPoint, Position, first_addresses, first_points
from node.domain.deals import Deal
from node.domain.names import name_key, tax_doubt, tax_key
from node.domain.parts import RowsOf
from node.errors import Invalid

KINDS = {
    "customer": "Customer",
    "prospect": "Prospect",
    "partner": "Partner",
    "supplier": "Supplier",
    "competitor": "Competitor",
}
STATUSES = {"active": "Active", "dormant": "Dormant", "lost": "Lost"}
SENSITIVITIES = {"normal": "Normal", "confidential": "Confidential", "vip": "VIP"}
INFLUENCES = {"": "", "decides": "Decides", "influences": "Influences", "uses": "Uses", "blocks": "Blocks"}

POSITION_FIELDS = (
    Field(name="role", kind=Kind.TEXT, label="Role"),
    Field(name="influence", kind=Kind.CHOICE, label="Influence", choices=tuple(INFLUENCES), choice_labels=INFLUENCES),
    Field(name="main", kind=Kind.FLAG, label="Main contact"),
    Field(name="left_on", kind=Kind.DAY, label="Left on"),
)
PERSON_OF = Field(name="person", kind=Kind.REF, label="Person", column="person_id", ref="persons", required=True)
COMPANY_OF = Field(name="company", kind=Kind.REF, label="Company", column="company_id", ref="companies", required=True)
BANK_FIELDS = (
    Field(name="iban", kind=Kind.TEXT, label="IBAN", length_max=42),
    Field(name="bic", kind=Kind.TEXT, label="BIC", length_max=11),
    Field(name="account", kind=Kind.TEXT, label="Account"),
    Field(name="bank", kind=Kind.TEXT, label="Bank"),
    Field(name="standard", kind=Kind.FLAG, label="Standard"),
)


def _derive(s: Session, row: Company) -> None:
    row.name_key = name_key(row.name or "")
    row.tax_key = tax_key(row.tax_number or "")


def _check(s: Session, by: Actor, row: Company, values: Values, new: bool) -> None:
    contacts.check_emails(values)
    for account in values.get("bank_accounts") or ():
        if account.get("iban"):
            from stdnum import iban  # imported here: a node at rest does not need it

            if not iban.is_valid(account["iban"]):
                raise Invalid({"bank_accounts": f"The IBAN {account['iban']} has a wrong check digit or length."})
    if str(values.get("sensitivity") or "normal") not in by.sensitivities:
        raise Invalid({"sensitivity": "You may not give a record a sensitivity that hides it from yourself."})


def _extra(s: Session, by: Actor, rows: Sequence[Any]) -> dict[str, Values]:
    ids = [r.id for r in rows]
    addresses = first_addresses(s, ids)
    numbers = first_points(s, ids, contacts.PHONE_KINDS[:2])
    mails = first_points(s, ids, ("email",))
    open_deals = (
        sa.select(Deal.company_id, sa.func.count())
        .where(Deal.company_id.in_(ids), Deal.state == "open", Deal.alive, access.readable(by, Deal, "deal"))
        .group_by(Deal.company_id)
    )
    deals = dict(s.execute(open_deals).all())
    result: dict[str, Values] = {}
    for row in rows:
        address = addresses.get(row.id)
        result[row.id] = {
            "city": address.city if address else "",
            "country": address.country if address else "",
            "phone": numbers.get(row.id, ""),
            "email": mails.get(row.id, ""),
            "open_deals": deals.get(row.id, 0),
        }
        if len(rows) == 1:  # a list does not need the doubt, and it costs
            result[row.id]["tax_doubt"] = tax_doubt(address.country if address else "", row.tax_number)
    return result


def _search(s: Session, rows: Sequence[Company]) -> dict[str, SearchText]:
    ids = [r.id for r in rows]
    places: dict[str, list[Any]] = {}
    address = sa.select(Address.party_id, Address.city, Address.zip, Address.street)
    for found in s.execute(address.where(Address.party_id.in_(ids), Address.alive).order_by(Address.place)):
        places.setdefault(found.party_id, []).append(found)
    points: dict[str, list[Any]] = {}
    point = sa.select(ContactPoint.party_id, ContactPoint.kind, ContactPoint.value, ContactPoint.normal)
    for it in s.execute(point.where(ContactPoint.party_id.in_(ids), ContactPoint.alive)):
        points.setdefault(it.party_id, []).append(it)
    result: dict[str, SearchText] = {}
    for row in rows:
        where, reach = places.get(row.id, []), points.get(row.id, [])
        words = [row.name, row.legal_name, row.tax_number, row.external_code, row.industry, *row.tags]
        words += [f"{p.city} {p.zip} {p.street}" for p in where]
        words += [p.value for p in reach if p.kind not in contacts.PHONE_KINDS]
        digits = [p.normal for p in reach if p.kind in contacts.PHONE_KINDS] + [row.tax_key]
        result[row.id] = SearchText(
            title=row.name, detail=where[0].city if where else "", words=" ".join(words), digits=" ".join(digits)
        )
    return result


COMPANIES = register(
    Concept(
        name="companies",
        singular="company",
        model=Company,
        label="Company",
        label_plural="Companies",
        icon="company",
        title=lambda r: r.name,
        derive=_derive,
        check=_check,
        extra=_extra,
        search=_search,
        parts={
            "phones": contacts.PHONES,
            "emails": contacts.EMAILS,
            "addresses": RowsOf(Address, "party_id", contacts.ADDRESS_FIELDS),
            "people": RowsOf(Position, "company_id", (PERSON_OF, *POSITION_FIELDS), order_attr="id"),
            "bank_accounts": RowsOf(BankAccount, "party_id", BANK_FIELDS, order_attr="id"),
        },
        extra_fields=(
            Field(name="city", kind=Kind.TEXT, label="City", listed=True, read_only=True, filterable=False),
            Field(name="country", kind=Kind.COUNTRY, label="Country", read_only=True, filterable=False),
            Field(name="phone", kind=Kind.TEXT, label="Phone", listed=True, read_only=True, filterable=False),
            Field(name="email", kind=Kind.TEXT, label="E-mail", read_only=True, filterable=False),
            Field(name="open_deals", kind=Kind.INT, label="Open deals", listed=True, read_only=True, filterable=False),
            Field(name="tax_doubt", kind=Kind.TEXT, label="About the tax number", read_only=True, filterable=False),
        ),
        fields=(
            Field(name="name", kind=Kind.TEXT, label="Name", required=True, listed=True, sortable=True, length_max=300),
            Field(name="kind", kind=Kind.CHOICE, label="Kind", choices=tuple(KINDS), choice_labels=KINDS),
            Field(name="status", kind=Kind.CHOICE, label="Status", choices=tuple(STATUSES), choice_labels=STATUSES),
            Field(name="phones", kind=Kind.PARTS, label="Phone numbers", parts=contacts.PHONE_FIELDS),
            Field(name="emails", kind=Kind.PARTS, label="E-mail addresses", parts=contacts.EMAIL_FIELDS),
            Field(name="addresses", kind=Kind.PARTS, label="Addresses", parts=contacts.ADDRESS_FIELDS),
            Field(name="people", kind=Kind.PARTS, label="People", parts=(PERSON_OF, *POSITION_FIELDS), group="People"),
            replace(OWNER, listed=True),
            replace(OFFICE, listed=False),
            Field(name="class_abc", kind=Kind.CHOICE, label="Class", choices=("", "A", "B", "C"), listed=True,
                  sortable=True, group="Classification"),
            Field(name="industry", kind=Kind.TEXT, label="Industry", group="Classification"),
            Field(name="source", kind=Kind.TEXT, label="Source", group="Classification"),
            Field(name="tags", kind=Kind.TAGS, label="Tags", group="Classification"),
            Field(name="sensitivity", kind=Kind.CHOICE, label="Sensitivity", choices=tuple(SENSITIVITIES),
                  choice_labels=SENSITIVITIES, group="Classification"),
            Field(name="legal_name", kind=Kind.TEXT, label="Legal name", group="Business"),
            Field(name="tax_number", kind=Kind.TEXT, label="Tax number", group="Business", length_max=40),
            Field(name="bank_accounts", kind=Kind.PARTS, label="Bank accounts", parts=BANK_FIELDS, group="Business"),
            Field(name="currency", kind=Kind.CURRENCY, label="Currency", group="Business"),
            Field(name="payment_days", kind=Kind.INT, label="Days to pay", group="Business"),
            Field(name="credit_limit", kind=Kind.MONEY, label="Credit limit", group="Business"),
            Field(name="price_list", kind=Kind.REF, label="Price list", column="price_list_id", ref="price_lists",
                  group="Business"),
            Field(name="website", kind=Kind.TEXT, label="Website", group="More"),
            Field(name="language", kind=Kind.LANGUAGE, label="Language", group="More"),
            Field(name="external_code", kind=Kind.TEXT, label="External code", group="More"),
            Field(name="notes", kind=Kind.NOTE, label="Notes", group="More"),
        ),
    )
)  # fmt: skip
