"""Times, days, money and numbers as the reader writes them.

One `Reader` per language and office: it knows the words, the locale's habits and the office's time zone. Days close
to today are named (today, yesterday), because that is what people look for first.
"""

from __future__ import annotations

import gettext
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from babel import Locale
from babel.core import UnknownLocaleError
from babel.dates import format_date, format_datetime, format_time
from babel.numbers import format_currency, format_decimal, get_currency_precision, get_currency_symbol

from node.web.i18n import LANGUAGES, _, locale_of, translations

DASH = "–"
Number = Decimal | int | float


@dataclass(frozen=True, slots=True)
class Reader:
    """Puts values into the reader's words. `country` (two letters) is the office's: it decides number formats."""

    language: str
    zone: ZoneInfo
    texts: gettext.NullTranslations
    locale: Locale

    def text(self, message: str, **values: object) -> str:
        """The message in the reader's language, with `%(name)s` filled in."""
        if not message:
            return ""
        translated = self.texts.gettext(message)
        return translated % values if values else translated

    def count(self, one: str, many: str, number: int, **values: object) -> str:
        """The message in the right plural; `%(num)s` is the number as the reader writes it."""
        return self.texts.ngettext(one, many, number) % {"num": self.number(number), **values}

    def day(self, value: date | None, today: date | None = None) -> str:
        """A calendar day: today, tomorrow, yesterday by name, else short with the year only where it differs."""
        if value is None:
            return DASH
        if today is not None:
            near = {0: _("today"), 1: _("tomorrow"), -1: _("yesterday")}.get((value - today).days)
            if near:
                return self.texts.gettext(near)
            if value.year == today.year:
                return format_date(value, "d MMM" if self.language != "de" else "d. MMM", locale=self.locale)
        return format_date(value, "medium", locale=self.locale)

    def full_day(self, value: date) -> str:
        """Tuesday, 24 November."""
        pattern = "EEEE, d. MMMM" if self.language == "de" else "EEEE, d MMMM"
        return format_date(value, pattern, locale=self.locale)

    def clock(self, value: datetime | None) -> str:
        """14:05, in the office's time."""
        return DASH if value is None else format_time(value.astimezone(self.zone), "HH:mm", locale=self.locale)

    def moment(self, value: datetime | None, now: datetime | None = None) -> str:
        """A point in time: today 14:05, yesterday 09:12, Mon 18:00, else with the date."""
        if value is None:
            return DASH
        local = value.astimezone(self.zone)
        if now is None:
            return format_datetime(local, "short", locale=self.locale)
        today = now.astimezone(self.zone).date()
        days = (today - local.date()).days
        if days in (0, 1, -1) or not 0 < days < 7:
            return f"{self.day(local.date(), today)} {self.clock(value)}"
        return f"{format_date(local, 'EEE', locale=self.locale)} {self.clock(value)}"

    def stamp(self, value: datetime | None) -> str:
        """The whole date and time, for titles and exports."""
        return DASH if value is None else format_datetime(value.astimezone(self.zone), "short", locale=self.locale)

    def today(self, now: datetime) -> date:
        """The calendar day of the office."""
        return now.astimezone(self.zone).date()

    def money(self, value: Number | None, currency: str = "", *, whole: bool = False) -> str:
        """An amount with its currency sign; `whole` drops the fraction, for overviews."""
        if value is None:
            return DASH
        if not currency:
            return format_decimal(value, "#,##0" if whole else "#,##0.00", locale=self.locale)
        pattern = "#,##0 ¤" if whole else None
        return format_currency(
            value,
            currency,
            pattern or self.locale.currency_formats["standard"].pattern,
            locale=self.locale,
            currency_digits=not whole,
        )

    def sign(self, currency: str) -> str:
        """€ for EUR."""
        return get_currency_symbol(currency, locale=self.locale)

    def number(self, value: Number | None) -> str:
        """A number without needless zeros."""
        return DASH if value is None else format_decimal(value, "#,##0.###", locale=self.locale)

    def percent(self, value: Number | None) -> str:
        """19 %."""
        return DASH if value is None else f"{format_decimal(value, '#,##0.##', locale=self.locale)} %"

    def size(self, value: int | None) -> str:
        """Bytes as a person reads them."""
        if value is None:
            return DASH
        amount, units = float(value), ("B", "kB", "MB", "GB", "TB")
        index = 0
        while amount >= 1000 and index < len(units) - 1:
            amount, index = amount / 1000, index + 1
        return f"{format_decimal(round(amount, 1 if amount < 10 and index else 0), locale=self.locale)} {units[index]}"

    def span(self, value: timedelta | float | None) -> str:
        """A length of time in its largest unit: 10 min, 20 h, 2 days."""
        if value is None:
            return DASH
        seconds = value.total_seconds() if isinstance(value, timedelta) else value
        if seconds < 60:
            return self.text("%(number)s s", number=self.number(round(seconds)))
        if seconds < 7200:
            return self.text("%(number)s min", number=self.number(round(seconds / 60)))
        if seconds < 172_800:
            return self.text("%(number)s h", number=self.number(round(seconds / 3600)))
        return self.count("%(num)s day", "%(num)s days", round(seconds / 86_400))

    def language_name(self, code: str) -> str:
        """A language in the reader's words."""
        try:
            return Locale.parse(code).get_display_name(self.locale) or code
        except (ValueError, UnknownLocaleError):
            return LANGUAGES.get(code, code)

    def country_name(self, code: str) -> str:
        """A country in the reader's words."""
        return str(self.locale.territories.get(code.upper(), code)) if code else DASH


def reader(language: str, zone: str = "UTC", country: str = "") -> Reader:
    """The reader of that language at an office in that zone and country; an unknown zone is UTC."""
    try:
        info = ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError):
        info = ZoneInfo("UTC")
    return Reader(language, info, translations(language), locale_of(language, country))


def currency_places(currency: str) -> int:
    """How many decimals the currency has."""
    return get_currency_precision(currency)
