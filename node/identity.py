"""Who a node is: its signing key, and at the centre the organisation's own certificate authority.

Every node signs what it sends with an Ed25519 key that was made here and never leaves the folder. Offices trust one
thing only, the root certificate of their own head office, whose SHA-256 the join code carries: no public authority, no
name service and no clock of anybody else can put another machine in its place.

    DIR/keys/node.key      Ed25519, PKCS 8          every node; made at init or join
    DIR/keys/centre.json   addresses, root, key     an office: whom it exchanges with
    DIR/keys/root.key .pem P-256, ten years         the centre: signs its own server certificates
    DIR/keys/server.key .pem  P-256, one year       the centre: renewed at a start with less than 60 days left
"""

from __future__ import annotations

import base64
import hashlib
import ipaddress
import json
import os
import ssl
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from node.errors import Refused

ROOT_LIFE = timedelta(days=3653)
SERVER_LIFE = timedelta(days=365)
RENEW_BEFORE = timedelta(days=60)
BACKDATED = timedelta(days=1)  # an office's clock may be behind ours
NO_CHECK_TIME = 0x200000  # X509_V_FLAG_NO_CHECK_TIME of OpenSSL, which Python does not name
LOCAL = ("localhost", "127.0.0.1", "::1")


class NoKeys(Refused):
    """The keys of this node are missing or damaged. Restore DIR/keys from a backup, or join again with a new code."""

    code = "no_keys"


@dataclass(frozen=True, slots=True, kw_only=True)
class Centre:
    """Head office as an office knows it. `urls`: of its exchange listener, tried in this order; `key`: 32 bytes."""

    urls: tuple[str, ...]
    root: str  # PEM
    key: bytes
    office: str  # its code


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """The centre's certificates, as files for the TLS listener; `renewed` says that the server's is new."""

    root: str  # PEM
    certificate: Path
    key: Path
    renewed: bool
    until: datetime  # of the server certificate


# signing keys


def ensure_node_key(folder: Path) -> Ed25519PrivateKey:
    """This node's signing key, made when there is none. `folder` is DIR/keys."""
    path = folder / "node.key"
    if not path.exists():
        _write(path, _pem(Ed25519PrivateKey.generate()))
    return node_key(folder)


def node_key(folder: Path) -> Ed25519PrivateKey:
    """This node's signing key. Raise NoKeys."""
    key = _load_key(folder / "node.key")
    if not isinstance(key, Ed25519PrivateKey):
        raise NoKeys(f"{folder / 'node.key'} is not a signing key of Kogge. Restore it from a backup.")
    return key


def public_bytes(key: Ed25519PrivateKey) -> bytes:
    """The public half: 32 bytes."""
    return key.public_key().public_bytes_raw()


def fingerprint(public: bytes) -> str:
    """The name of a public key: 32 hex digits, which people may compare in groups of four."""
    return hashlib.sha256(public).hexdigest()[:32]


def sign(key: Ed25519PrivateKey, purpose: str, *parts: bytes) -> str:
    """A signature as text. `purpose` keeps a signature made for one thing from serving for another."""
    return base64.b64encode(key.sign(_signed(purpose, parts))).decode()


def verified(public: bytes, signature: str, purpose: str, *parts: bytes) -> bool:
    """Was it signed by the owner of this key?"""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(
            base64.b64decode(signature, validate=True), _signed(purpose, parts)
        )
    except (InvalidSignature, ValueError):
        return False
    return True


def _signed(purpose: str, parts: Sequence[bytes]) -> bytes:
    digest = hashlib.sha256()
    for part in (b"kogge", purpose.encode(), *parts):
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.digest()


# whom an office exchanges with


def save_centre(folder: Path, centre: Centre) -> None:
    """Remember head office in DIR/keys."""
    values = {
        "urls": list(centre.urls),
        "root": centre.root,
        "key": base64.b64encode(centre.key).decode(),
        "office": centre.office,
    }
    _write(folder / "centre.json", json.dumps(values, indent=1).encode())


def load_centre(folder: Path) -> Centre | None:
    """Head office, or None where the node has not joined. Raise NoKeys when the file is damaged."""
    path = folder / "centre.json"
    if not path.exists():
        return None
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return Centre(
            urls=tuple(str(url) for url in found["urls"]),
            root=str(found["root"]),
            key=base64.b64decode(found["key"], validate=True),
            office=str(found["office"]),
        )
    except (OSError, ValueError, KeyError, TypeError) as e:
        raise NoKeys(f"{path} is damaged. Restore it from a backup, or join again with a new code.") from e


# certificates


