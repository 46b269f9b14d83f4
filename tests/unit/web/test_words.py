"""Every text that a page can show is there in German and Russian, with the same placeholders and plural forms."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from babel.messages.pofile import read_po

from node.web.i18n import LOCALE_DIR, choose, translations
from node.web.language import reader
from node.web.msgids import extracted, missing

PLACEHOLDER = re.compile(r"%\([a-z_]+\)s|%%|#")
NOW = datetime(2026, 11, 24, 13, 5, tzinfo=UTC)


@pytest.mark.parametrize("language", ["de", "ru"])
def test_every_text_of_the_pages_is_translated(language: str) -> None:
    assert missing(language) == []
    assert sum(1 for _ in extracted()) > 500


@pytest.mark.parametrize("language", ["de", "ru"])
def test_translations_keep_placeholders_and_are_not_fuzzy(language: str) -> None:
    path: Path = LOCALE_DIR / language / "LC_MESSAGES" / "kogge.po"
    with path.open("rb") as handle:
        catalogue = read_po(handle, locale=language)
    for message in catalogue:
        if not message.id:
            continue
        assert not message.fuzzy, message.id
        ids = [message.id] if isinstance(message.id, str) else list(message.id)
        texts = [message.string] if isinstance(message.string, str) else list(message.string or ())
        if len(ids) == 2:
            assert len(texts) == catalogue.num_plurals, message.id
        wanted = set(PLACEHOLDER.findall(ids[-1]))
        for text in texts:
            assert set(PLACEHOLDER.findall(text)) == wanted, (message.id, text)


def test_plurals_follow_the_language() -> None:
    russian = reader("ru", "Europe/Moscow", "RU")
    said = [russian.count("%(num)s record", "%(num)s records", n) for n in (1, 3, 5, 21)]
    assert said == ["1 запись", "3 записи", "5 записей", "21 запись"]


def test_numbers_are_the_offices_and_words_the_users() -> None:
    english_in_kassel = reader("en", "Europe/Berlin", "DE")
    assert english_in_kassel.money(Decimal("31240.5"), "EUR").replace("\xa0", " ") == "31.240,50 €"
    assert english_in_kassel.full_day(NOW.date()) == "Tuesday, 24 November"
    assert reader("ru", "Europe/Moscow", "RU").full_day(NOW.date()) == "вторник, 24 ноября"
    assert reader("de", "Europe/Berlin", "DE").moment(NOW, NOW) == "heute 14:05"
    assert reader("en", "Europe/Berlin").moment(NOW - timedelta(days=1), NOW) == "yesterday 14:05"


def test_an_unknown_language_falls_back_to_english() -> None:
    assert choose("fr-FR,fr;q=0.9,ru;q=0.5") == "ru"
    assert choose("fr", None, "") == "en"
    assert translations("fr").gettext("Save") == "Save"
