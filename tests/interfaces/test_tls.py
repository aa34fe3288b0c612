"""An address that other machines can reach: TLS or nothing."""

from __future__ import annotations

import datetime
import http.client
import ipaddress
import json
import re
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from agentos.errors import UserError
from agentos.interfaces import tls
from agentos.interfaces.server import address

from .conftest import Agentos, kill
from .test_server import until_ready


def certificate(folder: Path, *hosts: str) -> tuple[Path, Path]:
    """A certificate that nobody but itself vouches for, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "agentos of the test")])
    now = datetime.datetime.now(datetime.UTC)
    said: list[x509.GeneralName] = [
        x509.IPAddress(ipaddress.ip_address(host)) if host[0].isdigit() else x509.DNSName(host) for host in hosts
    ]
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(said), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    cert, own = folder / "cert.pem", folder / "key.pem"
    cert.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    own.touch(0o600)
    own.write_bytes(key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ))
    return cert, own


@dataclass(frozen=True)
class Served:
    """A system that every machine could reach."""

    agentos: Agentos
    port: int
    key: str
    cert: Path


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, script: object) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("tls")
    cert, key = certificate(folder, "localhost", "127.0.0.1", "*.example.org")
    agentos = Agentos(folder / "home", script)  # type: ignore[arg-type]
    agentos.home.mkdir(mode=0o700)
    (agentos.home / "config.toml").write_text(f'tls_cert = "{cert}"\ntls_key = "{key}"\n')
    with agentos.popen("serve", "--http", "0.0.0.0:0") as server:
        seen = until_ready(server)
        found = re.search(r"https://0\.0\.0\.0:(\d+)", seen)
        assert found, seen
        made = agentos.json("keys", "create", "--json", "--user", "ada", "--role", "admin")
        yield Served(agentos, int(found[1]), str(made["key"]), cert)
        kill(agentos)
        assert server.stderr
        server.stderr.read()


def client(served: Served, *args: str, **settings: str) -> subprocess.CompletedProcess[str]:
    env = {**served.agentos.env, "AGENTOS_HOME": str(served.cert.parent / "elsewhere"), "AGENTOS_KEY": served.key}
    env |= {"AGENTOS_URL": f"https://127.0.0.1:{served.port}", **settings}
    return subprocess.run(
        [sys.executable, "-m", "agentos", *args], env=env, text=True, capture_output=True, timeout=120, check=False
    )


def test_a_client_that_trusts_the_certificate_is_served(served: Served) -> None:
    done = client(served, "status", "--json", AGENTOS_CA=str(served.cert))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["ready"] is True


def test_a_client_that_does_not_sends_nothing_and_says_what_to_do(served: Served) -> None:
    done = client(served, "status")
    assert done.returncode == 1
    assert "certificate" in done.stderr + done.stdout and "AGENTOS_CA" in done.stderr + done.stdout
    missing = client(served, "status", AGENTOS_CA="/nowhere.pem")
    assert missing.returncode == 2 and "holds no certificate" in missing.stderr


def test_what_speaks_no_tls_or_an_old_one_is_not_answered(served: Served) -> None:
    plain = http.client.HTTPConnection("127.0.0.1", served.port, timeout=30)
    with pytest.raises((OSError, http.client.HTTPException)):
        plain.request("GET", "/v1/status", headers={"Authorization": f"Bearer {served.key}"})
        plain.getresponse()
    plain.close()
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    old.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning):
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    bare = socket.create_connection(("127.0.0.1", served.port), 30)
    with old.wrap_socket(bare, do_handshake_on_connect=False) as wrapped, pytest.raises(OSError):
        wrapped.do_handshake()


@pytest.mark.parametrize(
    ("host", "status"),
    [("gpu-1.example.org", 200), ("localhost", 200), ("evil.example", 403), ("a.gpu-1.example.org", 403)],
)
def test_it_answers_under_the_certificate_s_names_alone(served: Served, host: str, status: int) -> None:
    connection = http.client.HTTPSConnection("127.0.0.1", served.port, timeout=30, context=tls.asking(str(served.cert)))
    connection.request("GET", "/v1/status", headers={"Authorization": f"Bearer {served.key}", "Host": host})
    assert connection.getresponse().status == status
    connection.close()


def test_a_key_that_others_may_read_a_missing_one_and_another_s_are_refused(tmp_path: Path, fresh: Agentos) -> None:
    cert, key = certificate(tmp_path, "localhost")
    (tmp_path / "other").mkdir()
    _, other = certificate(tmp_path / "other", "localhost")
    with pytest.raises(UserError, match="both"):
        tls.serving(str(cert), "")
    with pytest.raises(UserError, match="nothing was served"):
        tls.serving(str(cert), str(other))
    with pytest.raises(UserError, match="nothing was served"):
        tls.serving(str(cert), str(tmp_path / "no.pem"))
    key.chmod(0o644)
    fresh.home.mkdir(mode=0o700)
    (fresh.home / "config.toml").write_text(f'tls_cert = "{cert}"\ntls_key = "{key}"\n')
    done = fresh.run("serve", "--http", "0.0.0.0:0")
    assert done.returncode == 2 and "chmod 600" in done.stderr


def test_with_tls_any_address_of_this_machine_is_served_and_without_it_loopback_alone() -> None:
    assert address("0.0.0.0:8075", True) == ("0.0.0.0", 8075)
    assert address("[::]:8075", True) == ("::", 8075)
    assert address("127.0.0.1:8075") == ("127.0.0.1", 8075)
    with pytest.raises(UserError, match="AGENTOS_TLS_CERT"):
        address("0.0.0.0:8075")
    with pytest.raises(UserError, match=r"0\.0\.0\.0"):
        address("gpu-1.example.org:8075", True)


def test_a_connection_on_which_no_request_comes_is_cut_off(served: Served) -> None:
    with socket.create_connection(("127.0.0.1", served.port), 60) as bare:
        wrapped = tls.asking(str(served.cert)).wrap_socket(bare, server_hostname="localhost")
        with wrapped:
            wrapped.sendall(b"GET /v1/status HT")
            assert wrapped.recv(1) == b""
