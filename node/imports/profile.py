"""Mapping profiles: a readable file that says which columns become which fields.

    name = "our old address book"

    [[file]]                              # one of these per source file, in the order in which they are imported
    name = "customers*.csv"               # how the file is called; * and ? as in a shell
    decimal = ","                         # of its numbers (default ".")
    date = "%d.%m.%Y"                     # of its days (default: 2026-11-24 and 24.11.2026)

    [[file.make]]                         # what each row becomes; may stand several times
    concept = "companies"
    key = "customerNumber"                # becomes external_code; by it the next import finds the record again
    when = "customerName"                 # only rows in which this column is not empty

    [file.make.fields]
    name = "customerName"                                             # a column
    kind = { value = "customer" }                                     # always the same
    industry = { column = "branch", map = { A = "Retail" }, otherwise = "Other" }
    country = { column = "country", as = "country" }                  # Germany, Deutschland, DE → DE
    credit_limit = { column = "limit", as = "decimal", default = "0" }
    owner = { column = "rep", lookup = "users", by = "external_code" }
    office = { column = "rep", lookup = "users", take = "office" }    # a field of the record that was found
    tags = { column = "tags", split = ";" }
    phones = [ { value = "phone", kind = { value = "phone" } } ]      # parts, one table each
    lines = { from = "details.csv", on = "orderNumber", sort = "line", fields = { … } }   # rows of another file
    notes = { join = ["a", "b"], with = ", " }                        # those that are not empty
    external_code = { text = "contact-{customerNumber}" }

Further keys of a rule: `once` (only when the record is new), `unique` (as `once`; 2, 3 … is appended if another record
has the value), `optional` (a look-up that finds nothing leaves the field empty). Instead of `key`, `match` names the
fields by which a record is found again. `then = ["post"]` posts the document. An empty cell leaves what is stored.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from node.imports.errors import BadProfile, MissingColumn

BESIDE = "kogge-import.toml"
SHIPPED = Path(__file__).parent / "profiles"
CONVERSIONS = ("text", "date", "decimal", "int", "flag", "country", "login", "name")
ACTIONS = ("post",)
_PLACEHOLDER = re.compile(r"\{([^{}]+)\}")
_SOURCES = ("column", "join", "text", "value")
_RULE_KEYS = (
    *_SOURCES, "with", "as", "format", "decimal", "map", "otherwise", "default", "lookup", "by", "take", "split",
    "once", "unique", "optional",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """How one field gets its value from a row."""

    columns: tuple[str, ...] = ()
    joiner: str | None = None  # None: the one column
    text: str = ""  # a template with {column}
    value: Any = None  # a constant
    convert: str = "text"
    format: str = ""
    decimal: str = ""
    choices: Mapping[str, Any] | None = None
    otherwise: Any = None
    default: Any = None
    lookup: str = ""  # name of a concept
    by: str = "external_code"
    take: str = "id"
    split: str = ""
    once: bool = False
    unique: bool = False
    optional: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """A field that holds parts, each made from the same row. A part whose columns are all empty is not made."""

    each: tuple[Mapping[str, Rule], ...]
    once: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Children:
    """A field that holds parts made from the rows of another file."""

    file: str
    on: str  # the column there
    to: str  # the column here
    sort: str
    fields: Mapping[str, Rule]


@dataclass(frozen=True, slots=True, kw_only=True)
class Make:
    """What a row becomes. `match`: the fields by which the record is found again."""

    concept: str
    match: tuple[str, ...]
    fields: Mapping[str, Rule | Parts | Children]
    when: str = ""
    then: tuple[str, ...] = ()

    def columns(self) -> dict[str, str]:
        """Every column that is read of the file itself → the field that it is for."""
        read: dict[str, str] = {self.when: "when"} if self.when else {}
        for name, rule in self.fields.items():
            if isinstance(rule, Rule):
                read.update(dict.fromkeys(rule.columns, name))
            elif isinstance(rule, Parts):
                read.update({c: name for part in rule.each for r in part.values() for c in r.columns})
            else:
                read[rule.to] = name
        return read


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One file and what it makes."""

    name: str
    sheet: str = ""
    encoding: str = ""
    delimiter: str = ""
    decimal: str = "."
    date: str = ""
    makes: tuple[Make, ...] = ()

    def fits(self, file: str) -> bool:
        """Is the file called so?"""
        return fnmatchcase(file.lower(), self.name.lower())


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """A whole profile."""

    name: str
    sources: tuple[Source, ...]
    where: str = ""  # the file it was read from
    headers: tuple[str, ...] = field(default=())  # all of these make a file recognisable without its name


