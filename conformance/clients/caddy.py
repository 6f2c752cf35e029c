"""Caddy: the newest 2.x as a Go module, with a dns module of our own, and Debian's as it is."""

import json
from pathlib import Path

from harness.install import Installer
from harness.matrix import Client
from harness.session import HOOKS, Failure, wait_until

MODULE = "github.com/caddyserver/caddy/v2"
VERSION = "2.11.9"
DRIVER = Path(__file__).resolve().parent / "drivers/caddy"
ISSUANCE_SECONDS = 45


class Caddy(Client):
    name = "caddy"
    title = "Caddy (Go module)"
    lacks = {
        "revoke": "Caddy does not revoke by command",
        "update": "Caddy does not update contacts",
        "key change": "Caddy has no key change",
        "deactivate": "Caddy does not deactivate accounts",
    }
    lacks_at_pebble = {"dns-01": "Pebble's DNS responder answers no SOA, by which Caddy finds the zone"}
    program: Path

    @classmethod
    def install(cls, installer: Installer) -> str:
        cls.program = installer.go("caddy", ".", f"{MODULE}@v{VERSION}", DRIVER)
        return VERSION

    def configuration(self, name: str, challenge: str, ratio: float | None) -> Path:
        given, folder = self.session.environment, self.session.folder
        challenges: dict = {
            "http": {"disabled": challenge != "http-01", "alternate_port": given.http_01_port},
            "tls-alpn": {"disabled": challenge != "tls-alpn-01", "alternate_port": given.tls_alpn_01_port},
            "bind_host": "127.0.0.1",
        }
        if challenge == "dns-01":
            # -1: no look of its own for the record, which would ask the system's resolver.
            challenges["dns"] = {
                "provider": {"name": "command", "command": str(HOOKS / "dns-record")}, "propagation_timeout": -1,
                "resolvers": [given.dns],
            }
        issuer = {
            "module": "acme", "ca": given.directory, "email": f"admin@{self.session.name('mail')}",
            "external_account": {"key_id": given.eab_kid, "mac_key": given.eab_hmac_key},
            "trusted_roots_pem_files": [str(given.tls_root)], "challenges": challenges,
        }
        policy: dict = {"subjects": [name], "issuers": [issuer], "key_type": "p256"}
        if ratio:
            policy["renewal_window_ratio"] = ratio
        file = folder / "caddy.json"
        file.write_text(json.dumps({
            "admin": {"disabled": True, "config": {"persist": False}},
            "storage": {"module": "file_system", "root": str(folder / "caddy")},
            "logging": {"logs": {"default": {"level": "DEBUG", "encoder": {"format": "console"}}}},
            "apps": {"tls": {"certificates": {"automate": [name]}, "automation": {"policies": [policy]}}},
        }, indent=2))
        return file

    def files(self, name: str) -> tuple[Path, Path]:
        folder = next((self.session.folder / "caddy/certificates").iterdir()) / name.replace("*", "wildcard_")
        return folder / f"{folder.name}.crt", folder / f"{folder.name}.key"

    def obtained(self, name: str, challenge: str, ratio: float | None = None) -> str:
        """Runs Caddy until it has stored a new certificate, then stops it."""
        file = self.configuration(name, challenge, ratio)
        with self.session.background(self.program, "run", "--config", file):
            wanted = "certificate renewed successfully" if ratio else "certificate obtained successfully"
            wait_until(lambda: wanted in self.said(), ISSUANCE_SECONDS, "Caddy got no certificate")
        return self.session.check_issued(*self.files(name), name)

    def said(self) -> str:
        return self.session.log_path.read_text(errors="replace")

    def register(self) -> None:
        # Caddy registers with its first order.
        self.serial = self.obtained(self.session.name("register"), "http-01")
        if not list((self.session.folder / "caddy/acme").glob("*/users/*/*.json")):
            raise Failure("Caddy stored no account")

    def http_01(self) -> None:
        self.obtained(self.session.name("http"), "http-01")

    def dns_01(self) -> None:
        self.obtained(f"*.{self.session.name('dns')}", "dns-01")

    def tls_alpn_01(self) -> None:
        self.obtained(self.session.name("alpn"), "tls-alpn-01")

    def renew(self) -> None:
        # A window as long as the certificate's life: due when Caddy starts.
        self.session.check_renewed(self.serial, self.obtained(self.session.name("register"), "http-01", ratio=1.0))

    def ari(self) -> None:
        """Caddy keeps the window beside the certificate. Its renewals do not say what they replace."""
        name = self.session.name("http")
        chain, _ = self.files(name)
        kept = json.loads((chain.parent / f"{name}.json").read_text())
        if "suggestedWindow" not in json.dumps(kept):
            raise Failure("Caddy stored no suggestedWindow")


class DebianCaddy(Caddy):
    name = "caddy-debian"
    title = "Caddy (Debian 12)"
    lacks = Caddy.lacks | {
        "ARI": "this version does not ask for renewal information",
        "dns-01": "Debian's Caddy has no dns module",
    }
    lacks_at_pebble = {
        operation: "Pebble gives Retry-After as a date now and then, which this Caddy cannot read"
        for operation in ("register", "http-01", "tls-alpn-01", "renew")
    }

    @classmethod
    def install(cls, installer: Installer) -> str:
        cls.program = installer.debian_unpacked("caddy", "usr/bin/caddy")
        return installer.unpacked_version("caddy")


CLIENTS = (Caddy, DebianCaddy)
