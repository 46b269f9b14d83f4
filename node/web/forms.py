"""Forms made from the fields of a concept, and values made from what somebody typed.

A `Control` is one field as a template draws it; `controls` makes them from a concept's fields and values, `parse` reads
a posted form back. What cannot be read is kept as typed and gets a sentence, so that nothing typed is ever lost.
Numbers and dates are read as the visitor writes them (31.240,00 or 31,240.00; 24.11.2026 or 2026-11-24).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any
from zoneinfo import ZoneInfo

from babel.numbers import format_decimal

from node.domain.concept import Field, Kind
from node.web.i18n import LANGUAGES, _
from node.web.language import DASH, Reader

Options = Sequence[tuple[str, str]]
PARTS_MAX = 60  # of one kind in one record, in a form
SPARE_PARTS = 1  # empty lines offered where there is no script
COUNTRIES = (
    "DE",
    "AT",
    "CH",
    "RU",
    "KZ",
    "BY",
    "UA",
    "GB",
    "US",
    "FR",
    "PL",
    "LV",
    "LT",
    "EE",
    "CZ",
    "NL",
    "BE",
    "DK",
    "SE",
    "NO",
    "FI",
    "IT",
    "ES",
    "PT",
    "IE",
    "JP",
    "AU",
    "CN",
    "SG",
    "CA",
)
CURRENCIES = ("EUR", "USD", "GBP", "CHF", "RUB", "KZT", "PLN", "JPY", "AUD", "CNY", "CZK", "DKK", "SEK", "NOK")


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """One field on a page. `widget` is input, area, select, tick, ticks, ref or hidden."""

    name: str
    label: str
    widget: str = "input"
    type: str = "text"
    id: str = ""
    value: str = ""
    shown: str = ""  # of a ref: the title of the record whose key `value` is
    values: tuple[str, ...] = ()
    options: Options = ()
    source: str = ""  # of a ref: the concept
    rows: int = 4
    required: bool = False
    read_only: bool = False
    wide: bool = False
    hint: str = ""
    error: str = ""
    inputmode: str = ""
    autocomplete: str = ""
    length_max: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PartsControl:
    """A list of small records inside the form: phones, addresses."""

    name: str
    label: str
    rows: tuple[tuple[Control, ...], ...]
    blank: tuple[Control, ...]  # `__n__` in the names stands for the number of the row
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Controls under one heading."""

    label: str
    controls: tuple[Control, ...] = ()
    parts: tuple[PartsControl, ...] = ()


Titles = Mapping[str, str]  # key of a referred record to its title
ChoicesOf = Callable[[Field], Options]


def controls(
    fields: Iterable[Field],
    values: Mapping[str, Any],
    r: Reader,
    *,
    typed: Mapping[str, str] | None = None,
    errors: Mapping[str, str] | None = None,
    titles: Titles | None = None,
    offices: Options = (),
    new: bool = True,
    prefix: str = "",
) -> list[Group]:
    """The form: groups in the order in which fields name them. `typed` (a form that came back) wins over `values`."""
    groups: dict[str, tuple[list[Control], list[PartsControl]]] = {}
    errors, titles = errors or {}, titles or {}
    for f in fields:
        if not f.in_form or (f.read_only and new):
            continue
        single, many = groups.setdefault(f.group, ([], []))
        if f.kind is Kind.PARTS:
            many.append(_parts(f, values.get(f.name) or [], r, typed, errors, titles, offices))
        elif f.kind is not Kind.OBJECT:
            single.append(
                control(
                    f,
                    values.get(f.name),
                    r,
                    typed=typed,
                    errors=errors,
                    titles=titles,
                    offices=offices,
                    new=new,
                    name=prefix + f.name,
                )
            )
    return [Group(label=r.text(label), controls=tuple(a), parts=tuple(b)) for label, (a, b) in groups.items()]


