"""The line from an office to head office: HTTPS with one trusted root, streams in both directions, signed answers.

A line that is down is a normal day: everything that a line can do is one error, `Unreachable`, after a few tries. What
the centre itself refuses is `RefusedByCentre`, in the centre's own words. Both directions lie in a temporary file while
they travel, so that neither database waits for a slow line.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import logging
import os
import secrets
import ssl
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Self, TypeVar, cast

import aiohttp
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from node import identity
from node.errors import KoggeError, Unreachable
from node.identity import Centre
from node.joincode import JoinCode

log = logging.getLogger(__name__)
T = TypeVar("T")

PREFIX = "/exchange/v1"
CONNECT_S = 10
SILENCE_S = 300  # while the centre works on a large message nothing comes
TOTAL_S = 3600  # of one request
BACK_OFF_S = (1.0, 3.0)  # waits between tries, then the next planned exchange has its turn
CHUNK = 256 * 1024
IN_MEMORY = 4 * 1024 * 1024  # what is larger lies in a file
ANSWER_BYTES_MAX = 2 * 1024**3
JSON_BYTES_MAX = 1024 * 1024


class RefusedByCentre(KoggeError):
    """Head office has refused; its reason is the message."""

    code = "refused_by_centre"
    status = 409

    def __init__(self, message: str, *, code: str = "refused", **details: Any) -> None:
        super().__init__(message, **details)
        self.code = code


class NotTrusted(Unreachable):
    """Whoever answered at head office's address is somebody else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer to a message: a file at its beginning, and what went over the line in bytes."""

    file: IO[bytes]
    bytes_out: int
    bytes_in: int


def spool(folder: Path) -> IO[bytes]:
    """A temporary file that is in memory while it is small. The caller closes it."""
    folder.mkdir(parents=True, exist_ok=True)
    return cast(IO[bytes], tempfile.SpooledTemporaryFile(IN_MEMORY, "w+b", dir=str(folder)))


class Carrier:
    """One office's way to its centre; `async with` keeps the connection between requests."""

    def __init__(
        self,
        centre: Centre,
        key: Ed25519PrivateKey,
        office: str,
        folder: Path,
        *,
        back_off_s: tuple[float, ...] = BACK_OFF_S,
    ) -> None:
        self._centre, self._key, self._office, self._folder = centre, key, office, folder
        self._name = identity.fingerprint(identity.public_bytes(key))
        self._back_off_s = back_off_s
        self._client: aiohttp.ClientSession | None = None

    @property
    def centre_key(self) -> Ed25519PublicKey:
        """What the centre's answers must be signed with."""
        return Ed25519PublicKey.from_public_bytes(self._centre.key)

    async def __aenter__(self) -> Self:
        self._client = _client(identity.client_context(self._centre.root))
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._client is not None
        await self._client.close()

    async def carry(self, message: IO[bytes], size: int) -> Answer:
        """Send a message (frames, `size` bytes) and bring the answer. Raise Unreachable, RefusedByCentre."""
        async def once(url: str) -> Answer:
            message.seek(0)
            nonce = secrets.token_hex(16)
            headers = self._headers("messages", nonce, b"")  # the frames are signed themselves
            headers |= {"Content-Type": "application/octet-stream", "Content-Length": str(size)}
            async with self._post(f"{url}{PREFIX}/messages", headers, _chunks(message)) as response:
                if response.status != 200:
                    await _refused(response, self._centre.key, nonce)
                file = spool(self._folder)
                try:
                    received = await _receive(response, file)
                except BaseException:
                    file.close()
                    raise
                return Answer(file=file, bytes_out=size, bytes_in=received)

        return await self._with_tries(once)

    async def ask(self, name: str, question: Mapping[str, Any]) -> dict[str, Any]:
        """A small signed question and its signed answer, both JSON. Raise Unreachable, RefusedByCentre."""
        body = json.dumps(dict(question)).encode()

        async def once(url: str) -> dict[str, Any]:
            nonce = secrets.token_hex(16)
            headers = self._headers(name, nonce, hashlib.sha256(body).digest()) | {"Content-Type": "application/json"}
            async with self._post(f"{url}{PREFIX}/{name}", headers, body) as response:
                if response.status != 200:
                    await _refused(response, self._centre.key, nonce)
                return await _signed_json(response, self._centre.key, nonce)

        return await self._with_tries(once)

    def _headers(self, name: str, nonce: str, digest: bytes) -> dict[str, str]:
        return {
            "X-Kogge-Office": self._office,
            "X-Kogge-Node": self._name,
            "X-Kogge-Nonce": nonce,
            "X-Kogge-Signature": identity.sign(self._key, f"ask {name}", self._office.encode(), nonce.encode(), digest),
        }

    @asynccontextmanager
    async def _post(self, url: str, headers: Mapping[str, str], data: Any) -> AsyncIterator[aiohttp.ClientResponse]:
        assert self._client is not None, "use the carrier with `async with`"
        async with _translated(url), self._client.post(url, headers=headers, data=data) as response:
            yield response

    async def _with_tries(self, once: Callable[[str], Awaitable[T]]) -> T:
        failure: Unreachable | None = None
        for wait_s in (*self._back_off_s, None):
            for url in self._centre.urls:
                try:
                    return await once(url)
                except Unreachable as e:
                    failure = e
                    log.info("head office not reached", extra={"url": url, "reason": e.message})
            if wait_s is not None:
                await asyncio.sleep(wait_s)
        assert failure is not None, "a centre has at least one address"
        raise failure


