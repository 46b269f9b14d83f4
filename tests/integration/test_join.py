"""An office comes into the company by a code: once, for itself only, and only into the company that made the code."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from central import enrolment, offices
from central.tables import CentralBase, Invitation
from node import config, identity, join, joincode, upgrade
from node.carrier import NotTrusted, RefusedByCentre
from node.clock import ManualClock
from node.domain.customers import Company
from node.domain.offices import office_names
from node.domain.users import User
from node.errors import BadInput, Refused, Unreachable
from node.joincode import BadCode, JoinCode
from tests.support import company, nodes

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def test_code_survives_retyping_and_a_slip_is_noticed() -> None:
    code = JoinCode(office="BER", urls=("https://hq.example:8301",), pin=bytes(range(32)), secret=bytes(20))
    text = joincode.spell(code)
    assert joincode.parse(text) == code
    assert joincode.parse(f"  {text.lower().replace('-', ' ')}\n") == code
    assert joincode.parse(text.replace("0", "o").replace("1", "l")) == code
    slip = text[:20] + ("A" if text[20] != "A" else "B") + text[21:]
    for wrong, said in ((slip, "mistyped"), (text[:-8], "mistyped"), ("", "empty"), ("hello!", "no join code")):
        with pytest.raises(BadCode, match=said):
            joincode.parse(wrong)
    assert "secret" not in repr(code)


def test_certificate_is_renewed_before_its_end_and_the_pinned_root_stays(tmp_path: Path) -> None:
    first = identity.ensure_authority(tmp_path, ("hq.example",), NOW)
    assert first.renewed
    assert not identity.ensure_authority(tmp_path, ("hq.example",), NOW + timedelta(days=300)).renewed
    later = identity.ensure_authority(tmp_path, ("hq.example",), NOW + timedelta(days=306))
    assert later.renewed
    assert later.root == first.root
    assert identity.ensure_authority(tmp_path, ("hq.example", "10.1.2.3"), NOW + timedelta(days=306)).renewed
    modes = {p.name: p.stat().st_mode & 0o777 for p in tmp_path.iterdir()}
    assert set(modes.values()) == {0o600}


async def test_office_joins_and_has_everything_and_the_code_is_used_up(tmp_path: Path) -> None:
    async with company.centre(tmp_path / "HQ") as hq:
        hq.db.write_now(lambda s: s.add(Company(name="Hansen")), by=hq.by)
        code = hq.invite("BER")
        made = await join.enrol(tmp_path / "BER", code, version="test")
        assert (made.office, made.central) == ("BER", False)
        assert (tmp_path / "BER" / "keys" / "node.key").stat().st_mode & 0o777 == 0o600
        again = await join.enrol(tmp_path / "BER", code, version="test")  # an interrupted join is continued
        assert again == made
        with pytest.raises(RefusedByCentre, match="used already") as used:
            await join.enrol(tmp_path / "BER2", code, version="test")
        assert used.value.code == "used_code"
        assert not (tmp_path / "BER2" / config.FILE).exists()

        async with hq.office("MUC") as muc:
            assert muc.db.read_now(lambda s: s.scalars(sa.select(Company.name)).all()) == ["Hansen"]
            assert muc.db.read_now(lambda s: s.scalars(sa.select(User.login)).all()) == ["admin"]
            standing = {o.office: o for o in hq.db.read_now(offices.standings, hq.hub)}
            assert standing["MUC"].lag == 0
            assert standing["MUC"].last_contact is not None
            assert standing["BER"].last_contact is None
            run = await muc.exchange.run()
            assert (run.ok, run.sent, run.received) == (True, 0, 0)


async def test_wrong_expired_and_foreign_codes_are_refused_with_a_sentence(tmp_path: Path) -> None:
    clock = ManualClock()
    async with company.centre(tmp_path / "HQ", clock=clock) as hq:
        good = joincode.parse(hq.invite("BER"))
        unknown = joincode.spell(JoinCode(office="BER", urls=good.urls, pin=good.pin, secret=bytes(20)))
        for _ in range(enrolment.TRIES_MAX):
            with pytest.raises(RefusedByCentre, match="does not know this join code"):
                await join.enrol(tmp_path / "BER", unknown, version="test")
        with pytest.raises(RefusedByCentre, match="Too many wrong join codes"):
            await join.enrol(tmp_path / "BER", joincode.spell(good), version="test")
        clock.move(11 * 60 * 1000)

        other_root = joincode.spell(JoinCode(office="BER", urls=good.urls, pin=bytes(32), secret=good.secret))
        with pytest.raises(NotTrusted, match="not the head office that made this join code"):
            await join.enrol(tmp_path / "BER", other_root, version="test")
        renamed = joincode.spell(JoinCode(office="MUC", urls=good.urls, pin=good.pin, secret=good.secret))
        with pytest.raises(RefusedByCentre, match="for the office BER, not for MUC"):
            await join.enrol(tmp_path / "MUC", renamed, version="test")

        clock.move(73 * 3600 * 1000)
        with pytest.raises(RefusedByCentre, match="expired"):
            await join.enrol(tmp_path / "BER", joincode.spell(good), version="test")
        assert not (tmp_path / "BER" / config.FILE).exists()

        with pytest.raises(Refused, match="head office itself"):
            hq.invite("HQ")
        with pytest.raises(BadInput, match="no office code"):
            hq.invite("B!")
        config.write(config.Config(dir=tmp_path / "MUC", office="MUC", name="München"))
        with pytest.raises(Refused, match="is the office MUC"):
            await join.enrol(tmp_path / "MUC", hq.invite("BER"), version="test")
        code = hq.invite("BER")
        await hq.line_down()
        with pytest.raises(Unreachable, match="cannot be reached"):
            await join.enrol(tmp_path / "BER", code, version="test")
        unused = hq.db.read_now(lambda s: s.scalars(sa.select(Invitation).where(Invitation.used_at.is_(None))).all())
        assert len(unused) == 3


async def test_a_new_node_takes_the_place_of_the_old_which_is_refused(tmp_path: Path) -> None:
    async with company.centre(tmp_path / "HQ") as hq, hq.office("BER") as ber:
        await join.enrol(tmp_path / "BER-new", hq.invite("BER"), version="test")
        run = await ber.exchange.run()
        assert run.code == "unknown_node"
        assert "revoked" in run.error
        pill = ber.db.read_now(lambda s: ber.exchange.pill(s, ber.by))
        assert pill.state == "stopped"

        hq.db.write_now(lambda s: enrolment.revoke(s, "BER"))
        standing = next(o for o in hq.db.read_now(offices.standings, hq.hub) if o.office == "BER")
        assert standing.joined is None


def test_invitation_names_an_office_that_is_new(tmp_path: Path) -> None:
    db = nodes.opened(f"sqlite:///{tmp_path / 'kogge.db'}", ManualClock())
    try:
        upgrade.upgrade(db, extra=(CentralBase.metadata,))

        def action(s: Session) -> str:
            return enrolment.invite(s, "ber", ("https://hq:1",), bytes(32), name="Berlin")

        assert joincode.parse(db.write_now(action)).office == "BER"
        assert db.read_now(office_names) == {"BER": "Berlin"}
    finally:
        db.close()
