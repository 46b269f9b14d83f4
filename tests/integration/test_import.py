"""Imports through the domain's actions: a real data set exactly, everyday files, and files with mistakes in them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from node.db import Database
from node.domain import records, reports
from node.domain.access import Actor
from node.domain.concept import CONCEPTS
from node.domain.customers import Company
from node.domain.documents import Document
from node.domain.search import matching_ids
from node.domain.users import User
from node.imports.errors import MissingColumn, NoProfile, NoTable
from node.imports.run import Result, import_files
from tests.support import classicmodels

COUNTS = ("read", "created", "updated", "unchanged", "skipped", "failed")


def _counts(result: Result) -> dict[str, int]:
    return {name: result.total(name) for name in COUNTS}


def _count(db: Database, model: Any) -> int:
    return db.read_now(lambda s: s.scalar(sa.select(sa.func.count()).select_from(model)) or 0)


def _companies_per_office(s: Session) -> dict[str, int]:
    rows = s.execute(sa.select(Company.office, sa.func.count()).group_by(Company.office))
    return {row[0]: row[1] for row in rows}


@pytest.mark.postgres
def test_a_trading_company_comes_in_exactly_and_a_second_time_changes_nothing(db: Database, by: Actor) -> None:
    files = classicmodels.files()
    dry = import_files(db, by, files, profile=classicmodels.PROFILE, dry_run=True)
    assert _count(db, Company) == 0
    first = import_files(db, by, files, profile=classicmodels.PROFILE)
    assert not first.errors
    assert _counts(dry) == _counts(first)
    assert first.total("created") == first.total("read") == 7 + 23 + 122 + 122 + 110 + 110 + 326 + 273

    revenue = db.read_now(reports.revenue, by)
    assert {row.key: row.amount for row in revenue.rows} == classicmodels.REVENUE
    assert (revenue.total, revenue.currency, revenue.documents) == (classicmodels.REVENUE_TOTAL, "USD", 326)
    assert db.read_now(reports.revenue, by, include_cancelled=False).total == classicmodels.WITHOUT_CANCELLED
    groups = db.read_now(reports.revenue, by, group="product_group")
    assert {row.key: row.amount for row in groups.rows} == classicmodels.BY_GROUP
    payments = db.read_now(reports.payments_total, by)
    assert {row.key: row.amount for row in payments.rows} == classicmodels.PAYMENTS
    assert payments.total == classicmodels.PAYMENTS_TOTAL
    assert db.read_now(_companies_per_office) == classicmodels.CUSTOMERS

    second = import_files(db, by, files, profile=classicmodels.PROFILE)
    assert _counts(second) == {**_counts(first), "created": 0, "unchanged": first.total("read")}


def test_people_documents_and_customers_hang_together(db: Database, by: Actor) -> None:
    import_files(db, by, classicmodels.files(), profile=classicmodels.PROFILE)

    def look(s: Session) -> None:
        julie = s.scalars(sa.select(User).where(User.external_code == "1188")).one()
        chief = s.get_one(User, julie.manager_id)
        assert (julie.login, julie.home_office, julie.role) == ("jfirrelli2", "BOS", "sales")  # Jeff has the first
        assert (chief.name, chief.role) == ("Anthony Bow", "manager")
        order = s.scalars(sa.select(Document).where(Document.external_code == "10100")).one()
        assert (order.state, order.progress, order.office) == ("posted", "shipped", "BOS")
        item = records.item(s, by, CONCEPTS["orders"], order)
        prices = [str(line["price"].normalize()) for line in item["lines"]]
        assert prices == ["35.29", "55.09", "136", "75.46"]  # in the order of orderLineNumber
        company = records.load(s, by, CONCEPTS["companies"], matching_ids(s, by, ["companies"], "Atelier graphique")[0])
        shown = records.item(s, by, CONCEPTS["companies"], company)
        assert shown["addresses"][0]["country"] == "FR"
        assert shown["owner"] == s.scalars(sa.select(User.id).where(User.external_code == "1370")).one()
        assert len(shown["people"]) == 1

    db.read_now(look)


@pytest.mark.parametrize(("page", "delimiter"), [("cp1251", ";"), ("utf-8", ","), ("utf-16", "\t")])
def test_an_everyday_file_needs_no_profile(db: Database, by: Actor, tmp_path: Path, page: str, delimiter: str) -> None:
    rows = [
        ["Код", "Название", "Телефон", "E-mail", "Город", "Страна", "Кредитный лимит", "Отдел"],
        ["7", "ООО «Ромашка»", "+7 812 555-01-02", "info@romashka.example", "Псков", "Россия", "1 500,50", "x"],
        ["8", "Кофейня «Утро»", "", "", "Выборг", "RU", "", "y"],
    ]
    file = tmp_path / "клиенты.csv"
    text = "\r\n".join(delimiter.join(f'"{cell}"' for cell in row) for row in rows)
    file.write_bytes(text.encode(page))
    first = import_files(db, by, [file], kind="companies")
    assert (_counts(first)["created"], first.errors) == (2, [])
    assert first.ignored_columns == {"клиенты.csv": ["Отдел"]}
    file.write_bytes(text.replace("Псков", "Москва").encode(page))
    assert _counts(import_files(db, by, [file], kind="companies")) == {
        "read": 2, "created": 0, "updated": 1, "unchanged": 1, "skipped": 0, "failed": 0,
    }  # fmt: skip
    found = db.read_now(lambda s: matching_ids(s, by, ["companies"], "ромашка"))
    item = db.read_now(lambda s: records.item(s, by, CONCEPTS["companies"], s.get_one(Company, found[0])))
    assert (item["addresses"][0]["city"], str(item["credit_limit"])) == ("Москва", "1500.5000")


def test_what_a_person_changed_or_removed_is_left_alone(db: Database, by: Actor, tmp_path: Path) -> None:
    file = tmp_path / "f.csv"
    file.write_text("id,name,website\n1,One,\n2,Two,\n", "utf-8")
    import_files(db, by, [file], kind="companies")
    companies = CONCEPTS["companies"]
    one, two = db.read_now(lambda s: s.scalars(sa.select(Company.id).order_by(Company.external_code)).all())
    db.write_now(lambda s: records.update(s, by, companies, one, {"website": "www.one.example"}) and None, by=by)
    db.write_now(lambda s: records.remove(s, by, companies, two), by=by)
    again = import_files(db, by, [file], kind="companies")
    assert (again.total("unchanged"), again.total("skipped"), again.total("created")) == (1, 1, 0)


def test_a_bad_row_is_named_and_does_not_stop_the_others(db: Database, by: Actor, tmp_path: Path) -> None:
    file = tmp_path / "f.csv"
    file.write_text(
        "id,name,country,credit limit,email\n1,Good,Germany,,\n2,Bad,Atlantis,12,\n3,Worse,DE,x1,\n"
        "4,Also good,UK,9.50,\n5,Mistyped,DE,,no-address\n",
        "utf-8",
    )
    result = import_files(db, by, [file], kind="companies")
    assert (result.total("created"), result.total("failed")) == (2, 3)
    assert [(e.line, e.column) for e in result.errors] == [(3, "country"), (4, "credit limit"), (6, "email")]
    assert "two letters" in result.errors[0].sentence
    stopped = import_files(db, by, [file], kind="companies", stop_on_error=True)
    assert (stopped.stopped, stopped.total("failed"), stopped.total("unchanged")) == (True, 1, 1)
    assert _count(db, Company) == 2
    (tmp_path / "g.csv").write_text("id,name\n7,Seven\n8,\n9,Nine\n".replace("8,", f"8,{'x' * 301}"), "utf-8")
    stopped = import_files(db, by, [tmp_path / "g.csv"], kind="companies", stop_on_error=True)
    assert (stopped.total("created"), [e.line for e in stopped.errors]) == (1, [3])  # what stands before it is kept
    assert _count(db, Company) == 3


def test_what_cannot_be_read_changes_nothing(db: Database, by: Actor, tmp_path: Path) -> None:
    def refused(error: type[Exception], sentence: str, content: bytes, **options: Any) -> None:
        (tmp_path / "f.csv").write_bytes(content)
        with pytest.raises(error, match=sentence):
            import_files(db, by, [tmp_path / "f.csv"], **options)

    (tmp_path / "p.toml").write_text(
        '[[file]]\nname = "f.csv"\n[[file.make]]\nconcept = "companies"\nkey = "no"\n'
        '[file.make.fields]\nname = "Firm"\n'
    )
    refused(NoTable, "no CSV file: it is a picture", b"\x89PNG\r\n", kind="companies")
    refused(NoProfile, "Say --kind companies|persons|products", b"a,b\n1,2\n")
    refused(NoProfile, "no column that looks like the name", b"a,b\n1,2\n", kind="companies")
    refused(MissingColumn, "no column “Firm”.*nearest are: “Firma”", b"no,Firma\n1,2\n", profile=tmp_path / "p.toml")
    assert _count(db, Company) == 0


def test_a_profile_beside_the_files_or_shipped_is_found(db: Database, by: Actor, tmp_path: Path) -> None:
    (tmp_path / "contacts.csv").write_text(
        "First Name,Last Name,E-mail 1 - Value,Phone 1 - Value\nAnna,Berger,a@b.example,030 2312500\n", "utf-8"
    )
    assert import_files(db, by, [tmp_path / "contacts.csv"]).profile == "google-contacts"
    (tmp_path / "kogge-import.toml").write_text(
        'name = "ours"\n[[file]]\nname = "*.csv"\n[[file.make]]\nconcept = "persons"\nmatch = ["last_name"]\n'
        '[file.make.fields]\nlast_name = "Last Name"\nnotes = { value = "from ours" }\n'
    )
    second = import_files(db, by, [tmp_path / "contacts.csv"])
    assert (second.profile, second.total("updated"), second.total("created")) == ("ours", 1, 0)


def test_rights_hold_for_imports_too(db: Database, by: Actor, tmp_path: Path) -> None:
    rules = {"*": {"read": "all", "*": "none"}}
    reader = Actor(user_id="", login="r", name="R", role="viewer", office="HQ", rules=rules)
    (tmp_path / "f.csv").write_text("id,name\n1,One\n", "utf-8")
    result = import_files(db, reader, [tmp_path / "f.csv"], kind="companies")
    assert (result.total("created"), result.total("failed")) == (0, 1)
    assert "does not allow" in result.errors[0].sentence


def test_progress_is_told_per_batch(db: Database, by: Actor, tmp_path: Path) -> None:
    (tmp_path / "f.csv").write_text("code,name\n" + "".join(f"{n},P{n}\n" for n in range(1200)), "utf-8")
    heard: list[tuple[str, int, int]] = []
    hear: Callable[[str, int, int], None] = lambda file, done, total: heard.append((file, done, total))  # noqa: E731
    import_files(db, by, [tmp_path / "f.csv"], kind="products", progress=hear)
    assert heard == [("f.csv", 500, 1200), ("f.csv", 1000, 1200), ("f.csv", 1200, 1200)]
