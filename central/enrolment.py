"""How an office's node becomes known: an invitation, used once, and the key that it was used with.

A code is good for one office, once, for 72 hours. It is used by compare-and-set in the transaction that enters the
node's key, so of two machines with the same code one gets in. A new node of an office takes the place of the one
before, which is refused from then on: that is how a broken or stolen machine is replaced.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from central.tables import EnrolledNode, Invitation
from node import identity
from node.config import check_code
from node.domain import offices
from node.errors import BadInput, Forbidden, Refused, TooManyTries
from node.joincode import SECRET_BYTES, JoinCode, secret_hash, spell
from replication.hub import Hub

GOOD_FOR = timedelta(hours=72)
OPEN_MAX = 20  # codes of one office that are good at the same time
TRIES_MAX = 10  # wrong codes from one address …
TRIES_WITHIN_MS = 10 * 60 * 1000  # … within ten minutes
ADDRESSES_MAX = 10_000


class WrongCode(Forbidden):
    """Head office does not know this join code."""

    code = "wrong_code"


class UsedCode(Refused):
    """This join code has been used."""

    code = "used_code"


class ExpiredCode(Refused):
    """This join code is too old."""

    code = "expired_code"


class UnknownNode(Forbidden):
    """The node is not enrolled, or no more."""

    code = "unknown_node"


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolled:
    """The office that a node was entered for."""

    office: str
    office_name: str


def invite(s: Session, office: str, urls: Sequence[str], pin: bytes, *, name: str = "", made_by: str = "") -> str:
    """A new join code for an office, which is entered under `name` if there is none of that code yet.

    `urls`: of the exchange listener; `pin`: of the root certificate. Raise BadInput, Refused.
    """
    code = check_code(office)
    if not urls:
        raise BadInput("The centre has no address that an office could reach. Name one in kogge.toml: web.urls.")
    if code == s.info["office"]:
        raise Refused(f"{code} is head office itself, which needs no code. Name the office that shall join.")
    now = s.info["now"]
    found = offices.office_of(s, code)
    if found is None:
        offices.ensure_office(s, code, name or code)
    unused = sa.select(sa.func.count()).where(
        Invitation.office == code, Invitation.used_at.is_(None), Invitation.expires_at > now
    )
    if (s.scalar(unused) or 0) >= OPEN_MAX:
        raise Refused(f"There are {OPEN_MAX} unused codes for {code} already. Use one, or wait until they expire.")
    secret = secrets.token_bytes(SECRET_BYTES)
    s.add(
        Invitation(
            secret_hash=secret_hash(secret), office=code, made_at=now, made_by=made_by, expires_at=now + GOOD_FOR
        )
    )
    s.flush()
    return spell(JoinCode(office=code, urls=tuple(urls), pin=pin, secret=secret))


def enrol(
    s: Session, hub: Hub, *, office: str, secret: bytes, public_key: bytes, address: str, version: str = ""
) -> Enrolled:
    """Use a code: enter the node's key and let its office exchange. Raise WrongCode, UsedCode, ExpiredCode, Refused."""
    i = Invitation
    now, hash_ = s.info["now"], secret_hash(secret)
    invitation = s.get(i, hash_)
    if invitation is None:
        raise WrongCode("Head office does not know this join code. Ask there for a new one: “kogge invite DIR OFFICE”.")
    if office and office != invitation.office:
        raise Refused(
            f"This join code is for the office {invitation.office}, not for {office}. Ask head office for one for "
            f"{office}."
        )
    if invitation.used_at is not None:
        raise UsedCode(
            "This join code has been used already; each is good once. Ask head office for a new one: "
            f"“kogge invite DIR {invitation.office}”."
        )
    if invitation.expires_at <= now:
        raise ExpiredCode(
            "This join code has expired; it was good for 72 hours. Ask head office for a new one: "
            f"“kogge invite DIR {invitation.office}”."
        )
    use = sa.update(i).where(i.secret_hash == hash_, i.used_at.is_(None)).values(used_at=now, used_from=address)
    if s.execute(use).rowcount != 1:  # type: ignore[attr-defined]
        raise UsedCode("This join code was used by another machine at this moment. Ask head office for a new one.")
    code, n = invitation.office, EnrolledNode
    name = identity.fingerprint(public_key)
    if s.get(n, name) is not None:
        raise Refused("This node is enrolled already, or was and is no more. Remove the folder keys/ and join again.")
    revoke(s, code)
    s.add(n(fingerprint=name, office=code, public_key=public_key, enrolled_at=now, version=version[:32]))
    s.flush()
    hub.register_office(s.connection(), code)
    known = offices.office_of(s, code)
    return Enrolled(office=code, office_name=known.name if known else code)


def revoke(s: Session, office: str) -> int:
    """Refuse the office's node from now on; return how many that concerns. The office may join again with a code."""
    n = EnrolledNode
    change = sa.update(n).where(n.office == office, n.revoked_at.is_(None)).values(revoked_at=s.info["now"])
    return int(s.execute(change).rowcount)  # type: ignore[attr-defined]


def admitted(s: Session, name: str, office: str) -> EnrolledNode:
    """The node with that fingerprint, if it may exchange for that office. Raise UnknownNode."""
    node = s.get(EnrolledNode, name)
    if node is None:
        raise UnknownNode("Head office does not know this node. Join with a new code: “kogge join DIR --code …”.")
    if node.revoked_at is not None:
        raise UnknownNode(
            f"Head office has revoked this node of {node.office}: another has taken its place, or it was reported "
            "lost. To use it again, ask for a new code and join again."
        )
    if node.office != office:
        raise UnknownNode(f"This node belongs to the office {node.office} and asks in the name of {office}.")
    return node


class Tries:
    """Counts wrong codes per network address, in memory: a restart of the centre forgives."""

    def __init__(self) -> None:
        self._wrong: dict[str, list[int]] = {}

    def check(self, address: str, now_ms: int) -> None:
        """Raise TooManyTries when the address must wait."""
        recent = [at for at in self._wrong.get(address, ()) if at > now_ms - TRIES_WITHIN_MS]
        if len(recent) >= TRIES_MAX:
            wait_s = (recent[0] + TRIES_WITHIN_MS - now_ms) // 1000 + 1
            raise TooManyTries(
                f"Too many wrong join codes came from {address}. Wait {wait_s // 60 + 1} minutes, then try again.",
                retry_after_s=wait_s,
            )
        self._wrong[address] = recent
        if not recent:
            del self._wrong[address]

    def wrong(self, address: str, now_ms: int) -> None:
        """Note a wrong code."""
        if len(self._wrong) >= ADDRESSES_MAX:
            self._wrong.pop(next(iter(self._wrong)))
        self._wrong.setdefault(address, []).append(now_ms)


def forget_expired(s: Session) -> int:
    """Forget codes that ended a month ago, and return how many: a job of the night."""
    change = sa.delete(Invitation).where(Invitation.expires_at < s.info["now"] - timedelta(days=30))
    return int(s.execute(change).rowcount)  # type: ignore[attr-defined]
