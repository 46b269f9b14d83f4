"""Whole nodes: a centre and an office as they run, with their pages, the listener for offices and the plan."""

from __future__ import annotations

from pathlib import Path

import aiohttp
import sqlalchemy as sa

from central import app as central_app
from node import config, join
from node.app import Node
from node.clock import SystemClock
from node.domain.customers import Company
from node.exchange import Exchange
from tests.support import nodes
from tests.support.postgres import free_port


async def test_centre_and_office_run_join_and_exchange(tmp_path: Path) -> None:
    clock = SystemClock()
    async with nodes.running(tmp_path / "HQ", "HQ", central=True, scheduled=False) as hq:
        assert hq.parts is not None
        by = nodes.administrator(hq.db)
        hq.db.write_now(lambda s: s.add(Company(name="Hansen")), by=by)
        code = central_app.invite(hq.db, hq.config, "BER", clock=clock, name="Berlin")
        made = await join.enrol(tmp_path / "BER", code, version="test", port=free_port())
        assert (made.office, made.name) == ("BER", "Berlin")
        office = Node(config.read(tmp_path / "BER"), scheduled=False)
        await office.start()
        try:
            assert isinstance(office.exchange, Exchange)
            run = await join.first_copy(office.db, made, clock=clock)
            assert run.received > 0
            assert office.db.read_now(lambda s: s.scalars(sa.select(Company.name)).all()) == ["Hansen"]
            assert (await office.exchange.verify()).equal
            status = hq.db.read_now(hq.parts.office_status, "BER")
            assert (status["office"], status["name"], status["lag"]) == ("BER", "Berlin", 0)
            async with aiohttp.ClientSession() as client, client.get(f"{office.url}/health") as answer:
                assert (await answer.json())["office"] == "BER"
        finally:
            await office.stop()
        again = await join.enrol(tmp_path / "BER", code, version="test")
        assert again.office == "BER"
