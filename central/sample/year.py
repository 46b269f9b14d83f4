"""What the sample company did in the twelve months that end today: deals, offers, orders, invoices, payments, talks,
tasks and movements of stock, each made from the one before it, so that every figure can be followed back.

Offices sell in their own currency. A tenth of the invoices is overdue, some deals lie too long in their stage, and the
calendar of the coming days has something for everybody: a demo that is tidy shows nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from zoneinfo import ZoneInfo

from central.sample.company import RATES, Cast, Customer, in_currency
from central.sample.names import ERRANDS, TALKS, TITLES
from central.sample.rows import Sheet, at_work, working_day
from node.domain import deals as dea
from node.domain import documents as doc
from node.domain import numbers
from node.domain import payments as pay
from node.domain.activities import Activity
from node.domain.catalogue import StockMovement
from node.domain.tasks import Task
from node.ids import Id

CENT = Decimal("0.01")
Lines = list[tuple[Id, str, str, Decimal, Decimal, Decimal, Decimal, Decimal]]
# product, text, unit, quantity, price, discount, VAT rate, net


@dataclass(frozen=True, slots=True, kw_only=True)
class Ways:
    """The pipelines of the company as they lie in the database: [(pipeline, [(stage, state), …]), …], lost reasons."""

    pipelines: tuple[tuple[Id, tuple[tuple[Id, str], ...]], ...]
    lost_reasons: tuple[Id, ...]


class Year:
    """Fills a sheet. `deals`: how many chances there are; everything else follows."""

    def __init__(self, sheet: Sheet, cast: Cast, ways: Ways) -> None:
        self.sheet, self.chance, self.cast, self.ways = sheet, sheet.chance, cast, ways
        self.today = sheet.now.date()
        self._numbers: dict[tuple[str, str, int], int] = {}

    def live(self, deals: int) -> None:
        """The whole year."""
        buyers = [c for c in self.cast.customers if c.kind == "customer"]
        possible = [c for c in self.cast.customers if c.kind in ("customer", "prospect")]
        chosen = self.chance.choices(possible, [c.appetite for c in possible], k=deals)
        for customer in sorted(chosen, key=lambda c: c.id):
            self._deal(customer)
        regulars = self.chance.choices(buyers, [c.appetite for c in buyers], k=deals * 4 // 5)
        for customer in sorted(regulars, key=lambda c: c.id):
            self._order(customer, self._day(customer, 355), None, None)  # without a deal
        self._post()
        self._stock()
        for customer in self.cast.customers:
            self._talk(customer)
        self._errands()

    # deals

    def _deal(self, customer: Customer) -> None:
        begun = self._day(customer, 330)
        age = (self.today - begun).days
        pipeline, stages = self.chance.choices(self.ways.pipelines, [3, 1][: len(self.ways.pipelines)])[0]
        state = self.sheet.pick({"won": min(age, 90), "lost": min(age, 60) // 2, "open": max(6, 70 - age)})
        fitting = [id for id, s in stages if s == state]
        stage = self.chance.choice(fitting)
        closed = min(self.today, begun + timedelta(days=self.chance.randint(5, 60))) if state != "open" else None
        moved = closed or min(self.today, begun + timedelta(days=self.chance.randint(0, max(1, min(age, 40)))))
        lines = self._lines(customer)
        amount = sum((net for *_, net in lines), Decimal(0))
        language = customer.office.land.language
        id = self.sheet.add(
            dea.Deal, self._at(begun, customer), title=f"{self.chance.choice(TITLES[language])}, {customer.name}"[:120],
            company_id=customer.id, person_id=customer.person, pipeline_id=pipeline, stage_id=stage, state=state,
            stage_since=self._at(moved, customer), closed_on=closed, amount=amount, owner_id=customer.owner,
            currency=customer.office.land.currency, office=customer.office.code, tags=[], notes="",
            lost_reason_id=self.chance.choice(self.ways.lost_reasons or (None,)) if state == "lost" else None,
            expected_on=closed or self.today + timedelta(days=self.chance.randint(-6, 75)),
        )  # fmt: skip
        for place, (product, text, _, quantity, price, discount, _, _) in enumerate(lines):
            self.sheet.add(
                dea.DealLine, self._at(begun, customer), deal_id=id, place=place, product_id=product, text=text,
                quantity=quantity, price=price, discount=discount,
            )  # fmt: skip
        offered = begun + timedelta(days=self.chance.randint(1, 9))
        if offered >= self.today or self.chance.random() < 0.2:
            return
        progress = {"won": "accepted", "lost": "declined", "open": ""}[state]
        offer = self._document("offer", customer, offered, lines, deal=id, origin=None, progress=progress,
                               due=offered + timedelta(days=30))  # fmt: skip
        if state == "won":
            self._order(customer, closed or self.today, id, offer, lines)

    # documents

    def _order(
        self, customer: Customer, day: date, deal: Id | None, origin: Id | None,
        lines: Lines | None = None,
    ) -> None:  # fmt: skip
        day = working_day(day)
        lines = lines or self._lines(customer)
        age = (self.today - day).days
        states = {"shipped": 94, "hold": 2, "disputed": 1, "cancelled": 3}
        progress = "in_process" if age < 6 else self.sheet.pick(states)
        shipped = day + timedelta(days=self.chance.randint(1, 6)) if progress == "shipped" else None
        order = self._document("order", customer, day, lines, deal=deal, origin=origin, progress=progress,
                               due=day + timedelta(days=10), shipped=shipped)  # fmt: skip
        if shipped is None or shipped > self.today:
            return
        at = self._at(shipped, customer)
        for product, _, _, quantity, *_ in lines:
            if self._goods(product):
                self.sheet.add(StockMovement, at, product_id=product, kind="issue", quantity=-quantity, at=at,
                               document_id=order, office=customer.office.code, by=customer.owner)  # fmt: skip
        days = self.chance.choice((14, 14, 30))
        due = shipped + timedelta(days=days)
        invoice = self._document("invoice", customer, shipped, lines, deal=deal, origin=order, progress="", due=due)
        if self.chance.random() < 0.015:
            self._document("credit", customer, min(self.today, shipped + timedelta(days=5)), lines[:1], deal=deal,
                           origin=invoice, progress="", due=None)  # fmt: skip
            return
        late = self.sheet.pick({-4: 5, 0: 4, 6: 4, 20: 2, 45: 1, 999: 1})
        paid = due + timedelta(days=late + self.chance.randint(-2, 3))
        gross = _totals(lines)[2]
        if shipped < paid <= self.today:
            part = self.chance.random() < 0.05
            self._payment(customer, paid, (gross / 2).quantize(CENT) if part else gross, invoice)
        elif due < self.today - timedelta(days=10):
            self.sheet.add(
                Task, self._at(self.today - timedelta(days=3), customer), kind="payment", close_on_payment=True,
                subject=self._word(customer, "pay"), company_id=customer.id, person_id=customer.person,
                document_id=invoice, owner_id=customer.owner, office=customer.office.code, priority="high",
                due_on=self.today + timedelta(days=self.chance.randint(-2, 4)),
            )  # fmt: skip

    def _document(
        self, kind: str, customer: Customer, day: date,
        lines: Lines, *,
        deal: Id | None, origin: Id | None, progress: str, due: date | None, shipped: date | None = None,
    ) -> Id:  # fmt: skip
        day = min(day, self.today)
        at = self._at(day, customer)
        net, vat, gross = _totals(lines)
        currency, addressee = customer.office.land.currency, {"name": customer.name, **customer.address}
        id = self.sheet.add(
            doc.Document, at, kind=kind, state="posted", progress=progress, company_id=customer.id, deal_id=deal,
            person_id=customer.person, origin_id=origin, dated=day, due_on=due, shipped_on=shipped, currency=currency,
            rate=RATES[currency], net=net, vat=vat, gross=gross, owner_id=customer.owner, office=customer.office.code,
            addressee=addressee, posted_at=at, posted_by=customer.owner,
        )  # fmt: skip
        for place, (product, text, unit, quantity, price, discount, rate, line_net) in enumerate(lines):
            self.sheet.add(
                doc.DocumentLine, at, document_id=id, place=place, product_id=product, text=text, unit=unit,
                quantity=quantity, price=price, discount=discount, vat_rate=rate, net=line_net,
            )  # fmt: skip
        return id

    def _post(self) -> None:
        """Numbers are drawn per office, kind and year in the order of the days, without gaps."""
        rows = [(row["kind"], row) for row in self.sheet.of(doc.Document)]
        rows += [("payment", row) for row in self.sheet.of(pay.Payment)]
        for kind, row in sorted(rows, key=lambda r: (r[1]["dated"], r[1]["id"])):
            key = (kind, row["office"], row["dated"].year)
            self._numbers[key] = self._numbers.get(key, 0) + 1
            row["number"] = numbers.spelled(*key, self._numbers[key])

    def _payment(self, customer: Customer, day: date, amount: Decimal, invoice: Id) -> None:
        id = self.sheet.add(
            pay.Payment, self._at(day, customer), number="", company_id=customer.id, dated=day, amount=amount,
            currency=customer.office.land.currency, owner_id=customer.owner, office=customer.office.code,
            method=self.sheet.pick({"transfer": 9, "card": 1}), reference=f"{self.chance.randint(10**7, 10**8 - 1)}",
        )  # fmt: skip
        self.sheet.add(pay.Allocation, self._at(day, customer), payment_id=id, document_id=invoice, amount=amount)

    def _lines(self, customer: Customer) -> Lines:
        lines = []
        land = customer.office.land
        chosen = self.chance.sample(self.cast.products, self.sheet.pick({1: 3, 2: 4, 3: 3, 5: 1}))
        for product, name, unit, price, vat, kind in chosen:
            many = 1 if price > 200 or kind == "service" else self.chance.choice((2, 4, 6, 10, 12, 25, 50))
            quantity, discount = Decimal(many), Decimal(self.sheet.pick({0: 8, 3: 1, 5: 1}))
            cost = in_currency(price, land.currency)
            rate = vat if land.language == "de" else Decimal(land.vat_rate)
            net = (quantity * cost * (100 - discount) / 100).quantize(CENT, ROUND_HALF_UP)
            lines.append((product, name, unit, quantity, cost, discount, rate, net))
        return lines

    # stock, talks, tasks

    def _stock(self) -> None:
        """What was issued must have come: an opening a year ago and a receipt each quarter."""
        gone: dict[tuple[str, str], Decimal] = {}
        for row in self.sheet.of(StockMovement):
            key = (row["office"], row["product_id"])
            gone[key] = gone.get(key, Decimal(0)) - row["quantity"]
        for branch in self.cast.branches:
            for product, _, _, price, _, kind in self.cast.products:
                if kind == "service":
                    continue
                need = gone.get((branch.code, product), Decimal(0)) + self.chance.randint(1, 6 if price > 200 else 60)
                for quarter in range(5):
                    share = (need / 5).to_integral_value() if quarter < 4 else need - (need / 5).to_integral_value() * 4
                    if share > 0:
                        at = self.sheet.now - timedelta(days=364 - 85 * quarter)
                        self.sheet.add(StockMovement, at, product_id=product, kind="receipt" if quarter else "opening",
                                       quantity=share, at=at, office=branch.code)  # fmt: skip

    def _talk(self, customer: Customer) -> None:
        for _ in range(self.sheet.pick({0: 2, 1: 4, 2: 3, 4: 2, 6: 1})):
            kind, subject, text = self.chance.choice(TALKS[customer.office.land.language])
            at = self._at(self._day(customer, 360), customer)
            self.sheet.add(
                Activity, at, kind=kind, company_id=customer.id, person_id=customer.person, subject=subject, text=text,
                at=at, owner_id=customer.owner, office=customer.office.code,
                minutes=self.chance.choice((5, 10, 15, 20)) if kind == "call" else 60 if kind == "meeting" else None,
                direction=self.chance.choice(("in", "out")) if kind in ("call", "email") else "",
            )  # fmt: skip

    def _errands(self) -> None:
        some = self.chance.sample(self.cast.customers, len(self.cast.customers) * 2 // 5)
        for customer in some:
            due = self.today + timedelta(days=self.chance.randint(-120, 21))
            done = due < self.today and self.chance.random() < 0.93
            noted = min(due, self.today) - timedelta(days=self.chance.randint(1, 12))
            made = self._at(max(customer.since.date(), noted), customer)
            kind = self.sheet.pick({"todo": 5, "call": 4, "meeting": 2})
            self.sheet.add(
                Task, made, subject=self._word(customer, ""), kind=kind,
                state="done" if done else "open", done_at=self._at(due, customer) if done else None,
                company_id=customer.id, person_id=customer.person, owner_id=customer.owner, office=customer.office.code,
                due_on=due, due_time=self.chance.choice(("", "", "09:30", "11:00", "14:30")),
                priority=self.sheet.pick({"normal": 8, "high": 1, "low": 1}), done_by=customer.owner if done else "",
            )  # fmt: skip

    def _word(self, customer: Customer, about: str) -> str:
        language = customer.office.land.language
        if about == "pay":
            return {"de": "Zahlung anmahnen", "ru": "Напомнить об оплате", "en": "Remind of payment"}[language]
        return self.chance.choice(ERRANDS[language])

    # days

    def _day(self, customer: Customer, back: int) -> date:
        """A working day of the last `back` days on which the customer was known, more often a late one."""
        known = min(back, max(1, (self.today - customer.since.date()).days))
        return working_day(self.today - timedelta(days=int(known * self.chance.random() ** 1.2)))

    def _at(self, day: date, customer: Customer) -> datetime:
        return min(at_work(day, self.chance, ZoneInfo(customer.office.zone)), self.sheet.now)

    def _goods(self, product: Id) -> bool:
        return any(id == product and kind == "goods" for id, *_, kind in self.cast.products)


def _totals(
    lines: Lines,
) -> tuple[Decimal, Decimal, Decimal]:
    """Net, VAT (per rate on the sum of its nets), gross."""
    per_rate: dict[Decimal, Decimal] = {}
    for *_, rate, net in lines:
        per_rate[rate] = per_rate.get(rate, Decimal(0)) + net
    net = sum(per_rate.values(), Decimal(0))
    vat = sum(((n * r / 100).quantize(CENT, ROUND_HALF_UP) for r, n in per_rate.items()), Decimal(0))
    return net, vat, net + vat

