"""Deals, pipelines and lost reasons as everybody outside sees them."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.orm import Session

from node.domain import deals, money, party
from node.domain.access import Actor
from node.domain.concept import OFFICE, OWNER, Concept, Field, Kind, SearchText, Values, register
from node.domain.deals import (
    LINE_FIELDS,
    LINES,
    PARTICIPANT_FIELDS,
    PARTICIPANTS,
    STAGE_FIELDS,
    STAGES,
    STATES,
    Deal,
    LostReason,
    Pipeline,
    Stage,
)


def _extra(s: Session, by: Actor, rows: Sequence[Deal]) -> dict[str, Values]:
    known = {x.id: x for x in s.scalars(sa.select(Stage).where(Stage.id.in_({r.stage_id for r in rows})))}
    result: dict[str, Values] = {}
    for r in rows:
        stage = known.get(r.stage_id)
        chance = deals.probability_of(r, stage)
        result[r.id] = {
            "stage_name": deals.stage_name(stage, by.language) if stage else "",
            "chance": chance,
            "weighted": money.rounded(r.amount * chance / 100, r.currency),
            "days_in_stage": max(0, (s.info["now"] - r.stage_since).days),
        }
    return result


def _search(s: Session, rows: Sequence[Deal]) -> dict[str, SearchText]:
    names = party.company_names(s, (r.company_id for r in rows))
    return {
        r.id: SearchText(
            title=r.title,
            detail=names.get(r.company_id or "", ""),
            words=f"{r.title} {names.get(r.company_id or '', '')} {' '.join(r.tags or ())} {r.external_code}",
            digits=r.external_code,
        )
        for r in rows
    }


PIPELINES = register(
    Concept(
        name="pipelines",
        singular="pipeline",
        model=Pipeline,
        label="Pipeline",
        label_plural="Pipelines",
        icon="deal",
        title=lambda r: r.name,
        order=("place",),
        parts={"stages": STAGES},
        fields=(
            Field(name="name", kind=Kind.TEXT, label="Name", required=True, listed=True, length_max=80),
            Field(name="place", kind=Kind.INT, label="Place", sortable=True),
            Field(name="active", kind=Kind.FLAG, label="In use", listed=True),
            Field(name="stages", kind=Kind.PARTS, label="Stages", parts=STAGE_FIELDS),
        ),
    )
)

LOST_REASONS = register(
    Concept(
        name="lost_reasons",
        singular="lost_reason",
        model=LostReason,
        label="Lost reason",
        label_plural="Lost reasons",
        icon="deal",
        title=lambda r: r.name,
        order=("place",),
        fields=(
            Field(name="name", kind=Kind.TEXT, label="Name", required=True, listed=True, length_max=80),
            Field(name="place", kind=Kind.INT, label="Place", sortable=True),
        ),
    )
)

DEALS = register(
    Concept(
        name="deals",
        singular="deal",
        model=Deal,
        label="Deal",
        label_plural="Deals",
        icon="deal",
        title=lambda r: r.title,
        derive=deals.derive,
        check=deals.check,
        extra=_extra,
        search=_search,
        parts={"participants": PARTICIPANTS, "lines": LINES},
        extra_fields=(
            Field(name="stage_name", kind=Kind.TEXT, label="Stage", read_only=True, listed=True),
            Field(name="chance", kind=Kind.INT, label="Probability (%)", read_only=True),
            Field(name="weighted", kind=Kind.MONEY, label="Weighted", read_only=True),
            Field(name="days_in_stage", kind=Kind.INT, label="Days in stage", read_only=True, listed=True),
        ),
        fields=(
            Field(name="title", kind=Kind.TEXT, label="Title", required=True, listed=True, sortable=True,
                  length_max=200),
            Field(name="company", kind=Kind.REF, label="Company", column="company_id", ref="companies", listed=True),
            Field(name="person", kind=Kind.REF, label="Person", column="person_id", ref="persons"),
            Field(name="pipeline", kind=Kind.REF, label="Pipeline", column="pipeline_id", ref="pipelines"),
            Field(name="stage", kind=Kind.TEXT, label="Stage", column="stage_id", in_form=False, length_max=80,
                  help="The key of a stage, or its name in the pipeline"),
            Field(name="state", kind=Kind.CHOICE, label="State", read_only=True, listed=True, choices=tuple(STATES),
                  choice_labels=STATES),
            Field(name="stage_since", kind=Kind.INSTANT, label="In this stage since", read_only=True, in_form=False),
            Field(name="amount", kind=Kind.MONEY, label="Amount", listed=True, sortable=True,
                  help="With products: their sum"),
            Field(name="currency", kind=Kind.CURRENCY, label="Currency", listed=True),
            Field(name="probability", kind=Kind.INT, label="Own probability (%)", help="Empty: that of the stage"),
            Field(name="expected_on", kind=Kind.DAY, label="Expected on", listed=True, sortable=True),
            Field(name="closed_on", kind=Kind.DAY, label="Closed on", read_only=True, in_form=False, sortable=True),
            Field(name="lost_reason", kind=Kind.REF, label="Lost because of", column="lost_reason_id",
                  ref="lost_reasons", in_form=False),
            Field(name="competitor", kind=Kind.REF, label="Competitor", column="competitor_id", ref="companies"),
            Field(name="source", kind=Kind.TEXT, label="Source"),
            OWNER,
            OFFICE,
            Field(name="tags", kind=Kind.TAGS, label="Tags"),
            Field(name="notes", kind=Kind.NOTE, label="Notes"),
            Field(name="external_code", kind=Kind.TEXT, label="External code"),
            Field(name="participants", kind=Kind.PARTS, label="Participants", parts=PARTICIPANT_FIELDS),
            Field(name="lines", kind=Kind.PARTS, label="Products", parts=LINE_FIELDS),
        ),
    )
)  # fmt: skip
