"""A node with a sample company that serves in a thread of its own, and a browser that may speak to it alone."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Route, sync_playwright
from sqlalchemy.orm import Session

from central.sample import loading
from node.app import Node
from node.domain.users import user_by_login
from tests.support import nodes

CHROMIUM = Path("/usr/bin/chromium")
ARGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--no-first-run",
]  # fmt: skip
COMPANIES = 120
SALES = "stefan.schroeder"


@dataclass(slots=True)
class Site:
    """The running node; `call` runs something on its own thread's loop."""

    node: Node
    loop: asyncio.AbstractEventLoop

    @property
    def url(self) -> str:
        return self.node.url

    def call(self, action: Callable[..., Any], *args: Any) -> Any:
        """Run `action(session, …)` as one transaction and wait for it."""
        return asyncio.run_coroutine_threadsafe(self.node.db.write(action, *args), self.loop).result(30)


@dataclass(slots=True)
class Watch:
    """What must not happen while a page is used."""

    foreign: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)


def _serve(folder: Path, ready: Future[Site], stop: threading.Event) -> None:
    async def life() -> None:
        made = nodes.folder(folder, "HAM", central=True)
        node = nodes.build(made)
        node.open()
        loading.load(node.db, offices_count=2, companies=COMPANIES, seed=7, login=nodes.LOGIN, password=nodes.PASSWORD)
        node.db.write_now(_in_english)
        await node.start()
        ready.set_result(Site(node, asyncio.get_running_loop()))
        await asyncio.to_thread(stop.wait)
        await node.stop()

    try:
        asyncio.run(life())
    except BaseException as wrong:
        if not ready.done():
            ready.set_exception(wrong)
        raise


def _in_english(s: Session) -> None:
    """The administrator of a German office who reads English: words and number formats are two things."""
    admin = user_by_login(s, nodes.LOGIN)
    assert admin is not None
    admin.language = "en"


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    ready: Future[Site] = Future()
    stop = threading.Event()
    thread = threading.Thread(target=_serve, args=(tmp_path_factory.mktemp("site"), ready, stop), daemon=True)
    thread.start()
    try:
        yield ready.result(120)
    finally:
        stop.set()
        thread.join(30)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    if not CHROMIUM.exists():
        pytest.skip(f"{CHROMIUM} is not installed: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGS)
        yield browser
        browser.close()


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
def visitor(chromium: Browser, site: Site, watch: Watch) -> Iterator[Callable[..., Page]]:
    """Makes a page of a browser of its own, logged in; every foreign address is refused and noted."""
    contexts: list[BrowserContext] = []

    def come(login: str = nodes.LOGIN, *, width: int = 1366, **options: Any) -> Page:
        context = chromium.new_context(viewport={"width": width, "height": 800}, locale="en-GB", **options)
        contexts.append(context)

        def guard(route: Route) -> None:
            if route.request.url.startswith((site.url, "data:")):
                route.continue_()
            else:
                watch.foreign.append(route.request.url)
                route.abort()

        context.route("**/*", guard)
        page = context.new_page()
        page.set_default_timeout(10_000)
        page.on("pageerror", lambda e: watch.complaints.append(str(e)))
        page.on(
            "console",
            lambda m: (
                watch.complaints.append(m.text)
                if m.type == "error" and "Failed to load resource" not in m.text
                else None
            ),
        )
        page.goto(f"{site.url}/login?lang=en")
        page.fill("[name=login]", login)
        page.fill("[name=password]", nodes.PASSWORD)
        page.click("button.primary")
        page.wait_for_selector("h1")
        return page

    yield come
    for context in contexts:
        context.close()
