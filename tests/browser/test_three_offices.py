"""Head office and two branches as they run, each with its own browser: offline, exchange, conflict, decision, undo.

With KOGGE_SCREENSHOTS=FOLDER in the environment each step leaves a picture there.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Coroutine, Iterator
from concurrent.futures import Future
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect
from sqlalchemy.orm import Session

from central import app as central_app
from node import config, join
from node.app import Node
from node.clock import SystemClock
from node.domain import records
from node.domain.access import SYSTEM
from node.domain.concept import CONCEPTS
from node.domain.users import user_by_login
from tests.support import nodes
from tests.support.postgres import free_port

pytestmark = [pytest.mark.browser, pytest.mark.slow]
OFFICES = {"PAR": "Paris", "LON": "London"}


@dataclass(slots=True)
class Company:
    """Three nodes on the loop of a thread of their own."""

    loop: asyncio.AbstractEventLoop
    nodes: dict[str, Node]

    def wait(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(60)

    def line(self, up: bool) -> None:
        """Open or cut the line to head office: its listener for offices."""
        centre = self.nodes["HQ"]
        assert centre.parts is not None
        self.wait(centre.parts.start(centre) if up else centre.parts.stop())


def _start(folder: Path, ready: Future[Company], stop: threading.Event) -> None:
    async def life() -> None:
        clock = SystemClock()
        async with nodes.running(folder / "HQ", "HQ", central=True, scheduled=False) as centre:
            centre.db.write_now(_prepare)
            running = {"HQ": centre}
            for code, name in OFFICES.items():
                text = central_app.invite(centre.db, centre.config, code, clock=clock, name=name)
                made = await join.enrol(folder / code, text, version="test", port=free_port())
                office = Node(config.read(folder / code), scheduled=False)
                await office.start()
                await join.first_copy(office.db, made, clock=clock)
                running[code] = office
            ready.set_result(Company(asyncio.get_running_loop(), running))
            await asyncio.to_thread(stop.wait)
            for code in OFFICES:
                await running[code].stop()

    try:
        asyncio.run(life())
    except BaseException as wrong:
        if not ready.done():
            ready.set_exception(wrong)
        raise


def _prepare(s: Session) -> None:
    admin = user_by_login(s, nodes.LOGIN)
    assert admin is not None
    admin.language = "en"
    for name in ("Werft Blohm & Hansen", "Quai des Brumes SARL"):
        records.create(s, SYSTEM, CONCEPTS["companies"], {"name": name, "industry": "Ships"})


@pytest.fixture
def company(tmp_path: Path) -> Iterator[Company]:
    ready: Future[Company] = Future()
    stop = threading.Event()
    thread = threading.Thread(target=_start, args=(tmp_path, ready, stop), daemon=True)
    thread.start()
    try:
        yield ready.result(120)
    finally:
        stop.set()
        thread.join(30)


def picture(page: Page, name: str) -> None:
    if folder := os.environ.get("KOGGE_SCREENSHOTS"):
        page.screenshot(path=f"{folder}/{name}.png")


def open_customer(page: Page, base: str, name: str) -> None:
    page.goto(f"{base}/companies?q={name.split()[0]}")
    page.locator("tbody th a", has_text=name).click()
    expect(page.locator("h1")).to_have_text(name)


def edit(page: Page, base: str, name: str, **values: str) -> None:
    open_customer(page, base, name)
    page.goto(page.url.split("?")[0] + "/edit")
    for field, value in values.items():
        page.fill(f"[name={field}]", value)
    page.click("main form button.primary:has-text('Save')")
    expect(page.locator("h1")).to_have_text(name)


def exchange(page: Page, base: str) -> None:
    page.goto(f"{base}/exchange")
    page.click("main button:has-text('Exchange now')")
    page.wait_for_load_state()


def test_two_offices_change_one_customer_and_a_person_decides(chromium: Browser, company: Company) -> None:
    with ExitStack() as leave:

        def visitor(code: str) -> tuple[Page, str]:
            context = chromium.new_context(viewport={"width": 1366, "height": 800}, locale="en-GB")
            leave.callback(context.close)
            page, base = context.new_page(), company.nodes[code].url
            page.set_default_timeout(15_000)
            page.goto(f"{base}/login?lang=en")
            page.fill("[name=login]", nodes.LOGIN)
            page.fill("[name=password]", nodes.PASSWORD)
            page.click("button.primary")
            page.wait_for_selector("h1")
            return page, base

        (hq, hq_url), (paris, paris_url), (london, london_url) = map(visitor, ("HQ", "PAR", "LON"))
        name, other = "Werft Blohm & Hansen", "Quai des Brumes SARL"

        company.line(up=False)
        exchange(paris, paris_url)
        picture(paris, "1-paris-line-down")
        edit(paris, paris_url, name, industry="Shipyard", website="paris.example")
        edit(london, london_url, name, industry="Boat builder", source="Boat show")
        edit(paris, paris_url, other, industry="Film")
        edit(london, london_url, other, source="Festival")
        picture(london, "2-london-has-edited")

        company.line(up=True)
        for page, base in ((paris, paris_url), (london, london_url), (paris, paris_url)):
            exchange(page, base)
        paris.goto(f"{paris_url}/conflicts")
        expect(paris.locator(".picks li")).to_have_count(1)  # what did not overlap has merged by itself
        for value in ("Ships", "Shipyard", "Boat builder"):
            expect(paris.locator(".three")).to_contain_text(value)
        picture(paris, "3-paris-inbox")

        open_customer(hq, hq_url, name)
        held = "Boat builder" if "Boat builder" in hq.locator("main").inner_text() else "Shipyard"
        lost = {"Boat builder": "Shipyard", "Shipyard": "Boat builder"}[held]
        side = paris.locator(".three > div", has_text=lost).locator("button")
        side.click()
        expect(paris.locator("main")).to_contain_text("No conflicts")
        picture(paris, "4-paris-decided")
        for page, base in ((paris, paris_url), (london, london_url)):
            exchange(page, base)
        _everywhere(name, lost, (hq, hq_url), (paris, paris_url), (london, london_url))
        open_customer(hq, hq_url, other)
        for value in ("Film", "Festival"):
            expect(hq.locator("main")).to_contain_text(value)

        london.goto(f"{london_url}/conflicts?show=decided")
        london.click("main button:has-text('Undo')")
        for page, base in ((london, london_url), (paris, paris_url)):
            exchange(page, base)
        _everywhere(name, held, (hq, hq_url), (paris, paris_url), (london, london_url))
        hq.goto(f"{hq_url}/exchange")
        expect(hq.locator("main")).to_contain_text("London")
        picture(hq, "5-head-office")
        for code in OFFICES:
            office = company.nodes[code].exchange
            assert office is not None
            assert company.wait(office.verify()).equal  # type: ignore[attr-defined]  # an office's, not the centre's


def _everywhere(name: str, industry: str, *places: tuple[Page, str]) -> None:
    for page, base in places:
        open_customer(page, base, name)
        expect(page.locator("main dl.facts").get_by_text(industry, exact=True)).to_be_visible()