def control(
    f: Field,
    value: Any,
    r: Reader,
    *,
    name: str = "",
    typed: Mapping[str, str] | None = None,
    errors: Mapping[str, str] | None = None,
    titles: Titles | None = None,
    offices: Options = (),
    new: bool = True,
) -> Control:
    """One field as a control."""
    name = name or f.name
    shown = ""
    text = show_raw(f.kind, value, r)
    if typed is not None and name in typed:
        text, shown = typed[name], typed.get(f"{name}.text", "")
    if f.kind is Kind.REF and text and not shown:
        shown = (titles or {}).get(text, "")
    made = Control(
        name=name,
        label=r.text(f.label),
        id=f"f-{name.replace('.', '-')}",
        value=text,
        shown=shown,
        required=f.required,
        read_only=f.read_only or (f.fixed and not new),
        hint=r.text(f.help),
        length_max=min(f.length_max, 10_000),
        error=r.text((errors or {}).get(f.name, "")),
    )
    return _dressed(made, f, r, offices)


def _dressed(made: Control, f: Field, r: Reader, offices: Options) -> Control:
    empty: Options = () if f.required and made.value else (("", DASH),)
    match f.kind:
        case Kind.NOTE:
            return replace(made, widget="area", wide=True)
        case Kind.FLAG:
            return replace(made, widget="tick")
        case Kind.CHOICE:
            return replace(made, widget="select", options=(*empty, *((c, choice_words(f, c, r)) for c in f.choices)))
        case Kind.OFFICE:
            return replace(made, widget="select", options=(*empty, *offices))
        case Kind.LANGUAGE:
            return replace(made, widget="select", options=(("", DASH), *((c, r.language_name(c)) for c in LANGUAGES)))
        case Kind.COUNTRY:
            known = sorted(
                ((c, r.country_name(c)) for c in {*COUNTRIES, *([made.value] if made.value else [])}), key=_second
            )
            return replace(made, widget="select", options=(("", DASH), *known))
        case Kind.CURRENCY:
            return replace(made, options=[(c, c) for c in CURRENCIES], length_max=3)
        case Kind.REF:
            return replace(made, widget="ref", source=f.ref, length_max=300)
        case Kind.DAY:
            return replace(made, type="date", length_max=0)
        case Kind.TIME:
            return replace(made, type="time", length_max=0)
        case Kind.INSTANT:
            return replace(made, type="datetime-local", length_max=0)
        case Kind.INT | Kind.MONEY | Kind.QUANTITY | Kind.PERCENT | Kind.RATE:
            return replace(made, inputmode="decimal", length_max=30)
        case Kind.TAGS:
            return replace(made, hint=made.hint or r.text(_("Words with commas between")))
        case _:
            return replace(made, length_max=min(f.length_max, 500))


def _second(pair: tuple[str, str]) -> str:
    return pair[1].casefold()


def _parts(
    f: Field,
    rows: Sequence[Mapping[str, Any]],
    r: Reader,
    typed: Mapping[str, str] | None,
    errors: Mapping[str, str],
    titles: Titles,
    offices: Options,
) -> PartsControl:
    count = len(rows)
    if typed is not None:
        numbers = [int(m[1]) for key in typed if (m := re.match(rf"{f.name}\.(\d{{1,3}})\.", key))]
        count = max([count, *(n + 1 for n in numbers if n < PARTS_MAX)])

    def row(n: int | str, values: Mapping[str, Any], with_typed: bool) -> tuple[Control, ...]:
        made = [Control(name=f"{f.name}.{n}.id", label="", widget="hidden", value=str(values.get("id") or ""))]
        for p in f.parts:
            if p.in_form:
                name = f"{f.name}.{n}.{p.name}"
                c = control(
                    p,
                    values.get(p.name),
                    r,
                    name=name,
                    typed=typed if with_typed else None,
                    titles=titles,
                    offices=offices,
                )
                made.append(replace(c, error=r.text(errors.get(name, "")), wide=False, required=False))
        return tuple(made)

    full = tuple(row(n, rows[n] if n < len(rows) else {}, True) for n in range(count))
    spare = tuple(row(count + n, {}, False) for n in range(SPARE_PARTS if typed is None else 0)) if not count else ()
    return PartsControl(
        name=f.name,
        label=r.text(f.label),
        rows=full + spare,
        blank=row("__n__", {}, False),
        error=r.text(errors.get(f.name, "")),
    )


