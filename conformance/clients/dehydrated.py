"""dehydrated of Debian 12: a shell script; web server and tls-alpn-01 responder are other programs, here the runner."""

from pathlib import Path

from harness.account import Account
from harness.install import Installer
from harness.matrix import Client
from harness.session import HOOKS


class Dehydrated(Client):
    name = "dehydrated"
    title = "dehydrated (Debian 12)"
    lacks = {
        "ARI": "dehydrated does not ask for renewal information",
        "key change": "dehydrated 0.7 has no command for a key change",
    }
    program: Path

    @classmethod
    def install(cls, installer: Installer) -> str:
        installer.need_tool("curl", "curl")
        # It calls hexdump too, though the package does not depend on it.
        installer.need_tool("hexdump", "bsdextrautils")
        cls.program = installer.debian_unpacked("dehydrated", "usr/bin/dehydrated")
        return installer.unpacked_version("dehydrated")

    def configure(self, contact: str) -> None:
        given = self.session.environment
        root = self.session.folder
        (root / "webroot/.well-known/acme-challenge").mkdir(parents=True, exist_ok=True)
        (root / "config").write_text(
            f'CA="{given.directory}"\nBASEDIR="{root}/dehydrated"\nWELLKNOWN="{root}/webroot/.well-known/acme-challenge"\n'
            f'CURL_OPTS="--cacert {given.tls_root}"\nCONTACT_EMAIL="{contact}"\nKEY_ALGO=prime256v1\n'
            f'EAB_KID="{given.eab_kid}"\nEAB_HMAC_KEY="{given.eab_hmac_key}"\nHOOK="{HOOKS}/dehydrated-dns"\nHOOK_CHAIN="no"\n'
        )
        (root / "dehydrated").mkdir(exist_ok=True)

    def dehydrated(self, *words: str | Path) -> str:
        return self.session.command(self.program, "--config", self.session.folder / "config", *words)

    def files(self, name: str) -> tuple[Path, Path]:
        folder = self.session.folder / "dehydrated/certs" / name
        return folder / "fullchain.pem", folder / "privkey.pem"

    def register(self) -> None:
        self.configure(f"admin@{self.session.name('mail')}")
        self.dehydrated("--register", "--accept-terms")

    def http_01(self) -> None:
        name = self.session.name("http")
        with self.session.webroot():
            self.dehydrated("--cron", "--challenge", "http-01", "--domain", f"{name} www.{name}")
        self.serial = self.session.check_issued(*self.files(name), name, f"www.{name}")

    def dns_01(self) -> None:
        name = self.session.name("dns")
        self.dehydrated("--cron", "--challenge", "dns-01", "--domain", f"{name} *.{name}")
        self.session.check_issued(*self.files(name), name, f"*.{name}")

    def tls_alpn_01(self) -> None:
        name = self.session.name("alpn")
        with self.session.alpn_responder(self.session.folder / "dehydrated/alpn-certs"):
            self.dehydrated("--cron", "--challenge", "tls-alpn-01", "--domain", name)
        self.session.check_issued(*self.files(name), name)

    def renew(self) -> None:
        name = self.session.name("http")
        with self.session.webroot():
            self.dehydrated("--cron", "--force", "--challenge", "http-01", "--domain", f"{name} www.{name}")
        self.session.check_renewed(self.serial, self.session.check_issued(*self.files(name), name, f"www.{name}"))

    def revoke(self) -> None:
        chain, _ = self.files(self.session.name("http"))
        # It renames what it revoked; the chain is kept for the check.
        kept = self.session.folder / "revoked.pem"
        kept.write_bytes(chain.read_bytes())
        self.dehydrated("--revoke", chain.parent / "cert.pem")
        self.session.check_revoked(kept)

    def update(self) -> None:
        contact = f"other@{self.session.name('mail')}"
        self.configure(contact)
        self.dehydrated("--account")
        self.account().expect_contacts(contact)

    def account(self) -> Account:
        key = next((self.session.folder / "dehydrated/accounts").rglob("account_key.pem"))
        return Account(self.session.environment, key, self.session.note)

    def deactivate(self) -> None:
        account = self.account()
        account.contacts()
        self.dehydrated("--deactivate")
        account.expect_deactivated()


CLIENTS = (Dehydrated,)
