"""Pebble in the server's place: the control that tells a fault of a client's driver from a fault of the server."""

import contextlib
import json
import shutil
import ssl
import subprocess
import time
import urllib.request
from pathlib import Path

from harness.environment import Environment, EnvironmentFault
from harness.install import Installer
from harness.server import free_ports, stop

# The last one whose challenges all have a token: without it uacme fails by chance.
VERSION = "2.7.0"
MODULE = "github.com/letsencrypt/pebble/v2"
KID = "clients"
HMAC_KEY = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"


@contextlib.contextmanager
def started(installer: Installer, folder: Path):
    """Pebble with external account binding required and its own DNS responder; yields the environment."""
    pebble, responder = (
        installer.go(name, f"{MODULE}/cmd/{name}", f"{MODULE}@v{VERSION}") for name in ("pebble", "pebble-challtestsrv")
    )
    folder.mkdir(parents=True, exist_ok=True)
    acme, management, http_01, tls_alpn_01, dns, dns_management = free_ports(6)
    tls_root, certificate, key = tls_files(folder)
    (folder / "pebble.json").write_text(json.dumps({"pebble": {
        "listenAddress": f"127.0.0.1:{acme}", "managementListenAddress": f"127.0.0.1:{management}",
        "certificate": str(certificate), "privateKey": str(key), "httpPort": http_01, "tlsPort": tls_alpn_01,
        "ocspResponderURL": "", "retryAfter": {"authz": 1, "order": 1},
        "externalAccountBindingRequired": True, "externalAccountMACKeys": {KID: HMAC_KEY},
        "keyAlgorithm": "ecdsa",
        "profiles": {"default": {"description": "the only one", "validityPeriod": 7776000}},
    }}))
    # Debian's dehydrated never retries after badNonce.
    variables = {"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "0", "PEBBLE_AUTHZREUSE": "0", "PEBBLE_VA_ALWAYS_VALID": "0"}
    with (folder / "pebble.log").open("wb") as log:
        processes = [
            subprocess.Popen(command, env=variables, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
            for command in (
                [responder, "-http01", "", "-https01", "", "-tlsalpn01", "", "-doh", "", "-defaultIPv6", "",
                 "-dns01", f"127.0.0.1:{dns}", "-management", f"127.0.0.1:{dns_management}"],
                [pebble, "-config", folder / "pebble.json", "-strict", "-dnsserver", f"127.0.0.1:{dns}"],
            )
        ]
    try:
        root = folder / "issuer-root.pem"
        root.write_bytes(awaited(f"https://localhost:{management}/roots/0"))
        yield Environment(
            directory=f"https://localhost:{acme}/dir", organisation_directory="", tls_root=tls_root, issuer_root=root,
            eab_kid=KID, eab_hmac_key=HMAC_KEY, state=folder, http_01_port=http_01, tls_alpn_01_port=tls_alpn_01,
            dns=f"127.0.0.1:{dns}", pebble_dns=f"http://127.0.0.1:{dns_management}", pebble_management=f"https://localhost:{management}",
        )
    finally:
        for process in processes:
            stop(process)


def tls_files(folder: Path) -> tuple[Path, Path, Path]:
    """A root and a certificate of localhost for Pebble's own listeners."""
    if not shutil.which("openssl"):
        raise EnvironmentFault("openssl is not installed")
    root, root_key, request = folder / "tls-root.pem", folder / "tls-root.key", folder / "tls.csr"
    certificate, key, extensions = folder / "tls.pem", folder / "tls.key", folder / "tls.extensions"
    extensions.write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth\n")
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    for command in (
        ["req", "-x509", *curve, "-keyout", root_key, "-out", root, "-days", "30", "-subj", "/CN=Pebble's TLS root"],
        ["req", "-new", *curve, "-keyout", key, "-out", request, "-subj", "/CN=localhost"],
        ["x509", "-req", "-in", request, "-CA", root, "-CAkey", root_key, "-CAcreateserial", "-days", "30",
         "-extfile", extensions, "-out", certificate],
    ):
        subprocess.run(["openssl", *map(str, command)], check=True, capture_output=True)
    return root, certificate, key


def awaited(url: str) -> bytes:
    end = time.monotonic() + 20
    while True:
        try:
            with urllib.request.urlopen(url, context=ssl._create_unverified_context(), timeout=2) as answer:
                return answer.read()
        except OSError as fault:
            if time.monotonic() > end:
                raise EnvironmentFault(f"Pebble does not answer: {fault}") from None
            time.sleep(0.1)