def choice_words(f: Field, code: str, r: Reader) -> str:
    """The words for a code of a choice."""
    return r.text(f.choice_labels.get(code) or code.replace("_", " ")) if code else DASH


def show_raw(kind: Kind, value: Any, r: Reader) -> str:
    """A value as it stands in its field: what `read` understands again."""
    if value is None or value == "":
        return ""
    match kind:
        case Kind.FLAG:
            return "1" if value else "0"
        case Kind.TAGS:
            return ", ".join(value)
        case Kind.MONEY:
            return format_decimal(value, "#,##0.00##", locale=r.locale)
        case Kind.QUANTITY | Kind.PERCENT | Kind.RATE:
            return format_decimal(value, "#,##0.########", locale=r.locale)
        case Kind.DAY:
            return value.isoformat() if isinstance(value, date) else str(value)
        case Kind.INSTANT:
            return f"{value.astimezone(r.zone):%Y-%m-%dT%H:%M}" if isinstance(value, datetime) else str(value)
        case _:
            return str(value)


class Unreadable(ValueError):
    """What was typed is no such value; the text is the sentence for the field."""


def parse(
    fields: Iterable[Field], form: Mapping[str, str], r: Reader, *, new: bool, prefix: str = ""
) -> tuple[dict[str, Any], dict[str, str]]:
    """Values by field name, and a sentence per field that cannot be read. What the form does not hold is left out."""
    values: dict[str, Any] = {}
    errors: dict[str, str] = {}
    for f in fields:
        if f.read_only or not f.in_form or (f.fixed and not new):
            continue
        if f.kind is Kind.PARTS:
            got = _parse_parts(f, form, r, errors)
            if got is not None:
                values[f.name] = got
            continue
        name = prefix + f.name
        if name not in form:
            continue
        try:
            values[f.name] = _read_ref(form, name) if f.kind is Kind.REF else read(f, form[name], r)
            if f.required and values[f.name] in (None, "", []):
                errors[f.name] = _("This field is needed.")
        except Unreadable as unreadable:
            errors[f.name] = str(unreadable)
    return values, errors


def _read_ref(form: Mapping[str, str], name: str) -> str | None:
    key, text = form[name].strip(), form.get(f"{name}.text", "").strip()
    if not text and f"{name}.text" in form:
        return None
    if text and not key:
        raise Unreadable(_("Nothing is chosen yet: pick one from the list that opens while you type."))
    return key or None


def _parse_parts(f: Field, form: Mapping[str, str], r: Reader, errors: dict[str, str]) -> list[dict[str, Any]] | None:
    numbers = sorted({int(m[1]) for key in form if (m := re.match(rf"{f.name}\.(\d{{1,3}})\.", key))})
    if not numbers:
        return None
    if len(numbers) > PARTS_MAX:
        errors[f.name] = _("Too many lines.")
        return None
    found = []
    for n in numbers:
        part, wrong = parse(f.parts, form, r, new=True, prefix=f"{f.name}.{n}.")
        filled = any(v not in (None, "", False, []) for k, v in part.items() if _tells(f, k))
        key = form.get(f"{f.name}.{n}.id", "")
        if filled or (wrong and any(form.get(f"{f.name}.{n}.{k}", "").strip() for k in wrong)):
            errors.update({f"{f.name}.{n}.{k}": text for k, text in wrong.items()})
            found.append({**part, **({"id": key} if key else {})})
    return found


def _tells(f: Field, name: str) -> bool:
    """Does a value here mean that the line is meant? A kind or a country that is chosen by default does not."""
    part = next((p for p in f.parts if p.name == name), None)
    return part is not None and part.kind not in (Kind.CHOICE, Kind.COUNTRY, Kind.FLAG, Kind.CURRENCY)


