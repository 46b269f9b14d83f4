"""The exchange's door at the centre: an HTTPS listener of its own, beside the pages.

    GET  /exchange/v1/root       the root certificate (an office compares it with its join code)
    POST /exchange/v1/enrol      a join code and a public key; answered with who head office is
    POST /exchange/v1/messages   a message in frames; answered with a reply in frames
    POST /exchange/v1/digests    {"office"}; answered with the digest of every travelling table

A request names its node and is signed by it, every answer is signed by the centre. A message is received whole before
the database begins, and its reply is written whole before it is sent: a slow line never holds the one writer.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import io
import json
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

import sqlalchemy as sa
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from sqlalchemy.orm import Session

from central import enrolment
from central.enrolment import Enrolled, Tries, WrongCode
from central.tables import EnrolledNode
from node import exchange_log, identity
from node.carrier import CHUNK, PREFIX, spool
from node.clock import Clock
from node.db import Database
from node.domain import duplicates
from node.errors import BadInput, KoggeError
from node.exchange import Rows, session_on, tell_search
from node.exchange_log import ExchangeRun, Run
from node.identity import Authority
from node.schema import TRAVELS
from replication import journal, verify, wire
from replication.errors import ReplicationError, SchemaDiffers, UnknownOffice
from replication.hub import Hub

log = logging.getLogger(__name__)

MESSAGE_BYTES_MAX = 2 * 1024**3
JSON_BYTES_MAX = 64 * 1024
SILENCE_S = 60  # between two pieces of a request
AT_ONCE = 32  # messages that are received or answered at the same time
PAIRS_AT_ONCE = 200  # records that are compared with all others in one transaction: below half a second
PAIRS_WAITING_MAX = 200_000  # what is more is left to the search for duplicates that a person starts
PAIRS_WAIT_S = 30.0  # that a comparison of digests waits for them
PARTIES = ("company", "person")


class TooBusy(KoggeError):
    """Head office answers many offices at this moment; the next exchange tries again."""

    code = "busy"
    status = 503


@dataclass(frozen=True, slots=True, kw_only=True)
class _Done:
    """What taking a message has done; the answer is in the caller's file."""

    size: int
    received: int
    sent: int
    conflicts: int
    upto: int
    tables: frozenset[str]
    parties: dict[str, set[str]]  # customers among what has arrived


