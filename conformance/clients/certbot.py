"""certbot: the newest from PyPI and the one of Debian 12, both with the standalone and the manual plugin."""

from pathlib import Path

from harness.account import Account
from harness.install import Installer
from harness.matrix import Client
from harness.session import HOOKS, Failure

VERSION = "5.8.0"
NO_TLS_ALPN = "no plugin of certbot answers tls-alpn-01"
NO_KEY_CHANGE = "certbot has no command for a key change"


class Certbot(Client):
    name = "certbot"
    title = "certbot (PyPI)"
    lacks = {"tls-alpn-01": NO_TLS_ALPN, "key change": NO_KEY_CHANGE}
    program: Path

    @classmethod
    def install(cls, installer: Installer) -> str:
        cls.program = installer.venv("certbot", f"certbot=={VERSION}") / "certbot"
        return VERSION

    def certbot(self, *words: str, status: int | None = 0) -> str:
        folder = self.session.folder
        return self.session.command(
            self.program, *words, "--non-interactive", "--server", self.session.environment.directory,
            "--config-dir", folder / "config", "--work-dir", folder / "work", "--logs-dir", folder / "logs",
            status=status,
        )

    def lineage(self, name: str) -> tuple[Path, Path]:
        folder = self.session.folder / "config/live" / name
        return folder / "fullchain.pem", folder / "privkey.pem"

    def register(self) -> None:
        given = self.session.environment
        self.certbot(
            "register", "--agree-tos", "--no-eff-email", "-m", f"admin@{self.session.name('mail')}",
            "--eab-kid", given.eab_kid, "--eab-hmac-key", given.eab_hmac_key,
        )

    def http_01(self) -> None:
        names = [self.session.name("http"), self.session.name("www.http")]
        self.certbot("certonly", *self.standalone(), "-d", ",".join(names))
        self.serial = self.session.check_issued(*self.lineage(names[0]), *names)

    def standalone(self) -> list[str]:
        port = str(self.session.environment.http_01_port)
        return ["--standalone", "--http-01-address", "127.0.0.1", "--http-01-port", port]

    def dns_01(self) -> None:
        # The wildcard beside its parent needs two TXT values at one name at the same time.
        name = self.session.name("dns")
        hook = f"{HOOKS}/certbot-dns"
        self.certbot(
            "certonly", "--manual", "--preferred-challenges", "dns", "--manual-auth-hook", f"{hook} add",
            "--manual-cleanup-hook", f"{hook} remove", "-d", f"{name},*.{name}",
        )
        self.session.check_issued(*self.lineage(name), name, f"*.{name}")

    def renew(self) -> None:
        name = self.session.name("http")
        self.certbot("renew", "--cert-name", name, "--force-renewal", "--no-random-sleep-on-renew")
        chain, key = self.lineage(name)
        self.session.check_renewed(self.serial, self.session.check_issued(chain, key, name, self.session.name("www.http")))

    def ari(self) -> None:
        # certbot asks for the window of a certificate that is not yet due and keeps Retry-After in the lineage's file.
        name = self.session.name("http")
        output = self.certbot("renew", "--cert-name", name, "--no-random-sleep-on-renew")
        if "not due for renewal" not in output:
            raise Failure("certbot found a new certificate due for renewal")
        kept = (self.session.folder / f"config/renewal/{name}.conf").read_text()
        if "ari_retry_after" not in kept:
            raise Failure("certbot kept no ari_retry_after: it did not get a renewalInfo answer")

    def revoke(self) -> None:
        chain, _ = self.lineage(self.session.name("http"))
        self.certbot("revoke", "--cert-path", str(chain), "--reason", "superseded", "--no-delete-after-revoke")
        self.session.check_revoked(chain)

    def account(self) -> Account:
        key = next((self.session.folder / "config/accounts").rglob("private_key.json"))
        return Account(self.session.environment, key, self.session.note)

    def update(self) -> None:
        email = f"other@{self.session.name('mail')}"
        self.certbot("update_account", "--no-eff-email", "-m", email)
        self.account().expect_contacts(email)

    def deactivate(self) -> None:
        account = self.account()
        account.contacts()
        self.certbot("unregister")
        account.expect_deactivated()


class DebianCertbot(Certbot):
    name = "certbot-debian"
    title = "certbot (Debian 12)"
    lacks = Certbot.lacks | {"ARI": "this version does not ask for renewal information"}

    @classmethod
    def install(cls, installer: Installer) -> str:
        version = installer.debian("certbot", "certbot")
        # Not the first certbot on the PATH: another one may stand before Debian's.
        cls.program = Path("/usr/bin/certbot")
        return version


CLIENTS = (Certbot, DebianCertbot)
