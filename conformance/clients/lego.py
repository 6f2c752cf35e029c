"""lego: the newest 4.x as a Go module and the one of Debian 12; its own servers for http-01 and tls-alpn-01."""

import shutil
from pathlib import Path

from harness.account import Account
from harness.install import Installer
from harness.matrix import Client
from harness.session import HOOKS, Failure

MODULE = "github.com/go-acme/lego/v4"
VERSION = "4.35.2"


class Lego(Client):
    name = "lego"
    title = "lego (Go module)"
    lacks = {
        "update": "lego 4 has no command for contacts",
        "key change": "lego 4 has no command for a key change",
        "deactivate": "lego 4 has no command for deactivation",
    }
    program: Path
    no_propagation_check = "--dns.propagation-wait=1s"

    @classmethod
    def install(cls, installer: Installer) -> str:
        cls.program = installer.go("lego", f"{MODULE}/cmd/lego", f"{MODULE}@v{VERSION}")
        return VERSION

    def lego(self, how: list[str], name: str, *words: str, seconds: int = 60) -> str:
        given = self.session.environment
        variables = {
            "LEGO_CA_CERTIFICATES": str(given.tls_root),
            "LEGO_DISABLE_CNAME_SUPPORT": "true",
            "EXEC_PATH": f"{HOOKS}/lego-dns",
            "EXEC_POLLING_INTERVAL": "1",
            "EXEC_SEQUENCE_INTERVAL": "1",
        }
        return self.session.command(
            self.program, "--path", self.session.folder / "lego", "--server", given.directory, "--accept-tos",
            "--email", f"admin@{self.session.name('mail')}", "--eab", "--kid", given.eab_kid, "--hmac", given.eab_hmac_key,
            *how, "--domains", name, *words, env=variables, seconds=seconds,
        )

    def http(self) -> list[str]:
        return ["--http", "--http.port", f"127.0.0.1:{self.session.environment.http_01_port}"]

    def files(self, name: str) -> tuple[Path, Path]:
        folder = self.session.folder / "lego/certificates"
        return folder / f"{name}.crt", folder / f"{name}.key"

    def register(self) -> None:
        # lego has no command that only registers: `run` does it before its first order.
        name = self.session.name("register")
        self.lego(self.http(), name, "run")
        self.session.check_issued(*self.files(name), name)

    def http_01(self) -> None:
        name = self.session.name("http")
        self.lego(self.http(), name, "run")
        self.serial = self.session.check_issued(*self.files(name), name)

    def dns_01(self) -> None:
        name = self.session.name("dns")
        self.lego(["--dns", "exec", self.no_propagation_check, "--domains", f"*.{name}"], name, "run")
        self.session.check_issued(*self.dns_files(name), name, f"*.{name}")

    def dns_files(self, name: str) -> tuple[Path, Path]:
        # lego names its files after the first name.
        return self.files(f"_.{name}")

    def tls_alpn_01(self) -> None:
        name = self.session.name("alpn")
        self.lego(["--tls", "--tls.port", f"127.0.0.1:{self.session.environment.tls_alpn_01_port}"], name, "run")
        self.session.check_issued(*self.files(name), name)

    def renew(self) -> None:
        name = self.session.name("http")
        self.lego(self.http(), name, "renew", *self.renewal_words(), "--days", "10000")
        new_serial = self.session.check_issued(*self.files(name), name)
        self.session.check_renewed(self.serial, new_serial)

    def renewal_words(self) -> list[str]:
        return ["--no-random-sleep", "--ari-disable"]

    def ari(self) -> None:
        """Asks for the window, then renews with `replaces`."""
        name = self.session.name("register")
        chain, key = self.files(name)
        old_serial = self.session.check_issued(chain, key, name)
        old = self.session.folder / "replaced.pem"
        shutil.copy(chain, old)
        output = self.lego(self.http(), name, "renew", "--no-random-sleep", "--days", "10000")
        if "enewalInfo" not in output:
            raise Failure("lego says nothing of renewalInfo")
        self.session.check_renewed(old_serial, self.session.check_issued(chain, key, name))
        account_key = next((self.session.folder / "lego/accounts").rglob("*.key"))
        Account(self.session.environment, account_key, self.session.note).expect_replaced(old, name)

    def revoke(self) -> None:
        name = self.session.name("http")
        self.lego([], name, "revoke", "--keep", "--reason", "4")
        self.session.check_revoked(self.files(name)[0])


class DebianLego(Lego):
    name = "lego-debian"
    title = "lego (Debian 12)"
    lacks = Lego.lacks | {"ARI": "this version does not ask for renewal information"}
    no_propagation_check = "--dns.disable-cp"

    @classmethod
    def install(cls, installer: Installer) -> str:
        cls.program = installer.debian_unpacked("lego", "usr/bin/lego")
        return installer.unpacked_version("lego")

    def renewal_words(self) -> list[str]:
        return ["--no-random-sleep"]


CLIENTS = (Lego, DebianLego)
