"""The npm library acme-client, by a driver of its own."""

from pathlib import Path

from harness.install import Installer
from harness.library import LibraryClient

VERSION = "5.4.0"
DRIVER = Path(__file__).resolve().parent / "drivers/npm-acme-client/driver.js"


class NpmAcmeClient(LibraryClient):
    name = "npm-acme-client"
    title = "acme-client (npm library)"
    lacks = {"ARI": "acme-client does not ask for renewal information"}

    @classmethod
    def install(cls, installer: Installer) -> str:
        modules = installer.npm("acme-client", f"acme-client@{VERSION}") / "node_modules"
        installer.need_tool("node", "nodejs")
        cls.command = ["env", f"NODE_PATH={modules}", "node", DRIVER]
        return VERSION


CLIENTS = (NpmAcmeClient,)