class Endpoint:
    """The listener. `urls`: under which offices reach it, told to them at enrolment; `folder` is the node's DIR."""

    def __init__(
        self,
        db: Database,
        hub: Hub,
        *,
        folder: Path,
        authority: Authority,
        key: Ed25519PrivateKey,
        clock: Clock,
        urls: Callable[[], tuple[str, ...]],
    ) -> None:
        self._db, self._hub, self._folder, self._authority = db, hub, folder, authority
        self._key, self._clock, self._urls = key, clock, urls
        self._tries = Tries()
        self._places = asyncio.Semaphore(AT_ONCE)
        self._runner: web.AppRunner | None = None
        self._arrived: dict[str, set[str]] = {kind: set() for kind in PARTIES}
        self._comparing: asyncio.Task[None] | None = None

    async def start(self, host: str, port: int) -> None:
        """Listen. Raise OSError when the port is taken."""
        app = web.Application(client_max_size=JSON_BYTES_MAX)
        app.add_routes(
            [
                web.get(f"{PREFIX}/root", self._root),
                web.post(f"{PREFIX}/enrol", self._answered(self._enrol)),
                web.post(f"{PREFIX}/messages", self._messages),
                web.post(f"{PREFIX}/digests", self._answered(self._digests)),
            ]
        )
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=10)
        await self._runner.setup()
        await web.TCPSite(self._runner, host, port, ssl_context=identity.server_context(self._authority)).start()

    async def stop(self) -> None:
        """Finish what runs, then close."""
        if self._comparing is not None:
            self._comparing.cancel()
            await asyncio.wait({self._comparing})
            self._comparing = None
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    # --- handlers ---

    async def _root(self, _request: web.Request) -> web.Response:
        return web.Response(text=self._authority.root, content_type="application/x-pem-file")

    def _answered(self, handler: Callable[[web.Request], Any]) -> Callable[[web.Request], Any]:
        async def answered(request: web.Request) -> web.Response:
            try:
                return self._signed(request, 200, await handler(request))
            except KoggeError as e:
                return self._refusal(request, e)

        return answered

    async def _enrol(self, request: web.Request) -> dict[str, Any]:
        address = request.remote or "unknown"
        self._tries.check(address, self._clock.now_ms())
        asked = _object(await _body(request))
        nonce = request.headers.get("X-Kogge-Nonce", "")
        try:
            secret = base64.b64decode(asked["secret"], validate=True)
            public = base64.b64decode(asked["public_key"], validate=True)
            proof = str(asked["proof"])
        except (KeyError, ValueError, TypeError) as e:
            raise BadInput("This is no request to join. Update Kogge at the office, then try again.") from e
        if len(public) != 32 or not identity.verified(public, proof, "enrol", secret, public, nonce.encode()):
            raise BadInput("The office's key does not fit its signature. Try again.")

        def action(s: Session) -> Enrolled:
            return enrolment.enrol(
                s,
                self._hub,
                office=str(asked.get("office", "")),
                secret=secret,
                public_key=public,
                address=address,
                version=str(asked.get("version", "")),
            )

        if asked.get("schema") != self._hub.schema:
            raise _differs(str(asked.get("version", "")))
        try:
            entered = await self._db.write(action, cause="enrolment")
        except WrongCode:
            self._tries.wrong(address, self._clock.now_ms())
            log.warning("wrong join code", extra={"address": address})
            raise
        log.info("office enrolled", extra={"office": entered.office, "address": address})
        return {
            "office": entered.office,
            "office_name": entered.office_name,
            "centre": self._db.office,
            "public_key": base64.b64encode(identity.public_bytes(self._key)).decode(),
            "urls": list(self._urls()),
        }

    async def _digests(self, request: web.Request) -> dict[str, Any]:
        body = await _body(request)
        await self._admitted(request, "digests", hashlib.sha256(body).digest())
        if self._comparing is not None:  # its pairs are news for everybody
            await asyncio.wait({self._comparing}, timeout=PAIRS_WAIT_S)
        await self._db.exchange(self._hub.fold)
        found = await self._db.read(lambda s: verify.digests(s.connection(), TRAVELS))
        return {"tables": {table: [rows, digest] for table, (rows, digest) in found.items()}}

    async def _messages(self, request: web.Request) -> web.StreamResponse:
        if self._places.locked():
            return self._refusal(request, TooBusy("Head office answers many offices at this moment."))
        async with self._places:
            started = self._clock.now_ms()
            office = ""
            try:
                node = await self._admitted(request, "messages", b"")
                office = node.office
                with spool(self._folder / "tmp") as message, spool(self._folder / "tmp") as reply:
                    received = await _spooled(request, message)
                    done = await self._db.exchange(self._take, message, reply, node)
                    self._db.tell(done.tables)
                    self._compare(done.parties)
                    response = await self._send(request, reply, done.size)
            except (KoggeError, ReplicationError) as e:
                error = _translated(e)
                await self._note(office, Run(started_ms=started, ms=self._clock.now_ms() - started, code=error.code,
                                             error=error.message))  # fmt: skip
                return self._refusal(request, error)
            except (ConnectionError, TimeoutError) as e:
                text = f"The line was lost: {type(e).__name__}."
                await self._note(office, Run(started_ms=started, ms=self._clock.now_ms() - started, code="unreachable",
                                             error=text))  # fmt: skip
                raise
            run = Run(
                started_ms=started,
                ms=max(0, self._clock.now_ms() - started),
                sent=done.sent,
                received=done.received,
                conflicts=done.conflicts,
                bytes_in=received,
                bytes_out=done.size,
                pages=1,
            )
            await self._note(office, run, done.upto)
            return response

    # --- the message ---

    def _take(self, conn: sa.Connection, message: IO[bytes], reply: IO[bytes], node: EnrolledNode) -> _Done:
        """Take a message and write its answer into `reply`, in the transaction of `conn`."""

        def key_of(office: str) -> Ed25519PublicKey:
            if office != node.office:
                raise UnknownOffice(f"The message is from {office}, but the node belongs to {node.office}.")
            return Ed25519PublicKey.from_public_bytes(node.public_key)

        at = self._clock.now_ms()
        conflicts_before = _conflicts(conn)
        asked = wire.decode_message(cast(io.BufferedIOBase, message), key_of)  # type: ignore[arg-type]
        arriving = Rows(asked)
        answer = self._hub.exchange(conn, asked, at)
        leaving = Rows(answer)
        size = 0
        for frame in wire.encode_reply(answer, self._key):
            size += reply.write(frame)
        reply.seek(0)
        conflicts_new = _conflicts(conn) - conflicts_before
        touched = {table: ids for table, ids in arriving.touched.items() if ids}
        if touched:
            tell_search(session_on(self._db, conn), touched)
        tables = frozenset(touched) | ({journal.conflict.name} if conflicts_new else set())
        return _Done(
            size=size,
            received=arriving.count,
            sent=leaving.count,
            conflicts=conflicts_new,
            upto=answer.watermark,
            tables=tables,
            parties={kind: touched.get(kind, set()) for kind in PARTIES},
        )

    def _compare(self, parties: Mapping[str, set[str]]) -> None:
        """Look for duplicates of what has arrived, beside the exchange: that may take longer than the exchange.

        Only the centre looks, where the records of all offices meet.
        """
        for kind, ids in parties.items():
            if len(self._arrived[kind]) + len(ids) <= PAIRS_WAITING_MAX:
                self._arrived[kind] |= ids
        if any(self._arrived.values()) and (self._comparing is None or self._comparing.done()):
            self._comparing = asyncio.create_task(self._compare_all())

    async def _compare_all(self) -> None:
        for kind, arrived in self._arrived.items():
            while arrived:
                some = [arrived.pop() for _ in range(min(len(arrived), PAIRS_AT_ONCE))]
                try:
                    await self._db.write(duplicates.find_pairs, kind, some, cause="exchange")
                except (sa.exc.DBAPIError, KoggeError):
                    log.exception("duplicates were not looked for")
                    return

    async def _send(self, request: web.Request, reply: IO[bytes], size: int) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/octet-stream"})
        response.content_length = size
        await response.prepare(request)
        while chunk := reply.read(CHUNK):
            async with asyncio.timeout(SILENCE_S):
                await response.write(chunk)
        await response.write_eof()
        return response

    async def _note(self, office: str, run: Run, upto: int = 0) -> None:
        if not office:
            log.warning("exchange refused: %s", run.error)
            return
        await self._db.exchange(lambda conn: exchange_log.note(session_on(self._db, conn), run, office, upto))
        self._db.tell(frozenset({ExchangeRun.__tablename__}))

    # --- who asks, and what he is told ---

    async def _admitted(self, request: web.Request, name: str, digest: bytes) -> EnrolledNode:
        """The node that signed the request. Raise UnknownNode."""
        office, nonce = request.headers.get("X-Kogge-Office", ""), request.headers.get("X-Kogge-Nonce", "")
        fingerprint = request.headers.get("X-Kogge-Node", "")[:32]

        def known(s: Session) -> EnrolledNode:
            node = enrolment.admitted(s, fingerprint, office)
            s.expunge(node)
            return node

        node = await self._db.read(known)
        signature = request.headers.get("X-Kogge-Signature", "")
        signed = (office.encode(), nonce.encode(), digest)
        if not identity.verified(node.public_key, signature, f"ask {name}", *signed):
            raise enrolment.UnknownNode(
                f"The request was not signed by the node of {office} that head office knows. Join again with a new "
                "code."
            )
        return node

    def _signed(self, request: web.Request, status: int, content: Mapping[str, Any]) -> web.Response:
        body = json.dumps(dict(content)).encode()
        nonce = request.headers.get("X-Kogge-Nonce", "")[:64]
        signature = identity.sign(self._key, "answer", nonce.encode(), str(status).encode(), body)
        return web.Response(
            status=status, body=body, content_type="application/json", headers={"X-Kogge-Signature": signature}
        )

    def _refusal(self, request: web.Request, error: KoggeError) -> web.Response:
        return self._signed(request, error.status, {"error": {"code": error.code, "message": error.message}})


