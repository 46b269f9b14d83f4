"""What the browser gets: small, ours, and nothing that a strict policy would stop."""

from __future__ import annotations

import gzip
import re

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from node.web import render
from node.web.pages_conflicts import marked

CSS_MAX = 40_000
SCRIPTS_GZIP_MAX = 60_000


def test_style_sheet_and_scripts_stay_within_their_budget() -> None:
    found = render.assets()
    assert len(found["kogge.css"][1]) <= CSS_MAX
    assert sum(len(gzip.compress(found[name][1])) for name in ("app.js", "htmx.min.js")) <= SCRIPTS_GZIP_MAX


def test_templates_hold_no_script_no_style_and_no_foreign_address() -> None:
    for path in sorted(render.TEMPLATES.glob("*.html")):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son[a-z]+=|javascript:", text), path.name
        assert not re.search(r"(?:src|href|action)=\"(?:https?:)?//", text), path.name


def test_every_form_that_changes_something_carries_the_token() -> None:
    for path in sorted(render.TEMPLATES.glob("*.html")):
        for form in re.findall(r"<form[^>]*method=\"post\".*?</form>", path.read_text(encoding="utf-8"), re.S):
            assert "csrf()" in form, (path.name, form[:80])


def test_addresses_change_with_the_content_and_every_icon_exists() -> None:
    assert re.fullmatch(r"/static/kogge\.[0-9a-f]{12}\.css", render.asset("kogge.css"))
    symbols = set(re.findall(r'symbol id="([a-z0-9-]+)"', render.assets()["icons.svg"][1].decode()))
    for path in sorted(render.TEMPLATES.glob("*.html")):
        used = set(re.findall(r"icon\('([a-z0-9-]+)'", path.read_text(encoding="utf-8")))
        assert used <= symbols, (path.name, used - symbols)


@pytest.mark.parametrize("address", ["//evil.example/x", "/\\evil.example"])
def test_a_redirect_never_leaves_the_node(address: str) -> None:
    assert render.go(address).headers["Location"] == "/"
    request = make_mocked_request("GET", f"/?back={address}")
    assert render.back(request, "/home") == "/home"


def test_a_toast_survives_the_redirect_and_a_foreign_cookie_is_ignored() -> None:
    answer = render.go("/x", render.Toast(text="Gespeichert „so“", undo="/undo"))
    assert isinstance(answer, web.Response)
    value = answer.cookies[render.TOAST_COOKIE].value
    left = render._toasts_of(make_mocked_request("GET", "/x", headers={"Cookie": f"{render.TOAST_COOKIE}={value}"}))
    assert left == (render.Toast(text="Gespeichert „so“", undo="/undo"),)
    for junk in ("zz", "7b7d", "", "ff" * 4000):
        request = make_mocked_request("GET", "/x", headers={"Cookie": f"{render.TOAST_COOKIE}={junk}"})
        assert render._toasts_of(request) == ()


def test_a_conflict_marks_what_is_new() -> None:
    assert marked("0561 7004-10", "0561 7004-0") == [("0561 7004-", False), ("0", True)]
    assert marked("Mondays.", "Tuesdays.")[0][1] is True
    assert marked("0561 7004-10", "+371 6702 44 18") == [("+371 6702 44 18", True)]
