"""The API of a whole node: as an office and as head office, over its own port."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import aiohttp

from node.app import Node
from tests.support import nodes, web_node


async def _ask(node: Node, method: str, path: str) -> tuple[int, Any]:
    headers = {"Authorization": f"Bearer {web_node.token(node.db, nodes.LOGIN)}"}
    async with aiohttp.ClientSession(headers=headers) as http, http.request(method, node.url + path) as answer:
        return answer.status, await answer.json()


async def test_head_office_knows_how_it_and_its_offices_stand(tmp_path: Path) -> None:
    async with nodes.running(tmp_path / "hq", central=True, scheduled=False) as node:
        status, said = await _ask(node, "GET", "/api/v1/status")
        assert (status, said["office"], said["role"]) == (200, "HQ", "central")
        assert {"name", "version", "schema", "watermark", "waiting", "last_exchange", "conflicts"} <= said.keys()
        status, said = await _ask(node, "GET", "/api/v1/offices/HQ/status")
        assert (status, said["office"]) == (200, "HQ")
        status, said = await _ask(node, "GET", "/api/v1/offices/XXX/status")
        assert (status, said["error"]["code"]) == (404, "not_found")
        assert (await _ask(node, "POST", "/api/v1/exchange"))[0] == 200
        assert (await _ask(node, "GET", "/api/v1/totals/revenue?by=office"))[0] == 200


async def test_an_office_that_has_not_joined_says_so(tmp_path: Path) -> None:
    async with nodes.running(tmp_path / "par", "PAR", scheduled=False) as node:
        status, said = await _ask(node, "GET", "/api/v1/status")
        assert (status, said["office"], said["role"], said["last_exchange"]) == (200, "PAR", "branch", None)
        assert (await _ask(node, "GET", "/api/v1/offices/PAR/status"))[0] == 200
        status, said = await _ask(node, "GET", "/api/v1/offices/LON/status")
        assert (status, "head office" in said["error"]["message"]) == (404, True)
        status, said = await _ask(node, "POST", "/api/v1/exchange")
        assert (status, said["error"]["code"]) == (409, "refused")


async def test_the_pages_of_a_whole_centre_answer(tmp_path: Path) -> None:
    async with (
        nodes.running(tmp_path / "hq", central=True, scheduled=False) as node,
        aiohttp.ClientSession(node.url, cookie_jar=aiohttp.CookieJar(unsafe=True)) as http,
    ):
        async with http.post("/login", data={"login": nodes.LOGIN, "password": nodes.PASSWORD}) as answer:
            assert (answer.status, answer.url.path) == (200, "/")
        for path in ("/offices", "/exchange", "/conflicts", "/companies", "/deals/board", "/documents"):
            async with http.get(path) as answer:
                assert answer.status == 200, (path, await answer.text())
