"""Looks at certificates with the openssl program alone: no code of the server, no code of a client."""

import re
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path

from harness.environment import Environment

CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----\n?", re.DOTALL)
# Revocations are to be seen at once; the margin is for a slow machine.
REVOCATION_SECONDS = 10


class Wrong(Exception):
    """A certificate, an OCSP answer or a CRL is not what it should be."""


def openssl(*words: str | Path, given: bytes | None = None, note=lambda text: None) -> str:
    done = subprocess.run(
        ["openssl", *map(str, words)], input=given if given is not None else b"", stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, timeout=30,
    )
    output = done.stdout.decode(errors="replace")
    note(f"$ openssl {' '.join(map(str, words))}\n{output}")
    if done.returncode != 0:
        raise Wrong(f"openssl {words[0]}: {output.strip().splitlines()[-1] if output.strip() else 'no output'}")
    return output


def check_issued(environment: Environment, chain: Path, key: Path, names: tuple[str, ...], note) -> str:
    """Chain to the issuer root, purpose, exact names, the client's key, and not revoked; returns the serial number."""
    with Parts(chain) as parts:
        for name in names:
            hostname = name.replace("*", "any", 1)
            openssl(
                "verify", "-x509_strict", "-purpose", "sslserver", "-verify_hostname", hostname,
                "-CAfile", environment.issuer_root, "-untrusted", parts.chain, parts.leaf, note=note,
            )
        shown = openssl("x509", "-noout", "-ext", "subjectAltName", "-in", parts.leaf, note=note)
        found = sorted(re.findall(r"DNS:([^,\s]+)", shown))
        if found != sorted(names):
            raise Wrong(f"the certificate names {found} instead of {sorted(names)}")
        certified = openssl("x509", "-noout", "-pubkey", "-in", parts.leaf)
        own = openssl("pkey", "-pubout", "-in", key)
        if certified != own:
            raise Wrong("the certificate's key is not the client's")
        if environment.publishes_revocations:
            check_status(environment, parts, "good", note)
            if parts.serial in revoked_serials(parts, note):
                raise Wrong("the new certificate's serial number stands in the CRL")
        return parts.serial


def check_revoked(environment: Environment, chain: Path, note) -> None:
    """Both published places say revoked within a few seconds."""
    with Parts(chain) as parts:
        end = time.monotonic() + REVOCATION_SECONDS
        while True:
            try:
                return check_revoked_now(environment, parts, note)
            except Wrong:
                if time.monotonic() > end:
                    raise
                time.sleep(0.5)


def check_revoked_now(environment: Environment, parts: "Parts", note) -> None:
    if not environment.publishes_revocations:
        # Pebble has no OCSP and no CRL, but tells its operator.
        url = f"{environment.pebble_management}/cert-status-by-serial/{parts.serial.lower()}"
        answer = fetch(url, insecure=True).decode()
        note(f"{url}\n{answer}")
        if '"Revoked"' not in answer:
            raise Wrong("the certificate is not revoked")
        return
    check_status(environment, parts, "revoked", note)
    if parts.serial not in revoked_serials(parts, note):
        raise Wrong("the serial number is not in the CRL that the certificate names")


def check_status(environment: Environment, parts: "Parts", wanted: str, note) -> None:
    """Asks the OCSP responder that the certificate names, with a nonce, and verifies its answer."""
    url = openssl("x509", "-noout", "-ocsp_uri", "-in", parts.leaf).strip()
    if not url:
        raise Wrong("the certificate names no OCSP responder")
    answer = openssl(
        "ocsp", "-issuer", parts.issuer, "-cert", parts.leaf, "-url", url, "-CAfile", environment.issuer_root,
        "-verify_other", parts.chain, note=note,
    )
    if "Response verify OK" not in answer:
        raise Wrong("the OCSP answer does not verify")
    said = re.search(r"^.*leaf\.pem: (\w+)$", answer, re.MULTILINE)
    if not said or said.group(1) != wanted:
        raise Wrong(f"OCSP says {said.group(1) if said else 'nothing'} instead of {wanted}")


def revoked_serials(parts: "Parts", note) -> set[str]:
    """The serial numbers of the CRL at the URL in the certificate, after its signature was verified."""
    shown = openssl("x509", "-noout", "-ext", "crlDistributionPoints", "-in", parts.leaf)
    urls = re.findall(r"URI:(\S+)", shown)
    if not urls:
        raise Wrong("the certificate names no CRL")
    crl = fetch(urls[0])
    note(f"CRL: {urls[0]}, {len(crl)} bytes")
    verified = openssl("crl", "-inform", "DER", "-noout", "-CAfile", parts.issuer, given=crl, note=note)
    if "verify OK" not in verified:
        raise Wrong("the CRL is not signed by the certificate's issuer")
    listed = openssl("crl", "-inform", "DER", "-noout", "-text", given=crl)
    return {serial.upper() for serial in re.findall(r"Serial Number: ([0-9A-Fa-f]+)", listed)}


def fetch(url: str, insecure: bool = False) -> bytes:
    """A GET without any proxy; `insecure` only for Pebble's management port on this machine."""
    handlers: list = [urllib.request.ProxyHandler({})]
    if insecure:
        import ssl

        handlers.append(urllib.request.HTTPSHandler(context=ssl._create_unverified_context()))
    try:
        with urllib.request.build_opener(*handlers).open(url, timeout=10) as answer:
            return answer.read()
    except OSError as fault:
        raise Wrong(f"{url}: {fault}") from None


class Parts:
    """A chain file taken apart: the leaf, its issuer, the whole chain, in files that live as long as the block."""

    def __init__(self, chain: Path):
        if not chain.is_file():
            raise Wrong(f"there is no certificate file {chain.name}")
        self.pieces = CERTIFICATE.findall(chain.read_text(errors="replace"))
        if len(self.pieces) < 2:
            raise Wrong(f"{chain.name} holds {len(self.pieces)} certificates: the issuer's is missing")

    def __enter__(self) -> "Parts":
        self.folder = tempfile.TemporaryDirectory(prefix="certificate-")
        folder = Path(self.folder.name)
        self.leaf, self.issuer, self.chain = folder / "leaf.pem", folder / "issuer.pem", folder / "chain.pem"
        self.leaf.write_text(self.pieces[0])
        self.issuer.write_text(self.pieces[1])
        self.chain.write_text("".join(self.pieces[1:]))
        shown = openssl("x509", "-noout", "-serial", "-in", self.leaf)
        self.serial = shown.strip().partition("=")[2].upper()
        return self

    def __exit__(self, *_) -> None:
        self.folder.cleanup()
