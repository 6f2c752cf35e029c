"""acme-tiny, which knows no external account binding: it has to be refused, and its user has to read why."""

from pathlib import Path

from harness.install import Installer
from harness.matrix import OPERATIONS, Client
from harness.session import Failure

VERSION = "5.0.3"


class AcmeTiny(Client):
    name = "acme-tiny"
    title = "acme-tiny (PyPI), no EAB: ok = refused clearly"
    lacks = {
        operation: "acme-tiny has no external account binding, so it gets no account"
        for operation in OPERATIONS if operation != "register"
    }
    program: Path

    @classmethod
    def install(cls, installer: Installer) -> str:
        cls.program = installer.venv("acme-tiny", f"acme-tiny=={VERSION}") / "acme-tiny"
        return VERSION

    def register(self) -> None:
        folder = self.session.folder
        name = self.session.name("http")
        account, key, request = folder / "account.key", folder / "server.key", folder / "server.csr"
        self.session.command("openssl", "genrsa", "-out", account, "2048")
        self.session.command("openssl", "genrsa", "-out", key, "2048")
        self.session.command(
            "openssl", "req", "-new", "-key", key, "-subj", "/", "-addext", f"subjectAltName=DNS:{name}", "-out", request,
        )
        with self.session.webroot() as root:
            output = self.session.command(
                self.program, "--account-key", account, "--csr", request, "--acme-dir", root / ".well-known/acme-challenge",
                "--directory-url", self.session.environment.directory, status=None,
            )
        if "-----BEGIN CERTIFICATE-----" in output:
            raise Failure("acme-tiny got a certificate without external account binding")
        if "externalAccountRequired" not in output:
            raise Failure("acme-tiny was not told externalAccountRequired")


CLIENTS = (AcmeTiny,)
