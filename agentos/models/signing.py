"""Signatures of stored models, in the OpenSSF Model Signing format 1.0, with a key of this home's own.

A model's folder holds `model.sig`: a Sigstore bundle around a DSSE envelope, whose payload is an in-toto statement with
the SHA-256 of every other file there. It is what the package `model-signing` writes and reads (`model_signing verify
key`); that is not used here because it takes sigstore with it, some forty packages, for signatures by accounts and
transparency logs. The key is ECDSA on P-256 with SHA-256, HOME/signing/key, its owner's alone; HOME/signing/public.pem
is for who verifies elsewhere.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from agentos.errors import Failed
from agentos.models.fetch import digest
from agentos.sealing import KeyFile
from agentos.sealing.files import written

FOLDER, FILE = "signing", "model.sig"
Signed = Literal["yes", "no", "altered"]
_BUNDLE, _PAYLOAD = "application/vnd.dev.sigstore.bundle.v0.3+json", "application/vnd.in-toto+json"
_STATEMENT, _PREDICATE = "https://in-toto.io/Statement/v1", "https://model_signing/signature/v1.0"
_SEEN = "verified.json"
_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""Of P-256 (NIST SP 800-186)."""


@dataclass(frozen=True)
class Signature:
    """What there is to say of a model's signature."""

    signed: Signed
    """`no` is a model that nobody signed here."""
    reason: str = ""
    """What is wrong, as the end of a sentence."""


class Signer:
    """Signs and verifies the models of a home."""

    def __init__(self, home: Path) -> None:
        """The key is made with the first signature."""
        self._folder = home / FOLDER
        self._file = KeyFile(self._folder / "key")

    def sign(self, folder: Path, name: str, known: Mapping[str, str]) -> None:
        """Puts a signature over all files of a folder into it.

        Args:
            folder: The model.
            name: What it is called.
            known: SHA-256 (hex) of files that were hashed already, by name.

        Raises:
            Failed: the key cannot be read or made.
            OSError: the disk refuses.
        """
        key = self._key()
        hashes = {file: known.get(file) or digest(folder / file) for file in _files(folder)}
        payload = json.dumps(statement(name, hashes)).encode()
        bundle = {
            "mediaType": _BUNDLE,
            "verificationMaterial": {"publicKey": {"hint": _hint(key.public_key())}, "tlogEntries": []},
            "dsseEnvelope": {
                "payload": base64.b64encode(payload).decode(), "payloadType": _PAYLOAD,
                "signatures": [{
                    "sig": base64.b64encode(key.sign(_said(payload), ec.ECDSA(SHA256()))).decode(), "keyid": "",
                }],
            },
        }
        with written(folder / FILE) as out:
            out.write(json.dumps(bundle).encode())

    def verify(self, folder: Path, quick: bool = True) -> Signature:
        """Whether a folder is what was signed; reads all of it.

        Args:
            folder: The model.
            quick: Whether files that were verified before need not be read again, where size, times and inode of none
                have changed since.

        Raises:
            Failed: the key or a file cannot be read.
        """
        try:
            files = _files(folder)
            if not (folder / FILE).is_file():
                return self._unsigned(folder, "nobody signed it here")
            now = _state(folder, files)
            if quick and self._seen().get(str(folder)) == now:
                return Signature("yes")
            found = self._judged(folder, files)
        except OSError as error:
            raise Failed(f"{folder} cannot be read ({error.strerror}); it was not verified") from error
        if found.signed == "yes":
            self._remember(str(folder), now)
        return found

    def glance(self, folder: Path) -> str:
        """What can be said without reading the files: `yes` and `no` as `verify` says, else `unverified`."""
        if not (folder / FILE).is_file():
            return self._unsigned(folder).signed
        with suppress(OSError):
            if self._seen().get(str(folder)) == _state(folder, _files(folder)):
                return "yes"
        return "unverified"

    def keep(self, folder: Path) -> None:
        """Takes a folder for verified that has just been signed, as it is now.

        Raises:
            OSError: it cannot be read.
        """
        self._remember(str(folder), _state(folder, _files(folder)))

    def _judged(self, folder: Path, files: list[str]) -> Signature:
        seed = self._file.read()
        if seed is None:
            return Signature("no", f"the key that it was signed with is not in {self._folder}")
        public = _private(seed).public_key()
        try:
            bundle = json.loads((folder / FILE).read_bytes())
            if bundle["verificationMaterial"]["publicKey"].get("hint") != _hint(public):
                return self._unsigned(folder, "another key than this home's has signed it")
            envelope = bundle["dsseEnvelope"]
            payload = base64.b64decode(envelope["payload"], validate=True)
            public.verify(
                base64.b64decode(envelope["signatures"][0]["sig"], validate=True), _said(payload), ec.ECDSA(SHA256())
            )
            said = json.loads(payload)
            signed = {item["name"]: item["digest"] for item in said["predicate"]["resources"]}
            if (envelope["payloadType"], said["_type"], said["predicateType"]) != (_PAYLOAD, _STATEMENT, _PREDICATE):
                raise ValueError
        except (InvalidSignature, ValueError, KeyError, TypeError, IndexError, AttributeError):
            return Signature("altered", f"{FILE} is not what was signed")
        odd = sorted(signed.keys() ^ set(files))
        if odd:
            return Signature("altered", f"{odd[0]} {'is missing' if odd[0] in signed else 'came later'}")
        changed = next((file for file in files if digest(folder / file) != signed[file]), None)
        return Signature("altered", f"{changed} was changed") if changed else Signature("yes")

    def _unsigned(self, folder: Path, why: str = "") -> Signature:
        """What a folder without a signature of this home is: altered, where it had one before."""
        if str(folder) in self._seen():
            return Signature("altered", "its signature was taken away; if you know by whom, sign it anew")
        return Signature("no", why)

    def _key(self) -> ec.EllipticCurvePrivateKey:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        key = _private(self._file.make())
        public = self._folder / "public.pem"
        if not public.exists():
            with written(public) as out:
                out.write(_pem(key.public_key()))
        return key

    def _seen(self) -> dict[str, Any]:
        with suppress(OSError, ValueError):
            found = json.loads((self._folder / _SEEN).read_bytes())
            return found if isinstance(found, dict) else {}
        return {}

    def _remember(self, folder: str, state: Any) -> None:
        seen = {name: kept for name, kept in self._seen().items() if Path(name).is_dir()} | {folder: state}
        with suppress(OSError), written(self._folder / _SEEN) as out:  # then it is read again the next time
            out.write(json.dumps(seen).encode())


