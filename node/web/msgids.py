"""Every message id that the pages can show: the measure of a complete translation.

A test asserts that each language has them all; `python -m node.web.msgids` prints those that a language lacks, for
whoever adds a text.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from babel.messages.extract import extract_python
from jinja2.ext import babel_extract

import node.domain.all  # noqa: F401 (registers the concepts)
from node.domain.concept import CONCEPTS, RECORD_FIELDS, Field
from node.web.i18n import LANGUAGES, translations


def extracted() -> Iterator[tuple[str | tuple[str, str], str]]:
    """Every message id that the pages can show, with where it stands: templates, modules, the labels of concepts, and
    the fixed sentences of refusals. A pair is a singular and its plural.

    Words that users type in (names of stages, tags) are no message ids.
    """
    web = Path(__file__).parent
    for path in sorted((web / "templates").glob("*.html")):
        with path.open("rb") as handle:
            for line, function, message, _comments in babel_extract(handle, ("_", "ngettext"), [], {}):
                texts = [message] if isinstance(message, str) else [t for t in message or () if t is not None]
                where = f"templates/{path.name}:{line}"
                yield ((texts[0], texts[1]) if function == "ngettext" else texts[0]), where
    for path in sorted(web.glob("*.py")):
        with path.open("rb") as handle:
            found: Iterable[Any] = extract_python(handle, dict.fromkeys(("_", "count")), [], {})
            for line, function, message, _comments in found:
                if function == "count" and isinstance(message, tuple):
                    yield (str(message[0]), str(message[1])), f"{path.name}:{line}"
                elif isinstance(message, str) and message:
                    yield message, f"{path.name}:{line}"
    yield from _labels()
    node = web.parent
    for path in (
        *sorted((node / "domain").glob("*.py")),
        node / "conflicts.py",
        *sorted(web.glob("pages_*.py")),
        web / "auth.py",
    ):
        for text, line in _sentences(ast.parse(path.read_text(encoding="utf-8"))):
            yield text, f"{path.name}:{line}"


def _sentences(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """What a `raise` says in fixed words: its first argument, or the sentences of fields in it."""
    for raised in ast.walk(tree):
        if isinstance(raised, ast.Raise) and isinstance(raised.exc, ast.Call) and raised.exc.args:
            first = raised.exc.args[0]
            for value in first.values if isinstance(first, ast.Dict) else [first]:
                if isinstance(value, ast.Constant) and isinstance(value.value, str) and " " in value.value:
                    yield value.value, value.lineno


_REASONS = (  # that `node.domain.duplicates` gives for a pair
    "same phone number", "same e-mail address", "same tax number", "same name", "similar name", "same birthday",
    "similar birthday", "same address", "same place",
)  # fmt: skip


def _labels() -> Iterator[tuple[str, str]]:
    def of(fields: tuple[Field, ...], where: str) -> Iterator[tuple[str, str]]:
        for f in fields:
            for text in (f.label, f.group, f.help, *f.choice_labels.values()):
                if text:
                    yield text, where
            for choice in f.choices:
                if choice and choice not in f.choice_labels and len(choice) > 2:
                    yield choice.replace("_", " "), where
            yield from of(f.parts, where)

    for reason in _REASONS:
        yield reason, "duplicates"
    for concept in CONCEPTS.values():
        yield concept.label, concept.name
        yield concept.label_plural, concept.name
        yield from of((*concept.fields, *concept.extra_fields, *RECORD_FIELDS), concept.name)


def missing(language: str) -> list[tuple[str, str]]:
    """Message ids without a translation, each with where it stands."""
    known: dict[Any, str] = translations(language)._catalog  # type: ignore[attr-defined]
    lacking = []
    for message, where in extracted():
        one = message if isinstance(message, str) else message[0]
        if not known.get(one) and not known.get((one, 0)):
            lacking.append((one, where))
    return lacking


if __name__ == "__main__":
    for language in LANGUAGES:
        for text, place in missing(language) if language != "en" else []:
            sys.stdout.write(f"{language}: {place}: {text}\n")
