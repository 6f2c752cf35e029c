"""The Python library acme, on which certbot stands, by a driver of its own."""

from pathlib import Path

from harness.install import Installer
from harness.library import LibraryClient

VERSION = "5.9.0"
DRIVER = Path(__file__).resolve().parent / "drivers/python-acme/driver.py"


class PythonAcme(LibraryClient):
    name = "python-acme"
    title = "acme (PyPI library)"
    lacks = {
        "tls-alpn-01": "acme removed tls-alpn-01 in 5.0",
        "key change": "acme has no key change",
    }

    @classmethod
    def install(cls, installer: Installer) -> str:
        cls.command = [installer.venv("acme", f"acme=={VERSION}") / "python", DRIVER]
        return VERSION

    def ari(self) -> None:
        # The library reads the window; its newOrder has no `replaces`.
        self.read_window(self.files("renewed")[0])


CLIENTS = (PythonAcme,)
