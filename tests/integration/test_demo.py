"""The sample company: believable figures from a seed, and the whole demo as the processes that a person starts."""

from __future__ import annotations

import json
import random
import threading
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any

import pytest

from central import demo
from central.sample import company, year
from central.sample.rows import Sheet
from node.domain.customers import Company, ContactPoint
from node.domain.documents import Document, DocumentLine
from node.domain.names import tax_doubt
from node.domain.payments import Allocation
from node.domain.users import User
from node.errors import BadInput, Refused
from node.ids import derived
from tests.support.ports import free_range

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
COMPANIES = 60


def _made(seed: int, companies: int = 200) -> Sheet:
    sheet = Sheet(NOW, random.Random(seed))
    cast = company.found(sheet, 3, companies, "")
    stages = tuple((derived("stage", state), state) for state in ("open", "won", "lost"))
    year.Year(sheet, cast, year.Ways(pipelines=((derived("pipeline"), stages),), lost_reasons=())).live(companies // 2)
    return sheet


def test_the_same_seed_makes_the_same_company() -> None:
    assert _made(1).rows == _made(1).rows
    assert _made(1).rows != _made(2).rows


def test_figures_can_be_followed_back() -> None:
    sheet = _made(1)
    lines: dict[str, Decimal] = {}
    for line in sheet.of(DocumentLine):
        lines[line["document_id"]] = lines.get(line["document_id"], Decimal(0)) + line["net"]
    documents = {row["id"]: row for row in sheet.of(Document)}
    assert all(row["net"] == lines[row["id"]] and row["gross"] == row["net"] + row["vat"] for row in documents.values())
    assert len({row["number"] for row in documents.values()}) == len(documents)
    for share in sheet.of(Allocation):
        assert share["amount"] <= documents[share["document_id"]]["gross"]
    invoices = [row for row in documents.values() if row["kind"] == "invoice"]
    assert invoices
    assert all(documents[row["origin_id"]]["kind"] == "order" for row in invoices)
    assert max(row["dated"] for row in documents.values()) <= NOW.date()
    assert all(row["created_at"] <= NOW for row in documents.values())


def test_customers_are_people_of_three_countries() -> None:
    sheet = _made(1)
    companies = sheet.of(Company)
    assert {row["language"] for row in companies} == {"de", "ru", "en"}
    taxed = [row for row in companies if row["tax_number"]]
    countries = {"de": "DE", "ru": "RU", "en": "GB"}
    assert [r["name"] for r in taxed if tax_doubt(countries[r["language"]], r["tax_number"])] == []
    assert all(row["value"].isascii() for row in sheet.of(ContactPoint))
    logins = [row["login"] for row in sheet.of(User)]
    assert len(set(logins)) == len(logins)


@contextmanager
def _running(folder: Path, port: int) -> Iterator[list[str]]:
    """The demo in a thread of its own; ends it as Ctrl-C does."""
    said: list[str] = []
    stop, ready, failed = threading.Event(), threading.Event(), list[BaseException]()

    def say(text: str) -> None:
        said.append(text)
        if "Password for everybody" in text:
            ready.set()

    def work() -> None:
        try:
            demo.run(folder, offices=2, port=port, companies=COMPANIES, say=say, stop=stop)
        except BaseException as error:
            failed.append(error)
            ready.set()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        assert ready.wait(120), said
        assert not failed, failed
        yield said
    finally:
        stop.set()
        thread.join(60)
    assert not thread.is_alive()


def _log_in(url: str, login: str, password: str) -> Any:
    """A browser, so to speak, that has logged in through the form."""
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
    with browser.open(f"{url}/login") as page:
        text = page.read().decode()
    form = {"login": login, "password": password}
    if 'name="csrf"' in text:
        form["csrf"] = text.split('name="csrf" value="')[1].split('"')[0]
    request = urllib.request.Request(f"{url}/login", urllib.parse.urlencode(form).encode(), {"Origin": url})
    with browser.open(request) as page:
        assert page.status == 200
    return browser


def _asked(browser: Any, url: str) -> dict[str, Any]:
    with browser.open(url) as answer:
        found: dict[str, Any] = json.load(answer)
        return found


@pytest.mark.slow
def test_the_demo_starts_serves_stops_and_continues(tmp_path: Path) -> None:
    folder, port = tmp_path / "demo", free_range(2 * demo.STEP + 2)
    with _running(folder, port) as said:
        table = said[-1]
        assert all(word in table for word in ("HAM", "BER", "SPB", demo.PASSWORD, "ingrid.hansen (director)"))
        head, berlin = (_log_in(f"http://127.0.0.1:{p}", demo.LOGIN, demo.PASSWORD) for p in (port, port + demo.STEP))
        status = _asked(head, f"http://127.0.0.1:{port}/api/v1/status")
        assert (status["office"], status["role"]) == ("HAM", "central")
        assert _asked(berlin, f"http://127.0.0.1:{port + demo.STEP}/api/v1/status")["conflicts"] == 3
        found = _asked(berlin, f"http://127.0.0.1:{port + demo.STEP}/api/v1/companies?limit=5")
        assert len(found["items"]) == 5
        first = found["items"][0]["id"]
        with pytest.raises(Refused, match=r"is in use.*--port"):
            demo.run(tmp_path / "other", offices=1, port=port, companies=COMPANIES)
    with _running(folder, port) as said:
        assert any("continuing" in text for text in said)
        again = _log_in(f"http://127.0.0.1:{port}", "ingrid.hansen", demo.PASSWORD)
        assert _asked(again, f"http://127.0.0.1:{port}/api/v1/companies/{first}")["id"] == first


def test_a_foreign_folder_and_impossible_wishes_are_refused(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(Refused, match="not empty and holds no demo"):
        demo.run(tmp_path, offices=1, port=free_range(2 * demo.STEP + 2), companies=COMPANIES)
    with pytest.raises(BadInput, match="between 1 and"):
        demo.run(tmp_path / "x", offices=99, port=free_range(2 * demo.STEP + 2))
    assert [p.name for p in tmp_path.iterdir()] == ["letter.txt"]
