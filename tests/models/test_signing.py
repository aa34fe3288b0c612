"""Stored models are signed in the OpenSSF format; an altered one is never loaded, nor an unsigned one, if so set."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import stat
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from agentos.config import Settings
from agentos.errors import Failed
from agentos.models.beside import silent
from agentos.models.library import Library
from agentos.models.shelf import Shelf, Stored
from agentos.models.signing import FILE, Signer, statement

FILES = {"model.safetensors": os.urandom(3_000), "config.json": b"{}", "tokenizer/vocab.txt": b"a\nb\n"}
FACTS = {
    "name": "tiny", "description": "", "licence": "", "kind": "causal", "parameters": 1, "context": 8, "source": "here",
    "download": 0, "sha256": "", "pinned": False, "seconds": 0.0,
}


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path / "home" / "models")


@pytest.fixture
def stored(shelf: Shelf) -> Stored:
    work = shelf.begin("tiny")
    for name, data in FILES.items():
        (work / name).parent.mkdir(exist_ok=True)
        (work / name).write_bytes(data)
    return shelf.finish(work, FACTS)


def library(shelf: Shelf, signed: bool) -> Library:
    home = shelf.root.parent
    return Library(Settings(home=home, cache=home / "cache", signed_models=signed, offline=True), shelf, str)


def test_what_is_stored_is_signed_in_the_format_of_the_standard(shelf: Shelf, stored: Stored) -> None:
    bundle = json.loads((stored.path / FILE).read_text())
    assert bundle["mediaType"] == "application/vnd.dev.sigstore.bundle.v0.3+json"
    envelope = bundle["dsseEnvelope"]
    payload = base64.b64decode(envelope["payload"])
    said = json.loads(payload)
    assert said["predicateType"] == "https://model_signing/signature/v1.0"
    hashes = {item["name"]: item["digest"] for item in said["predicate"]["resources"]}
    assert list(hashes) == sorted([*FILES, "model.json"])
    assert all(hashes[name] == hashlib.sha256(data).hexdigest() for name, data in FILES.items())
    whole = hashlib.sha256(b"".join(bytes.fromhex(hashes[name]) for name in sorted(hashes))).hexdigest()
    assert said["subject"] == [{"name": "tiny", "digest": {"sha256": whole}}]
    pem = (shelf.root.parent / "signing" / "public.pem").read_bytes()
    assert bundle["verificationMaterial"]["publicKey"]["hint"] == hashlib.sha256(pem).hexdigest()
    key, signature = load_pem_public_key(pem), base64.b64decode(envelope["signatures"][0]["sig"])
    assert isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name == "secp256r1"
    encoded = b" ".join([b"DSSEv1", b"28", b"application/vnd.in-toto+json", str(len(payload)).encode(), payload])
    key.verify(signature, encoded, ec.ECDSA(SHA256()))
    with pytest.raises(InvalidSignature):
        key.verify(signature, encoded + b" ", ec.ECDSA(SHA256()))
    assert stat.S_IMODE((shelf.root.parent / "signing" / "key").stat().st_mode) == 0o600


def change(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))


@pytest.mark.parametrize("what", ["weights", "config", "card", "more", "less", "signature", "statement"])
async def test_any_change_is_found_and_nothing_is_loaded(shelf: Shelf, stored: Stored, what: str) -> None:
    assert await library(shelf, False).stored("tiny", silent) == stored
    match what:
        case "more":
            (stored.path / "modeling_tiny.py").write_text("import os")
        case "less":
            (stored.path / "tokenizer" / "vocab.txt").unlink()
        case "signature":
            change(stored.path / FILE)
        case "statement":
            bundle = json.loads((stored.path / FILE).read_text())
            forged = json.dumps(statement("tiny", {"config.json": hashlib.sha256(b"{}").hexdigest()})).encode()
            bundle["dsseEnvelope"]["payload"] = base64.b64encode(forged).decode()
            (stored.path / FILE).write_text(json.dumps(bundle))
        case _:
            names = {"weights": "model.safetensors", "config": "config.json", "card": "model.json"}
            path = stored.path / names[what]
            text = path.read_bytes()
            path.write_bytes(text.replace(b"here", b"hexe") if what == "card" else text[:-1] + bytes([text[-1] ^ 1]))
    assert shelf.signer.verify(stored.path).signed == "altered"
    for signed in (False, True):
        with pytest.raises(Failed, match=r"is not what was stored.*nothing was loaded"):
            await library(shelf, signed).stored("tiny", silent)


def forget(shelf: Shelf) -> None:
    """Makes a home of one that has never signed anything."""
    (shelf.signer._folder / "verified.json").unlink()


async def test_an_unsigned_one_is_refused_where_that_is_asked_for(shelf: Shelf, stored: Stored) -> None:
    (stored.path / FILE).unlink()
    forget(shelf)
    assert await library(shelf, False).stored("tiny", silent) == stored
    with pytest.raises(Failed, match=r"no signature that counts.*agentos models sign tiny"):
        await library(shelf, True).stored("tiny", silent)
    shelf.signer.sign(stored.path, "tiny", {})
    assert await library(shelf, True).stored("tiny", silent) == stored


async def test_what_another_home_has_signed_counts_as_unsigned(shelf: Shelf, stored: Stored, tmp_path: Path) -> None:
    Signer(tmp_path / "other").sign(stored.path, "tiny", {})
    forget(shelf)
    assert shelf.signer.verify(stored.path).signed == "no"
    with pytest.raises(Failed, match="another key"):
        await library(shelf, True).stored("tiny", silent)


@pytest.mark.parametrize("by", ["nobody", "another"])
async def test_one_whose_signature_was_taken_away_is_altered_until_it_is_signed_anew(
    shelf: Shelf, stored: Stored, tmp_path: Path, by: str
) -> None:
    (stored.path / FILE).unlink()
    if by == "another":
        Signer(tmp_path / "other").sign(stored.path, "tiny", {})
    else:
        assert shelf.signer.glance(stored.path) == "altered"
    assert shelf.signer.verify(stored.path).signed == "altered"
    with pytest.raises(Failed, match=r"signature was taken away.*nothing was loaded"):
        await library(shelf, False).stored("tiny", silent)
    shelf.signer.sign(stored.path, "tiny", {})
    assert await library(shelf, False).stored("tiny", silent) == stored


def test_a_model_that_was_verified_is_not_read_again_until_a_file_has_changed(shelf: Shelf, stored: Stored) -> None:
    weights = stored.path / "model.safetensors"
    assert shelf.signer.glance(stored.path) == "yes", "it was hashed when it was signed"
    before = weights.stat()
    change(weights)
    os.utime(weights, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert shelf.signer.glance(stored.path) == "unverified", "a time that was set back hides nothing"
    assert shelf.signer.verify(stored.path).signed == "altered"
    change(weights)
    assert shelf.signer.verify(stored.path).signed == "yes"
    assert Signer(shelf.root.parent).glance(stored.path) == "yes", "after a restart, too"
    assert shelf.signer.verify(stored.path, quick=False).signed == "yes"


def test_what_a_link_leads_to_is_read_again_when_it_has_changed(shelf: Shelf, stored: Stored, tmp_path: Path) -> None:
    weights = stored.path / "model.safetensors"
    os.rename(weights, far := tmp_path / "far")
    weights.symlink_to(far)
    assert shelf.signer.verify(stored.path).signed == "yes"
    change(far)
    assert shelf.signer.verify(stored.path).signed == "altered"
