"""The Rust library instant-acme, by a driver crate of its own outside the workspace."""

import tomllib
from pathlib import Path

from harness.install import Installer
from harness.library import LibraryClient

DRIVER = Path(__file__).resolve().parent / "drivers/instant-acme"


class InstantAcme(LibraryClient):
    name = "instant-acme"
    title = "instant-acme (Rust library)"

    @classmethod
    def install(cls, installer: Installer) -> str:
        cls.command = [installer.cargo("instant-acme-driver", DRIVER)]
        locked = tomllib.loads((DRIVER / "Cargo.lock").read_text())["package"]
        return next(package["version"] for package in locked if package["name"] == "instant-acme")


CLIENTS = (InstantAcme,)
