"""Deals: chances to sell, on their way through a pipeline.

A deal's state, its stage and what follows from it (since when, closed on, why lost) move as one: whoever changes the
stage, by the board, a form, the API or an import, comes through `enter`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from node.base import Base, Part, Record, key_column, optional_key
from node.columns import MONEY, PERCENT, QUANTITY, Day, Flag, Instant, Json
from node.domain import finding, money, offices, prices
from node.domain.access import Actor
from node.domain.catalogue import Product
from node.domain.concept import Field, Kind, Values
from node.domain.parts import RowsOf, stored
from node.errors import Invalid, NotFound, Refused
from node.ids import Id, derived

STATES = {"open": "Open", "won": "Won", "lost": "Lost"}

# What every company starts with: name, then stages as (name, German, Russian, probability, state, days until it rots)
_PIPELINES: tuple[tuple[str, tuple[tuple[str, str, str, int, str, int | None], ...]], ...] = (
    (
        "New customers",
        (
            ("First contact", "Erstkontakt", "Первый контакт", 10, "open", 14),
            ("Need known", "Bedarf geklärt", "Потребность выяснена", 25, "open", 14),
            ("Offer sent", "Angebot gesendet", "Предложение отправлено", 50, "open", 21),
            ("Negotiation", "Verhandlung", "Переговоры", 75, "open", 14),
            ("Won", "Gewonnen", "Выиграна", 100, "won", None),
            ("Lost", "Verloren", "Проиграна", 0, "lost", None),
        ),
    ),
    (
        "Repeat business",
        (
            ("Request", "Anfrage", "Запрос", 30, "open", 7),
            ("Offer sent", "Angebot gesendet", "Предложение отправлено", 60, "open", 14),
            ("Order promised", "Auftrag zugesagt", "Заказ обещан", 85, "open", 10),
            ("Won", "Gewonnen", "Выиграна", 100, "won", None),
            ("Lost", "Verloren", "Проиграна", 0, "lost", None),
        ),
    ),
)
_LOST_REASONS = ("Price", "Competitor", "No need any more", "No budget", "Delivery time", "No answer")


class Pipeline(Base, Record):
    """A way of selling: its stages in order."""

    __tablename__ = "pipeline"

    name: Mapped[str] = mapped_column(sa.Text)
    place: Mapped[int] = mapped_column(sa.SmallInteger, default=0)
    active: Mapped[bool] = mapped_column(Flag, default=True)


class Stage(Base, Part):
    """A step of a pipeline; `names` holds its word per language."""

    __tablename__ = "stage"

    pipeline_id: Mapped[Id] = key_column()
    name: Mapped[str] = mapped_column(sa.Text)
    names: Mapped[dict[str, str]] = mapped_column(Json, default=dict)
    place: Mapped[int] = mapped_column(sa.SmallInteger, default=0)
    probability: Mapped[int] = mapped_column(sa.SmallInteger, default=0)  # percent
    state: Mapped[str] = mapped_column(sa.String(8), default="open")  # open won lost
    rots_after_days: Mapped[int | None] = mapped_column(sa.SmallInteger)


class LostReason(Base, Record):
    """Why deals are lost."""

    __tablename__ = "lost_reason"

    name: Mapped[str] = mapped_column(sa.Text)
    place: Mapped[int] = mapped_column(sa.SmallInteger, default=0)


class Deal(Base, Record):
    """One chance. Amount and currency are decided as one, so are stage, state and what follows from them."""

    __tablename__ = "deal"

    title: Mapped[str] = mapped_column(sa.Text)
    company_id: Mapped[Id | None] = optional_key()
    person_id: Mapped[Id | None] = optional_key()
    pipeline_id: Mapped[Id] = key_column()
    stage_id: Mapped[Id] = key_column()
    state: Mapped[str] = mapped_column(sa.String(8), default="open", index=True)  # open won lost
    stage_since: Mapped[datetime] = mapped_column(Instant)
    closed_on: Mapped[date | None] = mapped_column(Day)
    lost_reason_id: Mapped[Id | None] = optional_key()
    amount: Mapped[Decimal] = mapped_column(MONEY, default=Decimal(0))
    currency: Mapped[str] = mapped_column(sa.String(3), default="EUR")
    probability: Mapped[int | None] = mapped_column(sa.SmallInteger)  # empty: the stage's
    expected_on: Mapped[date | None] = mapped_column(Day, index=True)
    owner_id: Mapped[Id | None] = optional_key()
    competitor_id: Mapped[Id | None] = optional_key()
    source: Mapped[str] = mapped_column(sa.Text, default="")
    tags: Mapped[list[str]] = mapped_column(Json, default=list)
    notes: Mapped[str] = mapped_column(sa.Text, default="")
    external_code: Mapped[str] = mapped_column(sa.Text, default="", index=True)


class Participant(Base, Part):
    """Who takes part in a deal, and as what."""

    __tablename__ = "deal_participant"

    deal_id: Mapped[Id] = key_column()
    company_id: Mapped[Id | None] = optional_key()
    person_id: Mapped[Id | None] = optional_key()
    role: Mapped[str] = mapped_column(sa.Text, default="")


class DealLine(Base, Part):
    """A product that the deal is about."""

    __tablename__ = "deal_line"

    deal_id: Mapped[Id] = key_column()
    place: Mapped[int] = mapped_column(sa.SmallInteger, default=0)
    product_id: Mapped[Id | None] = optional_key()
    text: Mapped[str] = mapped_column(sa.Text, default="")
    quantity: Mapped[Decimal] = mapped_column(QUANTITY, default=Decimal(1))
    price: Mapped[Decimal] = mapped_column(MONEY, default=Decimal(0))
    discount: Mapped[Decimal] = mapped_column(PERCENT, default=Decimal(0))


# rules


def amount_of(lines: Sequence[DealLine], currency: str) -> Decimal:
    """What the products of a deal come to, net."""
    return sum((money.line_net(x.quantity, x.price, x.discount, currency) for x in lines), Decimal(0))


def stage_name(stage: Stage, language: str) -> str:
    """The word for a stage in that language."""
    return stage.names.get(language) or stage.name


def probability_of(deal: Deal, stage: Stage | None) -> int:
    """Percent: the deal's own, else its stage's; 100 or 0 once it is decided."""
    if deal.state != "open":
        return 100 if deal.state == "won" else 0
    if deal.probability is not None:
        return deal.probability
    return stage.probability if stage else 0


# queries


def pipelines(s: Session) -> list[Pipeline]:
    """The living pipelines in use, in order."""
    query = sa.select(Pipeline).where(Pipeline.alive, Pipeline.active).order_by(Pipeline.place, Pipeline.id)
    return list(s.scalars(query))


def stages(s: Session, pipeline_id: str | None = None) -> list[Stage]:
    """The living stages of a pipeline (of all), in order."""
    query = sa.select(Stage).where(Stage.alive).order_by(Stage.pipeline_id, Stage.place, Stage.id)
    return list(s.scalars(query.where(Stage.pipeline_id == pipeline_id) if pipeline_id else query))


def lost_reasons(s: Session) -> list[LostReason]:
    """Why deals are lost, in order."""
    return list(s.scalars(sa.select(LostReason).where(LostReason.alive).order_by(LostReason.place, LostReason.id)))


def find_stage(s: Session, pipeline_id: str | None, wanted: str) -> Stage | None:
    """A stage by key, or within the pipeline by its name in any language."""
    found = s.get(Stage, wanted)
    if found is not None and found.alive:
        return found
    plain = wanted.strip().casefold()
    for stage in stages(s, pipeline_id):
        if stage.pipeline_id == pipeline_id and plain in {n.casefold() for n in (stage.name, *stage.names.values())}:
            return stage
    return None


# actions


def seed_pipelines(s: Session) -> None:
    """Make the pipelines, stages and lost reasons that every company starts with, where they are missing; the keys are
    the same on every node. One that was removed stays removed."""
    have = set(s.scalars(sa.select(Pipeline.id))) | set(s.scalars(sa.select(LostReason.id)))
    for place, (name, steps) in enumerate(_PIPELINES):
        key = derived("pipeline", name)
        if key in have:
            continue
        s.add(Pipeline(id=key, name=name, place=place, active=True))
        for at, (word, german, russian, probability, state, rots) in enumerate(steps):
            s.add(
                Stage(
                    id=derived("stage", name, word), pipeline_id=key, name=word, place=at, state=state,
                    names={"de": german, "en": word, "ru": russian}, probability=probability, rots_after_days=rots,
                )
            )  # fmt: skip
    for place, word in enumerate(_LOST_REASONS):
        if derived("lost reason", word) not in have:
            s.add(LostReason(id=derived("lost reason", word), name=word, place=place))
    s.flush()


def move_deal(s: Session, by: Actor, id: str, stage_id: str, lost_reason_id: str | None = None) -> Deal:
    """Put a deal into another stage, also of another pipeline. A lost one needs a reason; one that is taken up again
    forgets its reason and its day. Raise NotFound, Forbidden, Invalid."""
    row = finding.found(s, by, Deal, "deal", id, "edit")
    stage = s.get(Stage, stage_id)
    if stage is None or not stage.alive:
        raise NotFound("There is no such stage. The pipeline may have been changed; open the board again.", id=stage_id)
    if lost_reason_id:
        row.lost_reason_id = Id(lost_reason_id)
    _needs_reason(s, stage, row.lost_reason_id)
    enter(s, row, stage)
    s.flush()
    return row


def enter(s: Session, row: Deal, stage: Stage) -> None:
    """Let the deal be in this stage, with all that follows; nothing if it is there already."""
    new = not row.id
    if not new and stored(row, "stage_id") == stage.id and row.stage_id == stage.id and row.state == stage.state:
        return
    row.pipeline_id, row.stage_id, row.state = stage.pipeline_id, stage.id, stage.state
    row.stage_since = (row.stage_since or s.info["now"]) if new else s.info["now"]
    if stage.state == "open":
        row.closed_on, row.lost_reason_id = None, None
    else:
        row.closed_on = (row.closed_on if new else None) or offices.today(s)
        row.lost_reason_id = row.lost_reason_id if stage.state == "lost" else None


def recompute(s: Session, row: Deal) -> None:
    """The amount from the products, where there are any."""
    lines = LINE_ROWS.rows(s, row.id)
    if lines:
        amount = amount_of(lines, row.currency)
        if row.amount != amount:
            row.amount = amount


def _needs_reason(s: Session, stage: Stage, lost_reason_id: str | None) -> None:
    if stage.state == "lost" and s.get(LostReason, lost_reason_id or "") is None:
        raise Invalid({"lost_reason": "Say why it was lost: one of the reasons in the list."})


def derive(s: Session, row: Deal) -> None:
    """Pipeline, stage and what follows from them; the first ones where none is named. Raise Refused, Invalid."""
    row.currency = row.currency or prices.base_currency(s)
    if not row.pipeline_id:
        first = pipelines(s)
        if not first:
            raise Refused("There is no pipeline yet. Make one under Settings first.")
        row.pipeline_id = first[0].id
    moved = bool(row.id) and stored(row, "pipeline_id") != row.pipeline_id
    stage = find_stage(s, row.pipeline_id, row.stage_id) if row.stage_id else None
    if stage is None or (moved and stage.pipeline_id != row.pipeline_id):
        here = stages(s, row.pipeline_id)
        if not here:
            raise Invalid({"pipeline": "This pipeline has no stages. Add some first, or choose another one."})
        stage = here[0]
    enter(s, row, stage)
    if row.id:
        recompute(s, row)


def check(s: Session, by: Actor, row: Deal, values: Values, new: bool) -> None:
    """Refuse what a deal cannot take; `values` are by field name. Raise Invalid."""
    probability = values.get("probability")
    if probability is not None and not 0 <= probability <= 100:
        raise Invalid({"probability": "A probability is between 0 and 100 percent."})
    if (values.get("amount") or 0) < 0:
        raise Invalid({"amount": "An amount is not negative."})
    pipeline_id = values.get("pipeline") or row.pipeline_id or next((p.id for p in pipelines(s)), None)
    if values.get("stage"):
        stage = find_stage(s, pipeline_id, values["stage"])
        if stage is None or (values.get("pipeline") and stage.pipeline_id != values["pipeline"]):
            known = ", ".join(x.name for x in stages(s, pipeline_id))
            raise Invalid({"stage": f"This pipeline has no such stage. It has: {known}."})
        _needs_reason(s, stage, values.get("lost_reason") or row.lost_reason_id)


class Lines:
    """The products of a deal: stored by `RowsOf`; the amount follows."""

    def load(self, s: Session, ids: Sequence[str]) -> Mapping[str, list[Values]]:
        return LINE_ROWS.load(s, ids)

    def save(self, s: Session, row: Deal, parts: Sequence[Values | str]) -> None:
        LINE_ROWS.save(s, row, parts)
        recompute(s, row)
        s.flush()


class Stages:
    """The stages of a pipeline; one that deals are in cannot be taken away."""

    def load(self, s: Session, ids: Sequence[str]) -> Mapping[str, list[Values]]:
        return STAGE_ROWS.load(s, ids)

    def save(self, s: Session, row: Pipeline, parts: Sequence[Values | str]) -> None:
        before = {x.id: x.name for x in STAGE_ROWS.rows(s, row.id)} if row.id else {}
        STAGE_ROWS.save(s, row, parts)
        left = {x.id for x in STAGE_ROWS.rows(s, row.id)}
        gone = [id for id in before if id not in left]
        in_use = s.scalars(sa.select(Deal.stage_id).where(Deal.stage_id.in_(gone), Deal.alive).limit(1)).first()
        if in_use:
            raise Refused(f"Deals are in the stage “{before[in_use]}”. Move them first, then remove it.")


def _from_catalogue(s: Session, row: Deal, line: DealLine, named: frozenset[str]) -> None:
    product = s.get(Product, line.product_id) if line.product_id else None
    if product is None:
        return
    line.text = line.text or product.name
    if "price" not in named and ("id" not in named or not line.id):
        quote = prices.best_price(
            s, product.id, company_id=row.company_id, quantity=line.quantity, currency=row.currency
        )
        line.price = quote.price if quote.currency == row.currency else Decimal(0)


PARTICIPANT_FIELDS = (
    Field(name="company", kind=Kind.REF, label="Company", column="company_id", ref="companies"),
    Field(name="person", kind=Kind.REF, label="Person", column="person_id", ref="persons"),
    Field(name="role", kind=Kind.TEXT, label="Role"),
)
LINE_FIELDS = (
    Field(name="product", kind=Kind.REF, label="Product", column="product_id", ref="products"),
    Field(name="text", kind=Kind.TEXT, label="Text"),
    Field(name="quantity", kind=Kind.QUANTITY, label="Quantity"),
    Field(name="price", kind=Kind.MONEY, label="Price"),
    Field(name="discount", kind=Kind.PERCENT, label="Discount"),
)
STAGE_FIELDS = (
    Field(name="name", kind=Kind.TEXT, label="Name", required=True, length_max=80),
    Field(name="names", kind=Kind.OBJECT, label="Name per language", in_form=False),
    Field(name="probability", kind=Kind.INT, label="Probability (%)"),
    Field(name="state", kind=Kind.CHOICE, label="State", choices=tuple(STATES), choice_labels=STATES),
    Field(name="rots_after_days", kind=Kind.INT, label="Rots after days"),
)
PARTICIPANTS = RowsOf(Participant, "deal_id", PARTICIPANT_FIELDS)
LINE_ROWS = RowsOf(DealLine, "deal_id", LINE_FIELDS, prepare=_from_catalogue)
LINES = Lines()
STAGES = Stages()
STAGE_ROWS = RowsOf(Stage, "pipeline_id", STAGE_FIELDS)
