"""The join code: one line of text by which a new office finds head office, knows it, and is known by it.

It carries the office's code, the addresses of the centre's exchange listener, the SHA-256 of the centre's root
certificate (so nobody else can answer in its place) and a secret of 160 bits. It is spelled in Crockford's base 32 in
groups of five, so that it survives an e-mail's line breaks and a telephone; a checksum tells a slip from a wrong code.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from node.errors import BadInput
from node.ids import ALPHABET

SECRET_BYTES = 20
PIN_BYTES = 32
CHECK_BYTES = 4
TEXT_MAX = 2000  # characters of a code
URLS_MAX = 5
_FORM = 1
_LOOKALIKE = str.maketrans({"I": "1", "L": "1", "O": "0", "-": None})


class BadCode(BadInput):
    """This is no join code, or it was mistyped. Copy the whole line that “kogge invite” printed at head office."""

    code = "bad_code"
    exit_code = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinCode:
    """What a code says. `urls`: of the exchange listener, "https://host:port"."""

    office: str
    urls: tuple[str, ...]
    pin: bytes
    secret: bytes = field(repr=False)


def spell(code: JoinCode) -> str:
    """The code as one line of text."""
    assert len(code.secret) == SECRET_BYTES, "a secret of another length"
    assert len(code.pin) == PIN_BYTES, "a pin of another length"
    body = bytes([_FORM]) + code.secret + code.pin + "\n".join((code.office, *code.urls)).encode()
    text = _encode(body + _check(body))
    return "-".join(text[i : i + 5] for i in range(0, len(text), 5))


def parse(text: str) -> JoinCode:
    """Read a code, forgiving case, spaces, hyphens and look-alikes. Raise BadCode with a sentence."""
    plain = "".join(text.split()).upper().translate(_LOOKALIKE)
    if not plain:
        raise BadCode("The join code is empty. Copy the whole line that “kogge invite” printed at head office.")
    wrong = next((c for c in plain if c not in ALPHABET), None)
    if wrong is not None or len(plain) > TEXT_MAX:
        reason = f"it contains “{wrong}”" if wrong else "it is too long"
        raise BadCode(f"This is no join code: {reason}. Copy the line that “kogge invite” printed at head office.")
    data = _decode(plain)
    body, check = data[:-CHECK_BYTES], data[-CHECK_BYTES:]
    if len(body) <= 1 + SECRET_BYTES + PIN_BYTES or _check(body) != check:
        raise BadCode(
            "The join code was mistyped or is not complete. Copy the whole line that “kogge invite” printed at "
            "head office."
        )
    if body[0] != _FORM:
        raise BadCode("The join code is of a newer version of Kogge. Install that version here first.")
    office, *urls = body[1 + SECRET_BYTES + PIN_BYTES :].decode(errors="replace").split("\n")
    if not office or not urls or not all(url.startswith("https://") for url in urls):
        raise BadCode("The join code names no address of head office. Ask there for a new one.")
    return JoinCode(
        office=office,
        urls=tuple(urls[:URLS_MAX]),
        pin=body[1 + SECRET_BYTES : 1 + SECRET_BYTES + PIN_BYTES],
        secret=body[1 : 1 + SECRET_BYTES],
    )


def secret_hash(secret: bytes) -> str:
    """What the centre keeps of a secret: 160 random bits need no slow hash."""
    return hashlib.sha256(b"kogge invitation" + secret).hexdigest()


def _check(body: bytes) -> bytes:
    return hashlib.sha256(b"kogge join code" + body).digest()[:CHECK_BYTES]


def _encode(data: bytes) -> str:
    bits = len(data) * 8
    pad = -bits % 5
    number = int.from_bytes(data, "big") << pad
    return "".join(ALPHABET[number >> shift & 31] for shift in range(bits + pad - 5, -1, -5))


def _decode(text: str) -> bytes:
    number = 0
    for c in text:
        number = number << 5 | ALPHABET.index(c)
    spare = len(text) * 5 % 8
    return (number >> spare).to_bytes(len(text) * 5 // 8, "big")