def ensure_authority(folder: Path, names: Iterable[str], now: datetime) -> Authority:
    """The centre's root and server certificate, made or renewed as needed. `names`: host names and addresses.

    The root is made once and never replaced, because offices have pinned it. Raise NoKeys when it is damaged.
    """
    root_key_path, root_path = folder / "root.key", folder / "root.pem"
    if not root_key_path.exists() and not root_path.exists():
        made_key, made = new_root(now)
        _write(root_key_path, _pem(made_key))
        _write(root_path, made.public_bytes(serialization.Encoding.PEM))
    root_key, root = _load_ec(root_key_path), _load_certificate(root_path)
    wanted = tuple(dict.fromkeys((*LOCAL, *names)))
    path, key_path = folder / "server.pem", folder / "server.key"
    renewed = not (path.exists() and key_path.exists()) or needs_renewal(_load_certificate(path), wanted, now)
    if renewed:
        key, certificate = new_server_certificate(root_key, root, wanted, now)
        _write(key_path, _pem(key))
        _write(path, certificate.public_bytes(serialization.Encoding.PEM))
    return Authority(
        root=root.public_bytes(serialization.Encoding.PEM).decode(),
        certificate=path,
        key=key_path,
        renewed=renewed,
        until=_load_certificate(path).not_valid_after_utc,
    )


def new_root(now: datetime) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    """A certificate authority for one company, which may only sign servers directly."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Kogge head office")])
    builder = _builder(name, name, key.public_key(), now, ROOT_LIFE)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(_usage(sign=True), critical=True)
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    return key, builder.sign(key, hashes.SHA256())


def new_server_certificate(
    root_key: ec.EllipticCurvePrivateKey, root: x509.Certificate, names: Sequence[str], now: datetime
) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    """A server certificate for these host names and addresses."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Kogge exchange")])
    builder = _builder(subject, root.subject, key.public_key(), now, SERVER_LIFE)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(_usage(sign=False), critical=True)
    builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    builder = builder.add_extension(x509.SubjectAlternativeName([_name(name) for name in names]), critical=False)
    authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key())
    builder = builder.add_extension(authority, critical=False)
    return key, builder.sign(root_key, hashes.SHA256())


def needs_renewal(certificate: x509.Certificate, names: Sequence[str], now: datetime) -> bool:
    """Does it end soon, or lack a name?"""
    found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    missing = {_name(name) for name in names} - set(found)
    return bool(missing) or certificate.not_valid_after_utc - now < RENEW_BEFORE


def pin(root: str) -> bytes:
    """What a join code says of the root certificate: SHA-256 of it, 32 bytes. Raise ValueError: no certificate."""
    certificate = x509.load_pem_x509_certificate(root.encode())
    return hashlib.sha256(certificate.public_bytes(serialization.Encoding.DER)).digest()


def host_names(urls: Iterable[str]) -> tuple[str, ...]:
    """The host names and addresses in these URLs."""
    return tuple(dict.fromkeys(host for url in urls if (host := urlsplit(url).hostname)))


def client_context(root: str) -> ssl.SSLContext:
    """TLS that trusts our own root and nobody else, whatever this machine's clock says.

    An office whose clock stands at 2019 must still exchange (head office then sees its offset): who may answer is
    settled by the root that we have pinned and by the signature on every answer, not by dates.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.verify_flags |= ssl.VerifyFlags(NO_CHECK_TIME)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_verify_locations(cadata=root)
    return context


def server_context(authority: Authority) -> ssl.SSLContext:
    """TLS of the centre's exchange listener."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_cert_chain(authority.certificate, authority.key)
    return context


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime, life: timedelta
) -> x509.CertificateBuilder:
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key)
    builder = builder.serial_number(x509.random_serial_number())
    return builder.not_valid_before(now - BACKDATED).not_valid_after(now + life)


def _usage(*, sign: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not sign,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=sign,
        crl_sign=sign,
        encipher_only=False,
        decipher_only=False,
    )


def _name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name.encode("idna").decode() if not name.isascii() else name)


# files


def _pem(key: Ed25519PrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _load_key(path: Path) -> object:
    try:
        return serialization.load_pem_private_key(path.read_bytes(), None)
    except (OSError, ValueError, TypeError) as e:
        raise NoKeys(f"The key {path} is missing or damaged. Restore the folder keys/ from a backup.") from e


def _load_ec(path: Path) -> ec.EllipticCurvePrivateKey:
    key = _load_key(path)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise NoKeys(f"{path} is not a key for certificates. Restore the folder keys/ from a backup.")
    return key


def _load_certificate(path: Path) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError) as e:
        raise NoKeys(f"The certificate {path} is missing or damaged. Restore the folder keys/ from a backup.") from e


def _write(path: Path, data: bytes) -> None:
    """Whole or not at all, readable by the owner only."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.parent.chmod(0o700)
    draft = path.with_name(path.name + ".new")
    with os.fdopen(os.open(draft, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
