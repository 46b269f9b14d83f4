"""What only the centre keeps: invitations, and which nodes it knows. These tables never travel."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from node.base import NAMING
from node.columns import Instant


class CentralBase(DeclarativeBase):
    """The centre's own tables, beside those of every node."""

    metadata = sa.MetaData(naming_convention=NAMING)


class Invitation(CentralBase):
    """A join code that was given out; only the hash of its secret is kept."""

    __tablename__ = "invitation"

    secret_hash: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    office: Mapped[str] = mapped_column(sa.String(8), index=True)
    made_at: Mapped[datetime] = mapped_column(Instant)
    made_by: Mapped[str] = mapped_column(sa.String(64), default="")  # login
    expires_at: Mapped[datetime] = mapped_column(Instant)
    used_at: Mapped[datetime | None] = mapped_column(Instant)
    used_from: Mapped[str] = mapped_column(sa.Text, default="")  # network address


class EnrolledNode(CentralBase):
    """A node that may exchange, or (revoked) may no more. An office has at most one that may."""

    __tablename__ = "enrolled_node"

    fingerprint: Mapped[str] = mapped_column(sa.String(32), primary_key=True)
    office: Mapped[str] = mapped_column(sa.String(8), index=True)
    public_key: Mapped[bytes] = mapped_column(sa.LargeBinary)
    enrolled_at: Mapped[datetime] = mapped_column(Instant)
    revoked_at: Mapped[datetime | None] = mapped_column(Instant)
    version: Mapped[str] = mapped_column(sa.String(32), default="")  # of Kogge, as it last said
