"""Users and their roles. They travel: head office's administrator can log in at every office."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from node.base import Base, Record, optional_key
from node.columns import Flag, Instant, Json
from node.ids import Id


class Role(Base, Record):
    """What its holders may do: `rules` maps object to verb to scope, see `node.domain.access`."""

    __tablename__ = "role"

    code: Mapped[str] = mapped_column(sa.String(32), index=True)
    name: Mapped[str] = mapped_column(sa.Text)
    rules: Mapped[dict[str, Any]] = mapped_column(Json)


class User(Base, Record):
    """A person who works with Kogge. `home_office` is the code of the office that he belongs to."""

    __tablename__ = "user_account"

    login: Mapped[str] = mapped_column(sa.String(64), index=True)  # lower case
    name: Mapped[str] = mapped_column(sa.Text)
    email: Mapped[str] = mapped_column(sa.Text, default="")
    extension: Mapped[str] = mapped_column(sa.String(16), default="")
    job_title: Mapped[str] = mapped_column(sa.Text, default="")
    role: Mapped[str] = mapped_column(sa.String(32), default="sales")  # Role.code
    home_office: Mapped[str] = mapped_column(sa.String(8), default="", index=True)
    manager_id: Mapped[Id | None] = optional_key()
    deputy_id: Mapped[Id | None] = optional_key()
    absent_until: Mapped[datetime | None] = mapped_column(Instant)
    active: Mapped[bool] = mapped_column(Flag, default=True)
    password_hash: Mapped[str] = mapped_column(sa.Text, default="")  # argon2id; empty: cannot log in
    language: Mapped[str] = mapped_column(sa.String(2), default="")  # empty: the office's
    theme: Mapped[str] = mapped_column(sa.String(8), default="")  # light, dark, or empty: the system's
    density: Mapped[str] = mapped_column(sa.String(16), default="")
    shortcuts: Mapped[bool] = mapped_column(Flag, default=True)  # single-letter keys (WCAG 2.1.4)
    external_code: Mapped[str] = mapped_column(sa.Text, default="")


class Session(Base):
    """A browser that is logged in here. Stays at home; the key is the hash of the cookie's token."""

    __tablename__ = "session"

    token_hash: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    user_id: Mapped[Id] = mapped_column(sa.String(16), index=True)
    csrf: Mapped[str] = mapped_column(sa.String(64))
    opened_at: Mapped[datetime] = mapped_column(Instant)
    seen_at: Mapped[datetime] = mapped_column(Instant)
    expires_at: Mapped[datetime] = mapped_column(Instant)
    address: Mapped[str] = mapped_column(sa.Text, default="")
    agent: Mapped[str] = mapped_column(sa.Text, default="")


class ApiToken(Base):
    """A key for programs, bound to a user's rights. Stays at home."""

    __tablename__ = "api_token"

    token_hash: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    user_id: Mapped[Id] = mapped_column(sa.String(16), index=True)
    label: Mapped[str] = mapped_column(sa.Text, default="")
    created_at: Mapped[datetime] = mapped_column(Instant)
    expires_at: Mapped[datetime] = mapped_column(Instant)


class LoginFailure(Base):
    """A wrong password, remembered to slow the next try down. Stays at home."""

    __tablename__ = "login_failure"

    id: Mapped[int] = mapped_column(sa.Integer, primary_key=True, autoincrement=True)
    subject: Mapped[str] = mapped_column(sa.Text, index=True)  # "login:anna" or "address:192.0.2.7"
    at: Mapped[datetime] = mapped_column(Instant, index=True)
