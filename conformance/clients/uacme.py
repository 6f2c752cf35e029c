"""uacme of Debian 12: a small C client whose hook answers challenges, and its own responder ualpn for tls-alpn-01."""

import os
import shutil
from pathlib import Path

from harness.account import Account
from harness.install import Installer
from harness.matrix import Client
from harness.session import HOOKS

SYSTEM_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")


class Uacme(Client):
    name = "uacme"
    title = "uacme (Debian 12)"
    lacks = {"ARI": "uacme does not ask for renewal information"}

    @classmethod
    def install(cls, installer: Installer) -> str:
        version = installer.debian("uacme", "uacme")
        installer.need_tool("unshare", "util-linux")
        return version

    def uacme(self, *words: str | Path, hook: str = "uacme-http") -> str:
        given = self.session.environment
        return self.session.command(
            *self.with_own_roots(), "uacme", "--verbose", "--yes", "--confdir", self.session.folder / "uacme", "--type", "EC",
            "--acme-url", given.directory, "--hook", f"{HOOKS}/{hook}", *words,
            env={"UALPN_SOCKET": str(self.socket())},
        )

    def with_own_roots(self) -> list[str]:
        """uacme trusts the system's bundle only, so it sees another one in a mount namespace of its own."""
        bundle = self.session.folder / "roots.pem"
        shutil.copy(self.session.environment.tls_root, bundle)
        namespaces = ["--mount"] if os.geteuid() == 0 else ["--mount", "--map-root-user"]
        script = f'mount --bind "{bundle}" {SYSTEM_BUNDLE} && exec "$@"'
        return ["unshare", *namespaces, "sh", "-c", script, "uacme"]

    def socket(self) -> Path:
        return self.session.folder / "ualpn.sock"

    def files(self, name: str) -> tuple[Path, Path]:
        folder = self.session.folder / "uacme"
        return folder / name / "cert.pem", folder / "private" / name / "key.pem"

    def register(self) -> None:
        given = self.session.environment
        self.uacme("--eab", f"{given.eab_kid}:{given.eab_hmac_key}", "new", f"admin@{self.session.name('mail')}")

    def http_01(self) -> None:
        name = self.session.name("http")
        with self.session.webroot():
            self.uacme("issue", name, f"www.{name}")
        self.serial = self.session.check_issued(*self.files(name), name, f"www.{name}")

    def dns_01(self) -> None:
        name = self.session.name("dns")
        self.uacme("issue", name, f"*.{name}", hook="uacme-dns")
        self.session.check_issued(*self.files(name), name, f"*.{name}")

    def tls_alpn_01(self) -> None:
        name = self.session.name("alpn")
        port = self.session.environment.tls_alpn_01_port
        # What is not a validation goes to the web server that ualpn stands before: here there is none.
        with self.session.background(
            "ualpn", "--bind", f"127.0.0.1@{port}", "--connect", "127.0.0.1@9", "--sock", self.socket(), "--verbose", port=port,
        ):
            self.uacme("issue", name, hook="uacme-alpn")
        self.session.check_issued(*self.files(name), name)

    def renew(self) -> None:
        name = self.session.name("http")
        with self.session.webroot():
            self.uacme("--force", "issue", name, f"www.{name}")
        self.session.check_renewed(self.serial, self.session.check_issued(*self.files(name), name, f"www.{name}"))

    def revoke(self) -> None:
        chain, _ = self.files(self.session.name("http"))
        kept = self.session.folder / "revoked.pem"
        shutil.copy(chain, kept)
        self.uacme("--reason", "4", "revoke", chain)
        self.session.check_revoked(kept)

    def update(self) -> None:
        email = f"other@{self.session.name('mail')}"
        self.uacme("update", email)
        self.account().expect_contacts(email)

    def account(self) -> Account:
        return Account(self.session.environment, self.session.folder / "uacme/private/key.pem", self.session.note)

    def key_change(self) -> None:
        """The new key must be able to order."""
        account_key = self.session.folder / "uacme/private/key.pem"
        before = account_key.read_bytes()
        self.uacme("newkey")
        if account_key.read_bytes() == before:
            raise ValueError("uacme still has the old account key")
        name = self.session.name("newkey")
        with self.session.webroot():
            self.uacme("issue", name)
        self.session.check_issued(*self.files(name), name)

    def deactivate(self) -> None:
        account = self.account()
        account.contacts()
        self.uacme("deactivate")
        account.expect_deactivated()


CLIENTS = (Uacme,)