def statement(name: str, hashes: Mapping[str, str]) -> dict[str, Any]:
    """The in-toto statement over files: their hashes, and one of all of them in the order of their names."""
    whole = hashlib.sha256(b"".join(bytes.fromhex(hashes[file]) for file in sorted(hashes))).hexdigest()
    return {
        "_type": _STATEMENT, "subject": [{"name": name, "digest": {"sha256": whole}}], "predicateType": _PREDICATE,
        "predicate": {
            "serialization": {
                "method": "files", "hash_type": "sha256", "allow_symlinks": False, "ignore_paths": [FILE],
            },
            "resources": [
                {"name": file, "algorithm": "sha256", "digest": hashes[file]} for file in sorted(hashes)
            ],
        },
    }


def _files(folder: Path) -> list[str]:
    """Every file but the signature, by its path within the folder."""
    there = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir())
    return sorted(file for file in there if file != FILE)


def _state(folder: Path, files: list[str]) -> list[Any]:
    found = [(file, (folder / file).stat()) for file in (FILE, *files)]  # of what a link leads to
    return [[file, info.st_ino, info.st_size, info.st_mtime_ns, info.st_ctime_ns] for file, info in found]


def _private(seed: bytes) -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(int.from_bytes(seed, "big") % (_ORDER - 1) + 1, ec.SECP256R1())


def _pem(key: ec.EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def _hint(key: ec.EllipticCurvePublicKey) -> str:
    return hashlib.sha256(_pem(key)).hexdigest()


def _said(payload: bytes) -> bytes:
    """What is signed: DSSE's pre-authentication encoding, v1."""
    return b"DSSEv1 %d %s %d %s" % (len(_PAYLOAD), _PAYLOAD.encode(), len(payload), payload)