def read_profile(path: Path) -> Profile:
    """The profile in a TOML file. Raise BadProfile."""
    try:
        content = tomllib.loads(path.read_text("utf-8-sig"))
    except OSError as error:
        raise BadProfile(f"The profile {path} cannot be read: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadProfile(f"The profile {path.name} is no TOML: {error}.") from error
    return parse_profile(content, path.name)


def parse_profile(content: Mapping[str, Any], where: str) -> Profile:
    """The profile of a parsed TOML document. Raise BadProfile, naming the entry."""
    _only(content, ("name", "about", "headers", "file"), where)
    sources = tuple(_source(one, f"{where}, file {n}") for n, one in enumerate(_list(content.get("file"), where), 1))
    if not sources:
        raise BadProfile(f"{where} names no file: it needs at least one [[file]].")
    return Profile(
        name=str(content.get("name", where)), sources=sources, where=where, headers=tuple(content.get("headers", ()))
    )


def shipped() -> list[Profile]:
    """The profiles that come with Kogge, by name."""
    return [read_profile(path) for path in sorted(SHIPPED.glob("*.toml"))]


def check_columns(
    source: Source, file: str, headers: Sequence[str], child_headers: Mapping[str, Sequence[str]]
) -> None:
    """Raise MissingColumn, with the nearest headers, where the profile reads a column that is not there."""
    for make in source.makes:
        for column, name in make.columns().items():
            _column(column, headers, file, f"{make.concept}.{name}")
        for name, rule in make.fields.items():
            if isinstance(rule, Children) and rule.file in child_headers:
                wanted = [rule.on, rule.sort, *(c for r in rule.fields.values() for c in r.columns)]
                for column in filter(None, wanted):
                    _column(column, child_headers[rule.file], rule.file, f"{make.concept}.{name}")


def _column(column: str, headers: Sequence[str], file: str, use: str) -> None:
    if column in headers:
        return
    near = nearest(column, [h for h in headers if h])
    hint = f"The nearest are: {', '.join(f'“{n}”' for n in near)}." if near else "It has no named columns."
    raise MissingColumn(f"{file} has no column “{column}”, which is read for {use}. {hint}", column=column, near=near)


def nearest(word: str, words: Iterable[str]) -> list[str]:
    """Up to three of the words, the most alike first."""
    from rapidfuzz import fuzz, process, utils

    found = process.extract(word, list(words), scorer=fuzz.WRatio, processor=utils.default_process, limit=3)
    return [match[0] for match in found]


def _source(one: Any, where: str) -> Source:
    content = _table(one, where)
    _only(content, ("name", "sheet", "encoding", "delimiter", "decimal", "date", "make"), where)
    name = _text(content, "name", where)
    where = f"{where} ({name})"
    makes = tuple(_make(m, f"{where}, make {n}") for n, m in enumerate(_list(content.get("make"), where), 1))
    if content.get("decimal", ".") not in (".", ",", "auto"):
        raise BadProfile(f'{where}: decimal is "." or ",".')
    return Source(
        name=name, makes=makes, sheet=content.get("sheet", ""), encoding=content.get("encoding", ""),
        delimiter=content.get("delimiter", ""), decimal=content.get("decimal", "."), date=content.get("date", ""),
    )  # fmt: skip


def _make(one: Any, where: str) -> Make:
    content = _table(one, where)
    _only(content, ("concept", "key", "match", "when", "then", "fields"), where)
    concept = _text(content, "concept", where)
    where = f"{where} ({concept})"
    fields = {name: _field(f, f"{where}, {name}") for name, f in _table(content.get("fields"), where).items()}
    match = tuple(content.get("match", ()))
    if "key" in content:
        fields["external_code"] = Rule(columns=(_text(content, "key", where),))
    if not match and "external_code" in fields:
        match = ("external_code",)
    if not match:
        raise BadProfile(f"{where} needs `key` (a column) or `match` (fields), or each import would make new records.")
    for name in match:
        if not isinstance(fields.get(name), Rule):
            raise BadProfile(f"{where}: `match` names the field “{name}”, which is not among the fields.")
    then = tuple(content.get("then", ()))
    for action in then:
        if action not in ACTIONS:
            raise BadProfile(f"{where}: there is no action “{action}”. There is: {', '.join(ACTIONS)}.")
    return Make(concept=concept, match=match, fields=fields, when=content.get("when", ""), then=then)


def _field(one: Any, where: str) -> Rule | Parts | Children:
    if isinstance(one, list):
        return Parts(each=tuple({k: _rule(r, f"{where}.{k}") for k, r in _table(p, where).items()} for p in one))
    if isinstance(one, Mapping) and "from" in one:
        _only(one, ("from", "on", "to", "sort", "fields"), where)
        on = _text(one, "on", where)
        fields = {k: _rule(r, f"{where}.{k}") for k, r in _table(one.get("fields"), where).items()}
        return Children(
            file=_text(one, "from", where), on=on, to=one.get("to", on), sort=one.get("sort", ""), fields=fields
        )
    if isinstance(one, Mapping) and "each" in one:
        _only(one, ("each", "once"), where)
        parts = _field(one["each"], where)
        assert isinstance(parts, Parts)
        return Parts(each=parts.each, once=bool(one.get("once")))
    return _rule(one, where)


def _rule(one: Any, where: str) -> Rule:
    if isinstance(one, str):
        return Rule(columns=(one,))
    content = _table(one, where)
    _only(content, _RULE_KEYS, where)
    sources = [key for key in _SOURCES if key in content]
    if len(sources) != 1:
        raise BadProfile(f"{where} needs exactly one of column, join, text, value.")
    convert = content.get("as", "text")
    if convert not in CONVERSIONS:
        raise BadProfile(f"{where}: there is no conversion “{convert}”. There are: {', '.join(CONVERSIONS)}.")
    text = content.get("text", "")
    columns: tuple[str, ...] = tuple(content.get("join", ())) or tuple(_PLACEHOLDER.findall(text))
    if "column" in content:
        columns = (_text(content, "column", where),)
    choices = content.get("map")
    return Rule(
        columns=columns, joiner=content.get("with", " ") if "join" in content else None, text=text,
        value=content.get("value"), convert=convert, format=content.get("format", ""),
        decimal=content.get("decimal", ""), choices=None if choices is None else dict(_table(choices, where)),
        otherwise=content.get("otherwise"), default=content.get("default"), lookup=content.get("lookup", ""),
        by=content.get("by", "external_code"), take=content.get("take", "id"), split=content.get("split", ""),
        once=bool(content.get("once") or content.get("unique")), unique=bool(content.get("unique")),
        optional=bool(content.get("optional")),
    )  # fmt: skip


def fill(template: str, row: Mapping[str, str]) -> str:
    """The template with the cells in place of {column}; empty where all of them are."""
    if not any(row.get(column) for column in _PLACEHOLDER.findall(template)):
        return ""
    return _PLACEHOLDER.sub(lambda m: row.get(m.group(1), ""), template)


def _only(content: Mapping[str, Any], known: Iterable[str], where: str) -> None:
    known = list(known)
    for key in content:
        if key not in known:
            near = nearest(key, known)
            raise BadProfile(f"{where}: nobody knows “{key}”. Perhaps {' or '.join(f'“{n}”' for n in near)}?")


def _text(content: Mapping[str, Any], key: str, where: str) -> str:
    found = content.get(key)
    if not isinstance(found, str) or not found:
        raise BadProfile(f"{where} needs `{key}`, a text.")
    return found


def _table(content: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(content, Mapping):
        raise BadProfile(f"{where} should be a table of keys and values.")
    return content


def _list(content: Any, where: str) -> list[Any]:
    if content is None:
        return []
    if not isinstance(content, list):
        raise BadProfile(f"{where}: write [[file]] and [[file.make]] with two brackets.")
    return content
