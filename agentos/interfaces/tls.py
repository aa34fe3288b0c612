"""TLS: what an address that other machines can reach is served under, and what a client trusts."""

from __future__ import annotations

import ipaddress
import ssl
import stat
from contextlib import suppress
from pathlib import Path

from agentos.errors import UserError


def serving(cert: str, key: str) -> ssl.SSLContext:
    """TLS 1.2 or newer with a certificate (chain) and its key, both PEM.

    Raises:
        UserError: one of them is missing or cannot be read, they do not fit, or others may read the key.
    """
    if not cert or not key:
        raise UserError("TLS takes both AGENTOS_TLS_CERT and AGENTOS_TLS_KEY, two PEM files; nothing was served")
    own = Path(key).expanduser()
    with suppress(OSError):  # that it is not there is told below
        mode = stat.S_IMODE(own.stat().st_mode)
        if mode & 0o077:
            raise UserError(
                f"the TLS key {own} can be read by others (mode {mode:03o}); nothing was served. Run: chmod 600 {own}"
            )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(Path(cert).expanduser(), own, password=lambda: "")
    except (OSError, ValueError) as error:  # ssl's own errors are OSErrors, too
        why = getattr(error, "strerror", None) or getattr(error, "reason", None) or error
        raise UserError(f"TLS cannot be served with {cert} and {key}: {why}; nothing was served") from error
    return context


def names(cert: str) -> set[str]:
    """The host names and addresses that a certificate is for, in lower case.

    Raises:
        UserError: the file cannot be read.
    """
    from cryptography import x509  # only who serves TLS waits for it

    try:
        first = x509.load_pem_x509_certificates(Path(cert).expanduser().read_bytes())[0]
    except (OSError, ValueError) as error:
        raise UserError(f"the certificate {cert} cannot be read ({error}); nothing was served") from error
    try:
        said = first.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return set()
    hosts = {name.lower() for name in said.get_values_for_type(x509.DNSName)}
    return hosts | {str(address) for address in said.get_values_for_type(x509.IPAddress)}


def asking(ca: str) -> ssl.SSLContext:
    """What a client trusts: the system's authorities, and those in a PEM file.

    Raises:
        UserError: the file cannot be read.
    """
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca:
        try:
            context.load_verify_locations(Path(ca).expanduser())
        except (OSError, ValueError) as error:
            why = f"AGENTOS_CA names {ca!r}, which holds no certificate ({error}); nothing was sent"
            raise UserError(why) from error
    return context


def literal(host: str) -> str | None:
    """An IP address as it is written shortest; None where it is none."""
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        return None
