"""What arrives is what was sent, or it is refused."""

from __future__ import annotations

import datetime as dt
import io
import random
import struct
from decimal import Decimal
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from replication import wire
from replication.change import Block, Kind, Message, Other, Part, Reply
from replication.errors import BadMessage, BadSignature, ReplicationError, TooLarge, UnknownVersion

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
VALUES: list[Any] = [
    None, True, 0, -5, 1 << 62, 1.5, "", "Straße, улица", b"\x00\xff", Decimal("-12.50"), Decimal("1E+3"),
    dt.date(1999, 12, 31), dt.datetime(2026, 11, 24, 9, 0, 0, 123_000, tzinfo=dt.UTC),
]  # fmt: skip


def part(rows: int = len(VALUES)) -> Part:
    block = Block(
        table="customer",
        kind=Kind.UPDATE,
        columns=("value", "town"),
        ids=[f"{i:016}" for i in range(rows)],
        numbers=[7 + i for i in range(rows)],
        seqs=list(range(rows, 0, -1)),
        authors=[i % 2 for i in range(rows)],
        ats=[-10_000 + i for i in range(rows)],
        values=[[VALUES[i % len(VALUES)] for i in range(rows)], ["Bremen"] * rows],
        agreed=5,
        others={rows - 1: [Other("town", 3, 1, 2, 4, "0000000000000009")]},
    )
    return Part(blocks=[block], authors=[("north", 1, "anna", "web"), ("south", 2, "борис", "import")])


def message(*parts: Part) -> Message:
    return Message(
        office="north", life=1, schema="abc", at=9, history=((1, 5), (2, 7)), page=8, written={1: 5, 2: 6},
        acked={1: 4}, recovering=2, waiting=3, parts=parts,
    )  # fmt: skip


def sent(*parts: Part, key: Ed25519PrivateKey = KEY) -> list[bytes]:
    return list(wire.encode_message(message(*parts), key))


def received(data: bytes) -> tuple[Message, list[Part]]:
    found = wire.decode_message(io.BytesIO(data), lambda office: KEY.public_key())
    return found, list(found.parts)


def test_a_message_arrives_as_it_was_sent_with_every_kind_of_value() -> None:
    found, parts = received(b"".join(sent(part(), part(1))))
    assert parts == [part(), part(1)]
    found.parts, wanted = (), message()
    assert found == wanted
    assert [type(v) for v in parts[0].blocks[0].values[0]] == [type(v) for v in VALUES]


def test_a_reply_arrives_as_it_was_sent() -> None:
    reply = Reply(
        life=1, history=((1, 5),), recovering=0, timeline=2, acked={1: 9}, watermark=5, page=6, asked_page=5,
        schema="abc", at=3, more=True, remaining=4, recover=False, safe_revision=2, safe_acked={1: 2}, parts=[part()],
    )  # fmt: skip
    found = wire.decode_reply(io.BytesIO(b"".join(wire.encode_reply(reply, KEY))), KEY.public_key())
    found.parts = list(found.parts)
    assert found == reply


def test_no_frame_can_be_changed_left_out_moved_repeated_or_followed() -> None:
    head, first, second, third = sent(part(1), part(2), part(3))
    yesterday = message(part(1), part(2), part(3))
    yesterday.at -= 1
    another = next(wire.encode_message(yesterday, KEY))
    for frames in (
        [head, second, third],
        [head, second, first, third],
        [head, first, first, second, third],
        [head, first, second],
        [head, first, second, third, third],
        [first, second, third],
        [another, first, second, third],
    ):
        with pytest.raises(BadMessage):
            received(b"".join(frames))
    other = Ed25519PrivateKey.from_private_bytes(bytes(32))
    with pytest.raises(BadSignature):
        received(b"".join(sent(part(1), key=other)))
    with pytest.raises(BadMessage):
        wire.decode_reply(io.BytesIO(b"".join(sent(part(1)))), KEY.public_key())


def test_whatever_is_damaged_is_refused_and_nothing_else_happens() -> None:
    good = b"".join(sent(part(), part(2)))
    rng = random.Random(1)
    for _ in range(3_000):
        bad = bytearray(good)
        kind = rng.randrange(3)
        if kind == 0:
            bad[rng.randrange(len(bad))] ^= 1 << rng.randrange(8)
        elif kind == 1:
            del bad[rng.randrange(len(bad)) :]
        else:
            at = rng.randrange(len(bad))
            bad[at : at + rng.randrange(9)] = rng.randbytes(rng.randrange(9))
        if bytes(bad) != good:
            with pytest.raises(BadMessage):
                received(bytes(bad))


def test_a_signed_part_of_a_wrong_shape_is_refused_too() -> None:
    """The sender has a key, but means harm or is broken."""
    rng = random.Random(2)
    refused = 0
    for _ in range(2_000):
        plain = wire.unpack(wire.pack(wire._plain_part(part(4))))
        where, parent = plain, None
        while isinstance(where, list) and where and (parent is None or rng.random() < 0.8):
            index = rng.randrange(len(where))
            parent, place, where = where, index, where[index]
        assert parent is not None
        parent[place] = rng.choice([None, -1, 1 << 63, "x" * 300, [], {}, [[]], b"", 1.5, True])
        try:
            wire.part_of(wire.unpack(wire.pack(plain)))
        except BadMessage:
            refused += 1
    assert refused > 500


def test_limits_hold_before_memory_is_taken() -> None:
    head = sent(part(1))[0]
    with pytest.raises(TooLarge):
        received(struct.pack(">I", wire.FRAME_BYTES_MAX + 1) + head[4:])
    bomb = wire.compress(bytes(wire.BODY_BYTES_MAX + 1))
    with pytest.raises(TooLarge):
        wire.decompress(bomb)
    with pytest.raises(BadMessage):
        wire.decompress(b"no zstd at all")


def test_a_newer_format_says_so() -> None:
    body = wire.compress(wire.pack([wire.FORMAT + 1, "message", 0, True, []]))
    with pytest.raises(UnknownVersion, match="format 2"):
        received(struct.pack(">I", len(body)) + bytes(64) + body)


def test_errors_are_sentences_for_people() -> None:
    for leaf in ReplicationError.__subclasses__():
        assert str(leaf()).endswith("."), leaf