def read(f: Field, text: str, r: Reader) -> Any:
    """One typed text as a value of the field's kind; raises `Unreadable` with a sentence (a message id)."""
    text = text.replace("\r\n", "\n") if f.kind is Kind.NOTE else text.strip()
    if len(text) > f.length_max:
        raise Unreadable(_("This text is too long."))
    if f.kind is Kind.FLAG:
        return text not in ("", "0")
    if f.kind is Kind.TAGS:
        return list(dict.fromkeys(t.strip() for t in text.split(",") if t.strip()))
    if f.kind in (Kind.TEXT, Kind.NOTE, Kind.LANGUAGE, Kind.OFFICE):
        return text
    if f.kind is Kind.COUNTRY or f.kind is Kind.CURRENCY:
        return text.upper()
    if f.kind is Kind.CHOICE:
        if text and text not in f.choices:
            raise Unreadable(_("Choose one from the list."))
        return text
    if not text:
        return None
    match f.kind:
        case Kind.DAY:
            return read_day(text)
        case Kind.TIME:
            if not re.fullmatch(r"([01]?\d|2[0-3]):[0-5]\d", text):
                raise Unreadable(_("Write a time of day such as 14:30."))
            return text.zfill(5)
        case Kind.INSTANT:
            return read_instant(text, r.zone)
        case Kind.INT:
            number = read_number(text, r)
            if number != number.to_integral_value():
                raise Unreadable(_("Write a whole number."))
            return int(number)
        case Kind.MONEY | Kind.QUANTITY | Kind.PERCENT | Kind.RATE:
            return read_number(text, r)
        case _:
            return text


def read_number(text: str, r: Reader) -> Decimal:
    """A number as the visitor writes it; the last of , and . is the decimal sign unless it plainly groups thousands."""
    bare = re.sub(r"[\s\u00a0\u202f'’%€$£₽]", "", text).replace("−", "-")
    point = r.locale.number_symbols.get("latn", r.locale.number_symbols).get("decimal", ".")
    group = "." if point == "," else ","
    if re.fullmatch(rf"-?\d{{1,3}}({re.escape(group)}\d{{3}})+", bare):
        bare = bare.replace(group, "")
    elif "," in bare and "." in bare:
        last = max(bare.rfind(","), bare.rfind("."))
        bare = re.sub(r"[.,]", "", bare[:last]) + "." + bare[last + 1 :]
    bare = bare.replace(",", ".")
    try:
        number = Decimal(bare)
    except InvalidOperation:
        raise Unreadable(_("Write a number such as 1250 or 12.50.")) from None
    if not number.is_finite() or abs(number) >= Decimal(10) ** 13:
        raise Unreadable(_("This number is too large."))
    return number


def read_day(text: str) -> date:
    """24.11.2026, 24.11.26 or 2026-11-24; an impossible date is told so."""
    if m := re.fullmatch(r"(\d{4})-(\d{1,2})-(\d{1,2})", text):
        year, month, day = (int(g) for g in m.groups())
    elif m := re.fullmatch(r"(\d{1,2})[./](\d{1,2})[./](\d{2}|\d{4})", text):
        day, month, year = (int(g) for g in m.groups())
        year += 2000 if year < 100 else 0
    else:
        raise Unreadable(_("Write a date such as 24.11.2026."))
    try:
        found = date(year, month, day)
    except ValueError:
        raise Unreadable(_("There is no such day in the calendar.")) from None
    if not 1800 <= found.year <= 2200:
        raise Unreadable(_("This year is too far away."))
    return found


def read_instant(text: str, zone: ZoneInfo) -> datetime:
    """2026-11-24T14:05, in the office's time."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise Unreadable(_("Write a date and a time such as 2026-11-24 14:05.")) from None
    return found if found.tzinfo else found.replace(tzinfo=zone)


def form_values(data: Mapping[str, Any]) -> dict[str, str]:
    """The text fields of a posted form; of a field that comes twice (a tick and its hidden 0) the last one."""
    pairs = data.items()
    return {key: value for key, value in pairs if isinstance(value, str)}
