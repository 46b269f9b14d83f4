"""The words of the pages in the user's language.

The English text is the message id, so a page is readable where it is written. Translations lie in
`node/locale/<language>/LC_MESSAGES/kogge.po`; `python -m node.web.i18n compile` makes the `.mo` files at set-up. Where
such a file is missing or older than its source, the source itself is read, so that a fresh tree needs no build step.
"""

from __future__ import annotations

import gettext
import io
import sys
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from babel import Locale, UnknownLocaleError
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

LANGUAGES: dict[str, str] = {"de": "Deutsch", "en": "English", "ru": "Русский"}  # each in its own words
FALLBACK = "en"
LOCALE_DIR = Path(__file__).parent.parent / "locale"


def _(message: str) -> str:
    """Mark a text of a module for translation; it is translated where it is shown."""
    return message


def choose(*wishes: str | None) -> str:
    """The first of the wishes (language codes, or an Accept-Language header) that we speak."""
    for wish in wishes:
        for part in (wish or "").split(",")[:20]:
            code = part.split(";")[0].strip().lower()[:2]
            if code in LANGUAGES:
                return code
    return FALLBACK


@lru_cache
def translations(language: str) -> gettext.NullTranslations:
    """The texts of one language; English and unknown languages give the message ids back."""
    source = LOCALE_DIR / language / "LC_MESSAGES" / "kogge.po"
    if language not in LANGUAGES or not source.exists():
        return gettext.NullTranslations()
    compiled = source.with_suffix(".mo")
    if compiled.exists() and compiled.stat().st_mtime >= source.stat().st_mtime:
        return gettext.GNUTranslations(io.BytesIO(compiled.read_bytes()))
    return gettext.GNUTranslations(io.BytesIO(_compiled(source)))


@lru_cache
def locale_of(language: str, country: str = "") -> Locale:
    """The locale for dates and numbers: the language as spoken in that country, if there is such a thing."""
    if country:
        try:
            return Locale.parse(f"{language}_{country.upper()}")
        except (ValueError, UnknownLocaleError):
            pass
    return Locale.parse({"en": "en_GB", "de": "de_DE", "ru": "ru_RU"}.get(language, "en_GB"))


def compile_all() -> Iterator[tuple[Path, int]]:
    """Write every `.mo`; gives each file with the number of its messages."""
    for source in sorted(LOCALE_DIR.glob("*/LC_MESSAGES/kogge.po")):
        target = source.with_suffix(".mo")
        target.write_bytes(_compiled(source))
        with target.open("rb") as handle:
            count = len(gettext.GNUTranslations(handle)._catalog)  # type: ignore[attr-defined]
        yield target, count


def _compiled(source: Path) -> bytes:
    with source.open("rb") as handle:
        catalog = read_po(handle, locale=source.parent.parent.name)
    out = io.BytesIO()
    write_mo(out, catalog)
    return out.getvalue()


def main(arguments: list[str]) -> int:
    """`compile` is the one command; 2 for anything else."""
    if arguments != ["compile"]:
        sys.stderr.write("usage: python -m node.web.i18n compile\n")
        return 2
    for target, count in compile_all():
        sys.stdout.write(f"{target.parent.parent.name}: {count} messages\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
