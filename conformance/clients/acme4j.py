"""The Java library acme4j, by a driver that uses it as the security servers of the national data exchange (X-Road) do."""

from pathlib import Path

from harness.install import Installer
from harness.library import LibraryClient

VERSION = "3.5.1"
DRIVER = Path(__file__).resolve().parent / "drivers/acme4j/Driver.java"


class Acme4j(LibraryClient):
    name = "acme4j"
    title = "acme4j (Java library), in X-Road's way"
    libraries: str

    @classmethod
    def install(cls, installer: Installer) -> str:
        folder = installer.maven(
            "acme4j", f"org.shredzone.acme4j:acme4j-client:{VERSION}", "org.slf4j:slf4j-simple:2.0.16",
        )
        cls.libraries = f"{folder}/lib/*"
        installer.run("javac", "-cp", cls.libraries, "-d", folder / "classes", DRIVER)
        cls.command = [
            "java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", f"{folder}/classes:{cls.libraries}", "-Dorg.slf4j.simpleLogger.defaultLogLevel=debug",
            "-Djavax.net.ssl.trustStore=roots.p12", "-Djavax.net.ssl.trustStorePassword=changeit", "Driver",
        ]
        return VERSION

    def register(self) -> None:
        # Java has a form of its own for trusted roots.
        self.session.command(
            "keytool", "-importcert", "-noprompt", "-file", self.session.environment.tls_root, "-keystore", "roots.p12",
            "-storetype", "PKCS12", "-storepass", "changeit",
        )
        super().register()


CLIENTS = (Acme4j,)
