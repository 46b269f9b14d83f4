"""Commands about people: users, their passwords, keys for programs."""

from __future__ import annotations

import argparse
from typing import Any

from sqlalchemy.orm import Session

from node import command
from node.app import Node
from node.command import Kind, Out
from node.domain import sessions, users
from node.domain.access import SYSTEM, Actor
from node.errors import NotFound

Given = argparse.Namespace


def actor(s: Session, login: str) -> Actor:
    user = users.user_by_login(s, login)
    if user is None or not user.active:
        raise NotFound(f"There is no user “{login}” who may log in. kogge user DIR list shows everybody.")
    return sessions.actor_for(s, user)




def user_add(given: Given, out: Out, kind: Kind) -> None:
    def do(node: Node) -> None:
        password, made_up = command.password_from(given.password_file, ask=True)
        users.acceptable_password(password)
        hashed = sessions.hash_password(password)

        def action(s: Session) -> str:
            return users.create_user(
                s, SYSTEM, login=given.login, name=given.name or given.login, role=given.role,
                office=given.office.upper(), password_hash=hashed, email=given.email,
            ).id  # fmt: skip

        id = node.db.write_now(action, cause="command")
        out.say(f"{given.login} may log in" + (f" with the password {password}   (shown once)" if made_up else "."))
        out.result = {"id": id, "login": given.login.lower(), "role": given.role,
                      **({"password": password} if made_up else {})}  # fmt: skip

    command.with_node(given, kind, do)


def user_list(given: Given, out: Out, kind: Kind) -> None:
    def read(s: Session) -> list[dict[str, Any]]:
        rows = s.query(users.User).where(users.User.alive).order_by(users.User.login).all()
        return [
            {"login": u.login, "name": u.name, "role": u.role, "office": u.home_office, "active": u.active}
            for u in rows
        ]

    def do(node: Node) -> None:
        out.result = {"users": node.db.read_now(read)}
        for u in out.result["users"]:
            left = "" if u["active"] else "   (disabled)"
            out.say(f"{u['login']:20} {u['office']:8} {u['role']:14} {u['name']}{left}")

    command.with_node(given, kind, do)


def user_passwd(given: Given, out: Out, kind: Kind) -> None:
    def do(node: Node) -> None:
        password, made_up = command.password_from(given.password_file, ask=True)
        users.acceptable_password(password)
        hashed = sessions.hash_password(password)
        node.db.write_now(lambda s: users.set_password(s, SYSTEM, _user_id(s, given.login), hashed), cause="command")
        out.say(f"{given.login} has a new password" + (f": {password}   (shown once)" if made_up else "."))
        out.result = {"login": given.login, **({"password": password} if made_up else {})}

    command.with_node(given, kind, do)


def user_disable(given: Given, out: Out, kind: Kind) -> None:
    def do(node: Node) -> None:
        node.db.write_now(lambda s: users.disable(s, SYSTEM, _user_id(s, given.login)), cause="command")
        out.say(f"{given.login} cannot log in any more; elsewhere after the next exchange.")
        out.result = {"login": given.login, "active": False}

    command.with_node(given, kind, do)


def _user_id(s: Session, login: str) -> str:
    user = users.user_by_login(s, login)
    if user is None:
        raise NotFound(f"There is no user “{login}”. kogge user DIR list shows everybody.", login=login)
    return user.id


def token(given: Given, out: Out, kind: Kind) -> None:
    def do(node: Node) -> None:
        made = node.db.write_now(sessions.make_token, given.user, given.label, given.days, cause="command")
        out.say(made)
        out.result = {"token": made}

    command.with_node(given, kind, do)