def _conflicts(conn: sa.Connection) -> int:
    return int(conn.execute(sa.select(sa.func.count()).select_from(journal.conflict)).scalar_one())


async def _spooled(request: web.Request, file: IO[bytes]) -> int:
    """Receive the body; return its size. Raise BadInput, TimeoutError."""
    received = 0
    stream = request.content.iter_chunked(CHUNK)
    while True:
        async with asyncio.timeout(SILENCE_S):
            chunk = await anext(aiter(stream), b"")
        if not chunk:
            break
        received += len(chunk)
        if received > MESSAGE_BYTES_MAX:
            raise BadInput(f"The message is larger than {MESSAGE_BYTES_MAX >> 30} GB, which head office does not take.")
        file.write(chunk)
    file.seek(0)
    return received


async def _body(request: web.Request) -> bytes:
    try:
        async with asyncio.timeout(SILENCE_S):
            return await request.read()
    except web.HTTPRequestEntityTooLarge as e:
        raise BadInput("The request is too large.") from e


def _object(body: bytes) -> dict[str, Any]:
    found = None
    with suppress(ValueError):
        found = json.loads(body)
    if not isinstance(found, dict):
        raise BadInput("The request is not a JSON object.")
    return found


def _translated(error: KoggeError | ReplicationError) -> KoggeError:
    if isinstance(error, KoggeError):
        return error
    if isinstance(error, SchemaDiffers):
        return _differs("")
    log.warning("message refused: %s", error)
    return BadInput(f"Head office could not take the message: {error} Nothing was changed.")


def _differs(version: str) -> KoggeError:
    which = f" (the office has Kogge {version})" if version else ""
    error = BadInput(
        f"Head office and this office have different versions of Kogge{which}. Install the same version at both, "
        "head office first; nothing is lost meanwhile."
    )
    error.code = "version_differs"
    return error
