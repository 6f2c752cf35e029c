"""Clients that are libraries: a small driver program around each, with the same commands for all of them.

    register EMAIL                        order TYPE FILES NAME... [--replaces CERTIFICATE]
    renewal-info CERTIFICATE              revoke CERTIFICATE
    update EMAIL                          key-change
    deactivate

`order` writes FILES.pem (the chain) and FILES.key. The account is kept in the file `account` of the working folder.
Everything else comes by environment variables: DRIVER_DIRECTORY, DRIVER_TLS_ROOT, DRIVER_EAB_KID,
DRIVER_EAB_HMAC_KEY, DRIVER_WEBROOT (folder of http-01 answers), DRIVER_ALPN (folder of tls-alpn-01 certificates,
NAME.crt.pem and NAME.key.pem), DRIVER_DNS (the command `add|remove NAME VALUE`).
"""

from pathlib import Path

from harness.account import ALREADY_REPLACED
from harness.matrix import Client
from harness.session import HOOKS, Failure

# npm's acme-client tells the status, not the type.
DEACTIVATED = ("unauthorized", "RESP 401", "RESP 403")


class LibraryClient(Client):
    """The operations in the driver's commands."""

    command: list[str | Path]

    def driver(self, *words: str | Path, status: int | None = 0) -> str:
        given, session = self.session.environment, self.session
        return session.command(*self.command, *words, status=status, env={
            "DRIVER_DIRECTORY": given.directory,
            "DRIVER_TLS_ROOT": str(given.tls_root),
            "DRIVER_EAB_KID": given.eab_kid,
            "DRIVER_EAB_HMAC_KEY": given.eab_hmac_key,
            "DRIVER_WEBROOT": str(session.folder / "webroot/.well-known/acme-challenge"),
            "DRIVER_ALPN": str(self.alpn_folder()),
            "DRIVER_DNS": f"{HOOKS}/dns-record",
        })

    def alpn_folder(self) -> Path:
        folder = self.session.folder / "alpn"
        folder.mkdir(exist_ok=True)
        return folder

    def files(self, label: str) -> tuple[Path, Path]:
        return self.session.folder / f"{label}.pem", self.session.folder / f"{label}.key"

    def order_by_http(self, label: str, names: list[str], *words: str | Path) -> str:
        with self.session.webroot():
            self.driver("order", "http-01", self.session.folder / label, *names, *words)
        return self.session.check_issued(*self.files(label), *names)

    def register(self) -> None:
        self.driver("register", f"admin@{self.session.name('mail')}")

    def http_01(self) -> None:
        self.serial = self.order_by_http("http", self.names())

    def names(self) -> list[str]:
        return [self.session.name("http"), self.session.name("www.http")]

    def dns_01(self) -> None:
        name = self.session.name("dns")
        self.driver("order", "dns-01", self.session.folder / "dns", name, f"*.{name}")
        self.session.check_issued(*self.files("dns"), name, f"*.{name}")

    def tls_alpn_01(self) -> None:
        name = self.session.name("alpn")
        with self.session.alpn_responder(self.alpn_folder()):
            self.driver("order", "tls-alpn-01", self.session.folder / "alpn-certificate", name)
        self.session.check_issued(*self.files("alpn-certificate"), name)

    def renew(self) -> None:
        self.session.check_renewed(self.serial, self.order_by_http("renewed", self.names()))

    def ari(self) -> None:
        """The window of a certificate, an order that replaces it, and the refusal of a second one."""
        chain, _ = self.files("renewed")
        self.read_window(chain)
        self.order_by_http("replacing", self.names(), "--replaces", chain)
        self.expect_refusal(ALREADY_REPLACED, "order", "http-01", self.session.folder / "twice", *self.names(), "--replaces", chain)

    def read_window(self, chain: Path) -> None:
        output = self.driver("renewal-info", chain)
        if "window " not in output:
            raise Failure("the driver printed no window")

    def expect_refusal(self, signs: tuple[str, ...], *words: str | Path) -> None:
        with self.session.webroot():
            output = self.driver(*words, status=1)
        if not any(sign in output for sign in signs):
            raise Failure(f"the server did not refuse with {signs[0]}")

    def revoke(self) -> None:
        chain, _ = self.files("http")
        self.driver("revoke", chain)
        self.session.check_revoked(chain)

    def update(self) -> None:
        self.driver("update", f"other@{self.session.name('mail')}")

    def key_change(self) -> None:
        """The new key must be able to order."""
        before = (self.session.folder / "account").read_bytes()
        self.driver("key-change")
        if (self.session.folder / "account").read_bytes() == before:
            raise Failure("the account still has the old key")
        self.order_by_http("newkey", [self.session.name("newkey")])

    def deactivate(self) -> None:
        """Afterwards the account's key orders nothing."""
        self.driver("deactivate")
        self.expect_refusal(DEACTIVATED, "order", "http-01", self.session.folder / "after", self.session.name("after"))
