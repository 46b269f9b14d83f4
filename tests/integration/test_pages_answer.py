"""Every page of the navigation answers over a real database, for those who may and only for those."""

from __future__ import annotations

import re

from node.clock import ManualClock
from node.db import Database
from node.domain.access import Actor
from node.domain.concept import CONCEPTS
from node.web.visit import HIDDEN, address_of
from tests.support import web_node
from tests.support.nodes import PASSWORD

PAGES = (
    "/",
    "/deals/board",
    "/documents",
    "/conflicts",
    "/duplicates",
    "/exchange",
    "/settings",
    "/about",
    "/search?q=x",
)


async def test_every_page_answers_and_a_form_needs_its_token(db: Database, clock: ManualClock, by: Actor) -> None:
    async with web_node.serving(db, clock) as office:
        assert (await office.get("/login")).status == 200
        await office.post("/login", data={"login": "admin", "password": PASSWORD})
        lists = [address_of(c) for c in CONCEPTS.values() if c.name not in HIDDEN and c.name != "duplicates"]
        forms = [f"{address_of(c)}/new" for c in CONCEPTS.values() if c.name not in HIDDEN and c.creatable]
        wrong = {}
        for path in (*PAGES, *lists, *forms):
            found = await office.get(path)
            if found.status != 200:
                wrong[path] = found.status
        assert wrong == {}

        form = await office.get("/companies/new")
        csrf = re.search(r'name="csrf" value="([^"]+)"', form.text)
        assert csrf is not None
        forged = await office.post("/companies/new", data={"name": "Alpha"})
        assert (forged.status, "text/html" in forged.headers["Content-Type"]) == (403, True)
        made = await office.post("/companies/new", data={"name": "Alpha", "csrf": csrf[1]})
        assert made.status == 303, made.text
        page = await office.get(made.headers["Location"])
        assert (page.status, "Alpha" in page.text) == (200, True)
        assert (await office.post("/logout", data={"csrf": csrf[1]})).headers["Location"] == "/login"
        assert (await office.get("/companies")).status == 303
