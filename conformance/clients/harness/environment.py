"""What a running server says about itself: the shell lines of its dev.env, read into named values."""

import os
import shlex
from dataclasses import dataclass
from pathlib import Path

HTTP_01_PORT = 5002
TLS_ALPN_01_PORT = 5001


class EnvironmentFault(Exception):
    """The server's description is missing, incomplete or names files that are not there."""


@dataclass
class Environment:
    """One running ACME server, as the clients need to know it."""

    directory: str
    organisation_directory: str
    tls_root: Path
    issuer_root: Path
    eab_kid: str
    eab_hmac_key: str
    state: Path
    http_01_port: int = HTTP_01_PORT
    tls_alpn_01_port: int = TLS_ALPN_01_PORT
    # The address of the DNS responder that validation asks, for clients that look up their zone there.
    dns: str = "127.0.0.1:8053"
    # Set for Pebble only: where its DNS responder and its certificate states are managed.
    pebble_dns: str = ""
    pebble_management: str = ""
    # The server's own program: sets TXT records in the embedded DNS responder.
    binary: Path | None = None

    @property
    def publishes_revocations(self) -> bool:
        """False for Pebble, which has neither OCSP nor CRLs."""
        return not self.pebble_management


def read(path: Path, binary: Path | None, http_01_port: int, tls_alpn_01_port: int) -> Environment:
    """Reads a dev.env; the ports given hold only where the file does not name them itself."""
    if not path.is_file():
        raise EnvironmentFault(f"{path}: no such file (the server writes it when it is ready)")
    values = assignments(path.read_text())

    def needed(name: str) -> str:
        if not values.get(name):
            raise EnvironmentFault(f"{path}: no {name}")
        return values[name]

    def needed_file(name: str) -> Path:
        file = (path.parent / needed(name)).resolve()
        if not file.is_file():
            raise EnvironmentFault(f"{path}: {name} names {file}, which does not exist")
        return file

    return Environment(
        directory=needed("SOTE_ACME_DIRECTORY"),
        organisation_directory=values.get("SOTE_ACME_ORGANISATION_DIRECTORY", ""),
        tls_root=needed_file("SOTE_ACME_TLS_ROOT"),
        issuer_root=needed_file("SOTE_ACME_ISSUER_ROOT"),
        eab_kid=needed("SOTE_ACME_EAB_KID"),
        eab_hmac_key=needed("SOTE_ACME_EAB_HMAC_KEY"),
        state=path.resolve().parent,
        http_01_port=int(values.get("SOTE_ACME_HTTP_01_PORT", http_01_port)),
        tls_alpn_01_port=int(values.get("SOTE_ACME_TLS_ALPN_01_PORT", tls_alpn_01_port)),
        dns=values.get("SOTE_ACME_DNS", "127.0.0.1:8053"),
        pebble_dns=values.get("PEBBLE_DNS", ""),
        pebble_management=values.get("PEBBLE_MANAGEMENT", ""),
        binary=binary,
    )


def assignments(text: str) -> dict[str, str]:
    """`NAME=value` shell lines, quoted or not, with or without `export`."""
    values = {}
    for line in text.splitlines():
        line = line.strip().removeprefix("export ")
        if not line or line.startswith("#"):
            continue
        name, separator, _ = line.partition("=")
        words = shlex.split(line)
        if separator and len(words) == 1:
            values[name] = words[0].partition("=")[2]
    return values


def client_environment() -> dict[str, str]:
    """The variables every client starts with: nothing that would send it through a proxy or to another server."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.lower().endswith("_proxy") and not name.startswith(("SOTE_", "LEGO_", "EAB_"))
    }
    return kept | {"NO_PROXY": "*", "LC_ALL": "C.UTF-8", "TZ": "UTC"}
