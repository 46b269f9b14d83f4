"""A day's work in the browser: find, note, change, undo; by keys, without a script, on a telephone."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy.orm import Session

from node.domain import records
from node.domain.access import SYSTEM
from node.domain.concept import CONCEPTS
from tests.browser.conftest import Site, Watch

pytestmark = [pytest.mark.browser, pytest.mark.slow]
Come = Callable[..., Page]


def company(s: Session, name: str) -> str:
    row = records.create(s, SYSTEM, CONCEPTS["companies"], {"name": name, "office": "HAM", "industry": "Ships"})
    return str(row.id)


def change(s: Session, id: str, industry: str) -> None:
    records.update(s, SYSTEM, CONCEPTS["companies"], id, {"industry": industry})


def test_a_wrong_password_keeps_the_name_and_a_right_one_leads_on(visitor: Come, site: Site) -> None:
    page = visitor()
    page.context.clear_cookies()
    page.goto(site.url + "/companies?kind=customer&lang=en")
    expect(page).to_have_url(re.compile(r"/login\?next="))
    page.fill("[name=login]", "admin")
    page.fill("[name=password]", "wrong horse")
    page.click("button.primary")
    expect(page.locator("[role=alert]")).to_be_visible()
    assert page.input_value("[name=login]") == "admin"


def test_the_palette_finds_a_customer_and_the_page_speaks_to_nobody_else(
    visitor: Come, site: Site, watch: Watch
) -> None:
    site.call(company, "Zylinder & Söhne Werft GmbH")
    page = visitor()
    page.keyboard.press("Control+k")
    page.keyboard.type("zylinder soh")
    expect(page.locator("#palette-list")).to_contain_text("Zylinder & Söhne Werft GmbH")
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text("Zylinder & Söhne Werft GmbH")
    assert watch.foreign == []
    assert watch.complaints == []


def test_a_list_is_worked_by_keys_and_not_while_one_types(visitor: Come, site: Site) -> None:
    page = visitor()
    page.goto(site.url + "/companies?view=all")
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("x")
    second = page.locator("tbody tr").nth(1)
    expect(second).to_have_attribute("aria-selected", "true")
    expect(page.locator(".selbar strong")).to_have_text("1 selected")
    name = second.locator("th a").inner_text()
    page.click(".inlist input")
    page.keyboard.type("jx")
    assert page.input_value(".inlist input") == "jx"
    expect(page.locator(".selbar strong")).to_have_count(0)  # the list has changed under the search
    page.goto(site.url + "/companies?view=all")
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text(name)
    page.wait_for_load_state()
    page.keyboard.press("e")
    expect(page).to_have_url(re.compile("/edit$"))


def test_from_a_record_one_goes_on_to_the_next_of_the_list(visitor: Come, site: Site) -> None:
    page = visitor()
    page.goto(site.url + "/companies?order=name")
    names = page.locator("tbody th a").all_inner_texts()
    page.locator("tbody th a").nth(3).click()
    for place in (3, 4, 5):
        expect(page.locator("h1")).to_have_text(names[place])
        expect(page.locator(".crumb")).to_contain_text(f"{place + 1} / {len(names)}")
        page.keyboard.press("j")


def test_a_field_is_changed_in_place_and_taken_back(visitor: Come, site: Site, watch: Watch) -> None:
    id = site.call(company, "Inline Trading Ltd")
    page = visitor()
    page.goto(f"{site.url}/companies/{id}")
    page.click("#fact-industry a")
    field = page.locator("#fact-industry input[name=industry]")
    expect(field).to_be_focused()
    field.fill("Ship chandlery")
    page.keyboard.press("Enter")
    expect(page.locator("#fact-industry")).to_contain_text("Ship chandlery")
    page.locator(".toast button", has_text="Undo").click()
    expect(page.locator("#fact-industry")).to_contain_text("Ships")
    assert watch.complaints == []


def test_three_values_when_somebody_was_faster_and_nothing_typed_is_lost(visitor: Come, site: Site) -> None:
    id = site.call(company, "Contested GmbH")
    page = visitor()
    page.goto(f"{site.url}/companies/{id}/edit")
    page.fill("[name=industry]", "Mine")
    page.fill("[name=website]", "www.contested.example")
    site.call(change, id, "Theirs")
    page.click("form.stack button.primary")
    expect(page.locator("h1")).to_have_text("Contested GmbH")
    three = page.locator(".three")
    for text in ("Ships", "Mine", "Theirs"):
        expect(three).to_contain_text(text)
    page.check("[name='keep.industry'][value=stored]")
    page.click("form.stack button.primary")
    expect(page.locator("#fact-industry")).to_contain_text("Theirs")
    expect(page.locator("#fact-website")).to_contain_text("www.contested.example")


def test_without_a_script_one_reads_searches_and_saves(visitor: Come, site: Site) -> None:
    site.call(company, "Scriptless Traders Ltd")
    page = visitor(java_script_enabled=False)
    page.fill(".top [name=q]", "scriptless")
    page.press(".top [name=q]", "Enter")
    page.click("text=Scriptless Traders Ltd")
    page.check("input[name=kind][value=call]", force=True)
    page.fill(".composer textarea", "Wants an offer by Friday.")
    page.click(".composer button")
    expect(page.locator("#timeline")).to_contain_text("Wants an offer by Friday.")
    page.goto(site.url + "/tasks/new")
    page.fill("[name=subject]", "Call the harbour master")
    page.fill("[name=due_time]", "14:30")
    page.click("form.stack button.primary")
    expect(page.locator("h1")).to_contain_text("Call the harbour master")
    page.goto(site.url + "/companies/new")
    page.fill("[name=website]", "www.kept.example")
    page.click("form.stack button.primary")
    assert page.input_value("[name=website]") == "www.kept.example"
    expect(page.locator(".err")).to_have_text("This field is needed.")


def test_a_duplicate_is_shown_while_one_types(visitor: Come, site: Site) -> None:
    site.call(company, "Quittenhof Spedition GmbH")
    page = visitor()
    page.goto(site.url + "/companies/new")
    page.locator("[name=name]").press_sequentially("Quittenhof Spedition")
    expect(page.locator("#similar")).to_contain_text("Quittenhof Spedition GmbH")


def test_from_offer_to_invoice_and_a_posted_one_stays(visitor: Come, site: Site, watch: Watch) -> None:
    site.call(company, "Chain Customer GmbH")
    page = visitor()
    page.goto(site.url + "/offers/new")
    page.locator("[name='company.text']").press_sequentially("Chain Cust")
    page.wait_for_selector("#f-company-l option", state="attached")
    page.fill("[name='company.text']", "Chain Customer GmbH")
    page.click("form.stack button.primary")
    page.fill("[name='lines.0.text']", "Hand pallet truck")
    page.fill("[name='lines.0.quantity']", "4")
    page.fill("[name='lines.0.price']", "389,00")
    page.fill("[name='lines.0.discount']", "8")
    page.fill("[name='lines.0.vat_rate']", "19")
    page.click("text=Save lines")
    expect(page.locator("#totals")).to_contain_text("1.703,51")  # 4 × 389 less 8 %, and 19 % on it
    page.click("text=Post offer")
    expect(page.locator(".stamp")).to_have_text("posted")
    expect(page.locator("h1")).to_contain_text(re.compile(r"A-HAM-\d{4}-\d{4}"))
    page.click("text=Make order")
    page.click("text=Post order")
    page.click("text=Make invoice")
    page.click("text=Post invoice")
    expect(page.locator(".chain li")).to_have_count(3)
    assert page.locator("[name='lines.0.text']").count() == 0
    assert watch.complaints == []


def test_a_deal_moves_by_its_menu_and_losing_needs_a_reason(visitor: Come, site: Site) -> None:
    page = visitor()
    page.goto(site.url + "/deals/board")
    card = page.locator(".lane").first.locator(".deal").first
    lane = page.locator(".lane", has=page.locator(".deal details.menu")).first
    card = lane.locator(".deal").first
    title = card.locator("h3").inner_text()
    card.locator("summary").click()
    card.locator(".pop button").last.click()
    expect(page.locator("h1")).to_have_text("Why was it lost?")
    page.click("text=Mark as lost")
    expect(page.locator(".toast")).to_be_visible()
    expect(page.locator(".lane").last).to_contain_text(title)


PAGES = (
    "/", "/companies", "/deals/board", "/documents", "/invoices", "/conflicts", "/duplicates", "/exchange",
    "/search?q=gmbh", "/settings", "/design", "/tasks/new", "/companies/new", "/receivables", "/about",
)  # fmt: skip


@pytest.mark.parametrize("language", ["de", "ru", "en"])
def test_no_page_scrolls_sideways_on_a_telephone_or_complains(
    visitor: Come, site: Site, watch: Watch, language: str
) -> None:
    page = visitor(width=390, color_scheme="dark")
    page.goto(site.url + "/settings")
    page.select_option("[name=language]", language)
    page.click("form.panel button.primary")
    try:
        for address in PAGES:
            answer = page.goto(site.url + address)
            assert answer is not None
            assert answer.status == 200, address
            assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, address
            assert page.evaluate("document.documentElement.lang") == language
    finally:
        page.goto(site.url + "/settings")
        page.select_option("[name=language]", "en")
        page.click("form.panel button.primary")
    assert watch.foreign == []
    assert watch.complaints == []


def test_every_control_has_a_name_and_every_target_room(visitor: Come, site: Site) -> None:
    page = visitor()
    for address in PAGES:
        page.goto(site.url + address)
        nameless = page.evaluate(
            """() => [...document.querySelectorAll(
              'a[href], button, input:not([type=hidden]), select, textarea, summary')]
            .filter(n => n.offsetParent && !(n.labels && n.labels.length) && !n.getAttribute('aria-label')
              && !n.getAttribute('aria-labelledby') && !(n.innerText || n.textContent).trim())
            .map(n => n.outerHTML.slice(0, 120))"""
        )
        assert nameless == [], address
        small = page.evaluate(
            """() => [...document.querySelectorAll('main button, .top button, .nav a')]
            .filter(n => n.offsetParent).map(n => [n.getBoundingClientRect(), n.outerHTML.slice(0, 100)])
            .filter(([r]) => r.height < 23.5 || r.width < 23.5).map(([, h]) => h)"""
        )
        assert small == [], address