async def enrol(code: JoinCode, key: Ed25519PrivateKey, *, version: str, schema: str) -> tuple[Centre, dict[str, Any]]:
    """Make this node known to the centre that the code names, and get to know it.

    Return head office, and what it told: {"office", "office_name", "centre", "centre_name"}. Raise Unreachable,
    RefusedByCentre (the code is wrong, used, expired).
    """
    failure: Unreachable | None = None
    for url in code.urls:
        try:
            root = await _root(url, code.pin)
            return await _enrol(url, root, code, key, version, schema)
        except Unreachable as e:
            failure = e
    assert failure is not None, "a code names at least one address"
    raise failure


async def _root(url: str, pin: bytes) -> str:
    """The centre's root certificate: fetched from anybody, believed because of the pin."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # what is fetched is compared with the pin before it is used
    address = f"{url}{PREFIX}/root"
    async with _translated(address), _client(context) as client, client.get(address) as response:
        text = (await response.content.read(JSON_BYTES_MAX)).decode("ascii", errors="replace")
    try:
        found = identity.pin(text)
    except ValueError:
        found = b""
    if found != pin:
        raise NotTrusted(
            f"{url} is not the head office that made this join code. Check the address, and ask there for a new code."
        )
    return text


async def _enrol(
    url: str, root: str, code: JoinCode, key: Ed25519PrivateKey, version: str, schema: str
) -> tuple[Centre, dict[str, Any]]:
    public, nonce = identity.public_bytes(key), secrets.token_hex(16)
    question = {
        "office": code.office,
        "secret": base64.b64encode(code.secret).decode(),
        "public_key": base64.b64encode(public).decode(),
        "proof": identity.sign(key, "enrol", code.secret, public, nonce.encode()),
        "version": version,
        "schema": schema,
    }
    address = f"{url}{PREFIX}/enrol"
    async with (
        _translated(address),
        _client(identity.client_context(root)) as client,
        client.post(address, json=question, headers={"X-Kogge-Nonce": nonce}) as response,
    ):
        if response.status != 200:
            await _refused(response, None, nonce)
        told = await _signed_json(response, None, nonce)
    try:
        centre_key = base64.b64decode(told["public_key"], validate=True)
        urls = tuple(dict.fromkeys((url, *code.urls, *(str(u) for u in told["urls"]))))
        return Centre(urls=urls, root=root, key=centre_key, office=str(told["centre"])), told
    except (KeyError, ValueError, TypeError) as e:
        raise NotTrusted(f"{url} answered something else than a head office does. Update Kogge, then try again.") from e


# the line


def _client(context: ssl.SSLContext) -> aiohttp.ClientSession:
    timeout = aiohttp.ClientTimeout(total=TOTAL_S, sock_connect=CONNECT_S, sock_read=SILENCE_S)
    connector = aiohttp.TCPConnector(ssl=context, limit=4)
    return aiohttp.ClientSession(timeout=timeout, connector=connector, trust_env=False, read_bufsize=CHUNK)


@asynccontextmanager
async def _translated(url: str) -> AsyncIterator[None]:
    """Whatever a line can do is `Unreachable`."""
    try:
        yield
    except (aiohttp.ClientConnectorCertificateError, aiohttp.ClientConnectorSSLError) as e:
        raise NotTrusted(
            f"{url} is reached, but it cannot prove that it is our head office ({e}). Perhaps a hotel's or a "
            "provider's log-in page answers; otherwise join again with a new code."
        ) from e
    except TimeoutError as e:
        raise Unreachable(f"Head office did not answer in time at {url}. Work goes on meanwhile.") from e
    except (aiohttp.ClientError, OSError) as e:
        raise Unreachable(f"Head office cannot be reached at {url}: {_reason(e)}. Work goes on meanwhile.") from e


def _reason(error: Exception) -> str:
    if isinstance(error, aiohttp.ClientConnectorError):
        known = error.os_error.errno
        return os.strerror(known) if known and known > 0 else str(error.os_error)
    return str(error) or type(error).__name__


async def _chunks(file: IO[bytes]) -> AsyncIterator[bytes]:
    while chunk := file.read(CHUNK):
        yield chunk


async def _receive(response: aiohttp.ClientResponse, file: IO[bytes]) -> int:
    received = 0
    async for chunk in response.content.iter_chunked(CHUNK):
        received += len(chunk)
        if received > ANSWER_BYTES_MAX:
            raise Unreachable("Head office answered more than an answer can be. Ask its administrator.")
        file.write(chunk)
    file.seek(0)
    return received


async def _refused(response: aiohttp.ClientResponse, key: bytes | None, nonce: str) -> None:
    told = await _signed_json(response, key, nonce)
    error = told.get("error")
    if not isinstance(error, dict):
        raise Unreachable(f"{response.url} answered {response.status} without a reason. Try again later.")
    message, code = str(error.get("message", "")), str(error.get("code", "refused"))
    if code in ("busy", "unreachable"):
        raise Unreachable(message)
    raise RefusedByCentre(message, code=code)


async def _signed_json(response: aiohttp.ClientResponse, key: bytes | None, nonce: str) -> dict[str, Any]:
    """The answer, if the centre has signed it. `key` None: at enrolment only TLS with the pinned root vouches."""
    body = await response.content.read(JSON_BYTES_MAX)
    signature = response.headers.get("X-Kogge-Signature", "")
    if key is not None and not identity.verified(
        key, signature, "answer", nonce.encode(), str(response.status).encode(), body
    ):
        raise NotTrusted(f"{response.url} answered {response.status}, but head office has not signed that answer.")
    try:
        told = json.loads(body)
    except ValueError:
        told = None
    if not isinstance(told, dict):
        raise NotTrusted(f"{response.url} answered {response.status}, and not as a head office does.")
    return told
