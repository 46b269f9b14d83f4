"""The exchange in bytes: frames of msgpack, compressed with zstd, each part signed together with what preceded it.

stream  = frame*            frame = length (4 bytes, big-endian) + signature (64 bytes) + body
body    = zstd(msgpack([format, direction, place, last, content]))

The first frame holds the head of a message or reply, every further one a part. A signature covers the SHA-256 of all
bodies so far, so no frame can be taken out, repeated, moved or put into another stream. Values travel as they lie in
the database: None, bool, int, float, str, bytes; date, datetime and Decimal as msgpack extensions. Nothing that arrives
is trusted before its signature, its size and its shape have been checked.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import struct
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal, InvalidOperation
from itertools import accumulate
from operator import sub
from typing import Any, BinaryIO

import msgpack
import zstandard
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from replication.change import ROWS_MAX, Author, Block, Kind, Message, Other, Part, Reply
from replication.errors import BadMessage, BadSignature, TooLarge, UnknownVersion
from replication.pause import no_collection

FORMAT = 1
FRAME_BYTES_MAX = 32 * 1024 * 1024  # compressed
BODY_BYTES_MAX = 128 * 1024 * 1024  # unpacked: 10,000 rows of 12 KB
PARTS_MAX = 100_000
LEVEL = 3

MESSAGE, REPLY = "message", "reply"
_DECIMAL, _DATE, _DATETIME = 1, 2, 3
_INT_MAX = 1 << 63


# --- streams --------------------------------------------------------------------------------------------------------


def encode_message(message: Message, key: Ed25519PrivateKey) -> Iterator[bytes]:
    """The frames of a message, signed by the office; each is made when it is asked for."""
    head = [
        message.office, message.life, message.schema, message.at, message.history, message.page, message.written,
        message.acked, message.recovering, message.waiting,
    ]  # fmt: skip
    return _encode(MESSAGE, head, message.parts, key)


def encode_reply(reply: Reply, key: Ed25519PrivateKey) -> Iterator[bytes]:
    """The frames of a reply, signed by the hub."""
    head = [
        reply.life, reply.history, reply.recovering, reply.timeline, reply.acked, reply.watermark, reply.page,
        reply.asked_page, reply.schema, reply.at, reply.more, reply.remaining, reply.recover, reply.safe_revision,
        reply.safe_acked,
    ]  # fmt: skip
    return _encode(REPLY, head, reply.parts, key)


KeyOf = Callable[[str], Ed25519PublicKey]


def decode_message(stream: BinaryIO, key_of: KeyOf) -> Message:
    """Read the head; the parts are read from the stream while they are walked.

    `key_of` gives the public key of an office, or raises what the caller wants to see (UnknownOffice). Raise BadMessage
    or a subclass, also while the parts are walked: then roll back.
    """
    frames = _Frames(stream, MESSAGE)
    head = frames.head(10, lambda content: key_of(_text(content[0], 64)))
    return Message(
        office=_text(head[0], 64),
        life=_int(head[1]),
        schema=_text(head[2], 64),
        at=_int(head[3]),
        history=_history(head[4]),
        page=_int(head[5]),
        written=_seqs(head[6]),
        acked=_seqs(head[7]),
        recovering=_int(head[8]),
        waiting=_int(head[9]),
        parts=frames.parts(),
    )


def decode_reply(stream: BinaryIO, key: Ed25519PublicKey) -> Reply:
    """Likewise for a reply, which only the hub can have signed."""
    frames = _Frames(stream, REPLY)
    head = frames.head(15, lambda _: key)
    return Reply(
        life=_int(head[0]),
        history=_history(head[1]),
        recovering=_int(head[2]),
        timeline=_int(head[3]),
        acked=_seqs(head[4]),
        watermark=_int(head[5]),
        page=_int(head[6]),
        asked_page=_int(head[7]),
        schema=_text(head[8], 64),
        at=_int(head[9]),
        more=_bool(head[10]),
        remaining=_int(head[11]),
        recover=_bool(head[12]),
        safe_revision=_int(head[13]),
        safe_acked=_seqs(head[14]),
        parts=frames.parts(),
    )


def _encode(direction: str, head: list[Any], parts: Iterable[Part], key: Ed25519PrivateKey) -> Iterator[bytes]:
    chain = hashlib.sha256(direction.encode())
    before: Any = head
    place = 0
    for part in parts:
        yield _frame(chain, direction, place, False, before, key)
        place, before = place + 1, _plain_part(part)
    yield _frame(chain, direction, place, True, before, key)


def _frame(chain: Any, direction: str, place: int, last: bool, content: Any, key: Ed25519PrivateKey) -> bytes:
    body = compress(pack([FORMAT, direction, place, last, content]))
    chain.update(body)
    return struct.pack(">I", len(body)) + key.sign(chain.digest()) + body


class _Frames:
    def __init__(self, stream: BinaryIO, direction: str) -> None:
        self._stream, self._direction = stream, direction
        self._chain = hashlib.sha256(direction.encode())
        self._place, self._last = 0, False
        self._key: Ed25519PublicKey | None = None

    def head(self, size: int, key_of: Callable[[list[Any]], Ed25519PublicKey]) -> list[Any]:
        head = self._next(size, key_of)
        return _list(head, size, size)

    def parts(self) -> Iterator[Part]:
        while not self._last:
            if self._place > PARTS_MAX:
                raise TooLarge(f"The stream has more than {PARTS_MAX} parts.")
            with no_collection():
                part = part_of(self._next(0, None))
            yield part
        if self._stream.read(1):
            raise BadMessage("Something follows after the end of the stream.")

    def _next(self, size: int, key_of: Callable[[list[Any]], Ed25519PublicKey] | None) -> Any:
        header = _exactly(self._stream, 68)
        length = struct.unpack(">I", header[:4])[0]
        if length > FRAME_BYTES_MAX:
            raise TooLarge(f"A part has {length} bytes; {FRAME_BYTES_MAX} are allowed.")
        body = _exactly(self._stream, length)
        self._chain.update(body)
        if key_of is None:
            assert self._key is not None
            self._verify(header[4:], self._key)
            content = _content(body)
        else:  # who has signed stands in what is signed
            content = _content(body)
            self._key = key_of(_list(content[4], size, size))
            self._verify(header[4:], self._key)
        version, direction, place, last, inner = content
        if version != FORMAT:
            raise UnknownVersion(f"The other side speaks format {version}; this node knows {FORMAT}.")
        if direction != self._direction or place != self._place:
            raise BadMessage("The parts of the stream are not in order.")
        self._place, self._last = self._place + 1, _bool(last)
        return inner

    def _verify(self, signature: bytes, key: Ed25519PublicKey) -> None:
        try:
            key.verify(signature, self._chain.digest())
        except InvalidSignature:
            raise BadSignature from None


def _exactly(stream: BinaryIO, size: int) -> bytes:
    pieces, missing = [], size
    while missing:
        piece = stream.read(min(missing, 1 << 20))
        if not piece:
            raise BadMessage("The stream ends in the middle of a part.")
        pieces.append(piece)
        missing -= len(piece)
    return b"".join(pieces)


def _content(body: bytes) -> list[Any]:
    content = _list(unpack(decompress(body)), 5, 5)
    if content[0] != FORMAT and isinstance(content[0], int):
        raise UnknownVersion(f"The other side speaks format {content[0]}; this node knows {FORMAT}.")
    return content


# --- parts ----------------------------------------------------------------------------------------------------------


def pack_part(part: Part) -> bytes:
    """A part for keeping: compressed, unsigned."""
    return compress(pack(_plain_part(part)))


def unpack_part(data: bytes) -> Part:
    return part_of(unpack(decompress(data)))


def _plain_part(part: Part) -> list[Any]:
    assert part.rows <= ROWS_MAX * 2, "a part is too large"
    return [part.authors, part.echo, [_plain_block(block) for block in part.blocks]]


def _plain_block(block: Block) -> list[Any]:
    others = {index: [list(other) for other in found] for index, found in block.others.items()}
    return [
        block.table, int(block.kind), block.columns, _short_ids(block.ids), _steps(block.numbers), _steps(block.seqs),
        _steps(block.authors), _steps(block.ats), [_short(column) for column in block.values], others, block.agreed,
    ]  # fmt: skip


def part_of(plain: Any) -> Part:
    """Check everything; raise BadMessage."""
    authors, echo, blocks = _list(plain, 3, 3)
    part = Part(
        authors=[_author(author) for author in _list(authors, 0, ROWS_MAX * 8)],
        echo=_bool(echo),
        blocks=[],
    )
    rows = 0
    for block in _list(blocks, 0, ROWS_MAX * 2):
        part.blocks.append(_block(block, len(part.authors)))
        rows += len(part.blocks[-1].ids)
        if rows > ROWS_MAX * 2:
            raise TooLarge(f"A part has more than {ROWS_MAX * 2} rows.")
    return part


def _block(plain: Any, authors: int) -> Block:
    table, kind, columns, ids, numbers, seqs, by, ats, values, others, agreed = _list(plain, 11, 11)
    if type(kind) is not int or kind not in (0, 1, 2, 3):
        raise BadMessage("A block is of an unknown kind.")
    keys = _long_ids(ids)
    count = len(keys)
    block = Block(
        table=_text(table, 128),
        kind=Kind(kind),
        columns=tuple(_text(column, 128) for column in _list(columns, 0, 64)),
        ids=keys,
        numbers=_sums(numbers, count),
        seqs=_sums(seqs, count),
        authors=_sums(by, count),
        ats=_sums(ats, count, -_INT_MAX),  # a clock may stand before 1970
        values=[_long(column, count) for column in _list(values, 0, 64)],
        agreed=None if agreed is None else _int(agreed),
    )
    if len(block.values) != len(block.columns) or len(set(block.columns)) != len(block.columns):
        raise BadMessage("A block has not one list of values for each column.")
    if len(set(keys)) != count and kind != Kind.UPDATE:
        raise BadMessage("A block names a row twice.")
    if any(not 0 <= author < authors for author in block.authors):
        raise BadMessage("A block names an author who is not listed.")
    if not isinstance(others, dict) or len(others) > count:
        raise BadMessage("The exceptions of a block are not a map.")
    for index, found in others.items():
        if not 0 <= _int(index) < count:
            raise BadMessage("An exception belongs to no row.")
        block.others[index] = [_other(other, authors, block.columns) for other in _list(found, 0, 64)]
    return block


def _other(plain: Any, authors: int, columns: tuple[str, ...]) -> Other:
    column, number, author, seq, at, origin = _list(plain, 6, 6)
    if _text(column, 128) not in columns or not 0 <= _int(author) < authors:
        raise BadMessage("An exception names a column or an author that is not listed.")
    return Other(column, _int(number), author, _int(seq), _int(at), None if origin is None else _text(origin, 64))


def _author(plain: Any) -> Author:
    office, life, actor, cause = _list(plain, 4, 4)
    return _text(office, 64), _int(life), _text(actor, 256), _text(cause, 256)


def _short_ids(ids: list[str]) -> Any:
    """Ids of equal length become one text."""
    length = len(ids[0]) if ids else 0
    return [length, "".join(ids)] if length and all(len(key) == length for key in ids) else [0, ids]


def _long_ids(plain: Any) -> list[str]:
    length, ids = _list(plain, 2, 2)
    if length == 0:
        return [_text(key, 64) for key in _list(ids, 0, ROWS_MAX * 2)]
    if not isinstance(length, int) or not 0 < length <= 64 or not isinstance(ids, str) or len(ids) % length:
        raise BadMessage("The ids of a block do not have the length that it names.")
    if len(ids) // length > ROWS_MAX * 2:
        raise TooLarge(f"A block has more than {ROWS_MAX * 2} rows.")
    return [ids[i : i + length] for i in range(0, len(ids), length)]


def _steps(numbers: list[int]) -> list[int]:
    """Differences from one to the next: mostly the same small number, which costs next to nothing compressed."""
    return list(map(sub, numbers, [0, *numbers]))


def _sums(plain: Any, count: int, least: int = 0) -> list[int]:
    steps = _list(plain, count, count)
    if not set(map(type, steps)) <= {int}:
        raise BadMessage("A number is not a whole number.")
    result = list(accumulate(steps))
    if result and not least <= min(result) <= max(result) < _INT_MAX:
        raise BadMessage("A number is out of range.")
    return result


def _short(column: list[Any]) -> list[Any]:
    """A column that has everywhere the same value is sent as that value."""
    first = column[0] if column else None
    same = column.count(first) == len(column) and len(set(map(type, column))) <= 1
    return [1, first] if same else [0, column]


_KINDS = {type(None), bool, int, float, str, bytes, Decimal, dt.date, dt.datetime}


def _long(plain: Any, count: int) -> list[Any]:
    same, values = _list(plain, 2, 2)
    if same == 1:
        if type(values) not in _KINDS:
            raise BadMessage("A value is of a kind that does not travel.")
        return [values] * count
    column = _list(values, count, count)
    if not set(map(type, column)) <= _KINDS:
        raise BadMessage("A value is of a kind that does not travel.")
    return column


# --- checks ---------------------------------------------------------------------------------------------------------


def _list(value: Any, least: int, most: int) -> list[Any]:
    if not isinstance(value, list) or not least <= len(value) <= most:
        raise BadMessage("A list is missing, or has not the length that it should have.")
    return value


def _text(value: Any, length: int) -> str:
    if not isinstance(value, str) or len(value) > length:
        raise BadMessage("A text is missing or too long.")
    return value


def _int(value: Any) -> int:
    if type(value) is not int or not -_INT_MAX <= value < _INT_MAX:
        raise BadMessage("A whole number is missing or out of range.")
    return value


def _bool(value: Any) -> bool:
    if not isinstance(value, bool):
        raise BadMessage("A yes or no is missing.")
    return value


def _seqs(value: Any) -> dict[int, int]:
    if not isinstance(value, dict) or len(value) > 100_000:
        raise BadMessage("The positions per life are missing or too many.")
    return {_int(life): _int(seq) for life, seq in value.items()}


def _history(value: Any) -> tuple[tuple[int, int], ...]:
    pairs = [_list(pair, 2, 2) for pair in _list(value, 1, 10_000)]
    return tuple((_int(timeline), _int(revision)) for timeline, revision in pairs)


# --- bytes ----------------------------------------------------------------------------------------------------------


def compress(data: bytes) -> bytes:
    return zstandard.ZstdCompressor(level=LEVEL).compress(data)


def decompress(data: bytes) -> bytes:
    """Raise TooLarge, BadMessage. The size that the frame claims is checked before memory is taken."""
    try:
        size = zstandard.frame_content_size(data)
        if size > BODY_BYTES_MAX:
            raise TooLarge(f"A part unpacks to {size} bytes; {BODY_BYTES_MAX} are allowed.")
        if size < 0:
            raise BadMessage("A part does not say how large it is.")
        return zstandard.ZstdDecompressor(max_window_size=1 << 27).decompress(data, max_output_size=BODY_BYTES_MAX)
    except zstandard.ZstdError as error:
        raise BadMessage("A part cannot be unpacked: it was damaged on the way.") from error


def pack(content: Any) -> bytes:
    packed: bytes = msgpack.packb(content, default=_rich)
    return packed


def _rich(value: Any) -> msgpack.ExtType:
    if isinstance(value, Decimal):
        return msgpack.ExtType(_DECIMAL, str(value).encode())
    if isinstance(value, dt.datetime):
        return msgpack.ExtType(_DATETIME, value.isoformat().encode())
    if isinstance(value, dt.date):
        return msgpack.ExtType(_DATE, value.isoformat().encode())
    raise TypeError(f"a value of type {type(value).__name__} cannot travel")


def unpack(data: bytes) -> Any:
    try:
        return msgpack.unpackb(data, strict_map_key=False, ext_hook=_poor, use_list=True)
    except BadMessage:
        raise
    except (ValueError, TypeError, RecursionError, msgpack.UnpackException) as error:
        raise BadMessage("A part is not msgpack: it was damaged on the way.") from error


def _poor(code: int, data: bytes) -> Any:
    try:
        text = data.decode("ascii")
        if code == _DECIMAL:
            return Decimal(text)
        if code == _DATE:
            return dt.date.fromisoformat(text)
        if code == _DATETIME:
            return dt.datetime.fromisoformat(text)
    except (ValueError, InvalidOperation) as error:
        raise BadMessage("A date or a decimal cannot be read.") from error
    raise BadMessage("A value is of a kind that is not known.")
