"""Apache httpd of Debian 12 with mod_md: a web server that gets its own certificates while it runs."""

import os
import shutil
import socket
from pathlib import Path

from harness.install import InstallFault, Installer
from harness.matrix import Client
from harness.session import HOOKS, Failure, wait_until

MODULES = Path("/usr/lib/apache2/modules")
# mod_md looks at once, but its own pauses between polls are whole seconds.
ISSUANCE_SECONDS = 45


class ApacheModMd(Client):
    name = "apache-mod-md"
    title = "Apache mod_md (Debian 12)"
    lacks = {
        "revoke": "mod_md does not revoke",
        "update": "mod_md does not update contacts",
        "key change": "mod_md has no key change",
        "deactivate": "mod_md does not deactivate accounts",
    }

    @classmethod
    def install(cls, installer: Installer) -> str:
        # Without Debian's package apache2: that one would start a web server.
        version = installer.debian("apache2", "apache2-bin")
        if not (MODULES / "mod_md.so").is_file():
            raise InstallFault(f"there is no mod_md.so in {MODULES}")
        return version

    def configuration(self, name: str, challenge: str, *directives: str) -> Path:
        given, folder = self.session.environment, self.folder()
        root = folder / "tls-root.pem"
        shutil.copy(given.tls_root, root)
        root.chmod(0o644)
        # The checkout may lie where Apache's user cannot go.
        hooks = shutil.copytree(HOOKS, folder / "hooks", dirs_exist_ok=True)
        modules = ("mpm_event", "authz_core", "socache_shmcb", "ssl", "md")
        lines = [
            f"ServerRoot {folder}",
            "ServerName localhost",
            *(f"LoadModule {module}_module {MODULES}/mod_{module}.so" for module in modules),
            *(["User www-data", "Group www-data"] if os.geteuid() == 0 else []),
            f"PidFile {folder}/pid",
            f"DefaultRuntimeDir {folder}",
            "ErrorLog /dev/stderr",
            "LogLevel warn md:trace4",
            f"Listen 127.0.0.1:{given.http_01_port}",
            f"Listen 127.0.0.1:{given.tls_alpn_01_port}",
            "Protocols http/1.1 acme-tls/1",
            f"MDStoreDir {folder}/md",
            f"MDPortMap http:{given.http_01_port} https:{given.tls_alpn_01_port}",
            f"MDCertificateAuthority {given.directory}",
            "MDCertificateAgreement accepted",
            f"MDContactEmail admin@{self.session.name('mail')}",
            f"MDCACertificateFile {root}",
            f"MDExternalAccountBinding {given.eab_kid} {given.eab_hmac_key}",
            f"MDChallengeDns01 {hooks}/mod-md-dns",
            "MDChallengeDns01Version 2",
            f"MDCAChallenges {challenge}",
            "MDInitialDelay 0",
            "MDRetryDelay 5s",
            *directives,
            f"MDomain {name}",
            f"<VirtualHost 127.0.0.1:{given.http_01_port}>",
            f"ServerName {name}",
            "</VirtualHost>",
            f"<VirtualHost 127.0.0.1:{given.tls_alpn_01_port}>",
            f"ServerName {name}",
            "SSLEngine on",
            "</VirtualHost>",
        ]
        file = folder / "httpd.conf"
        file.write_text("\n".join(lines) + "\n")
        return file

    def folder(self) -> Path:
        """The server root: as root, Apache's children are another user and have to reach it."""
        folder = self.session.folder / "httpd"
        folder.mkdir(exist_ok=True)
        for outer in (folder, self.session.folder, self.session.folder.parent):
            outer.chmod(outer.stat().st_mode | 0o111)
        return folder

    def files(self, name: str) -> tuple[Path, Path]:
        folder = self.folder() / "md/domains" / name
        return folder / "pubcert.pem", folder / "privkey.pem"

    def obtained(self, name: str, challenge: str, *directives: str) -> str:
        """Runs Apache until a certificate is staged, then starts it once more, which is when mod_md takes it into use."""
        file = self.configuration(name, challenge, *directives)
        staged = self.folder() / "md/staging" / name
        with self.apache(file):
            wait_until(lambda: (staged / "pubcert.pem").is_file(), ISSUANCE_SECONDS, "mod_md got no certificate")
            # The key and its state are written after the certificate.
            wait_until(lambda: '"finished": true' in job(staged), ISSUANCE_SECONDS, "mod_md did not finish its job")
        with self.apache(self.configuration(name, challenge)):
            wait_until(lambda: not (staged / "pubcert.pem").is_file(), 10, "mod_md did not take the certificate into use")
        return self.session.check_issued(*self.files(name), name)

    def apache(self, file: Path):
        # Apache closes its listeners slowly: the next start needs them free.
        port = self.session.environment.http_01_port
        wait_until(lambda: is_free(port), 10, f"port {port} is still taken")
        return self.session.background("apache2", "-f", file, "-DFOREGROUND", port=port)

    def register(self) -> None:
        # mod_md registers with its first order.
        name = self.session.name("register")
        self.obtained(name, "http-01")
        accounts = list((self.folder() / "md/accounts").glob("*/account.json"))
        if not accounts:
            raise Failure("mod_md stored no account")

    def http_01(self) -> None:
        self.serial = self.obtained(self.session.name("http"), "http-01")

    def dns_01(self) -> None:
        self.obtained(self.session.name("dns"), "dns-01")

    def tls_alpn_01(self) -> None:
        self.obtained(self.session.name("alpn"), "tls-alpn-01")

    def renew(self) -> None:
        # A window longer than any certificate's life: every certificate is due.
        new_serial = self.obtained(self.session.name("http"), "http-01", "MDRenewWindow 3650d", "MDRenewViaARI off")
        self.session.check_renewed(self.serial, new_serial)

    def ari(self) -> None:
        """mod_md asks for the window of a certificate that is not due by itself; an early renewal says what it replaces."""
        name = self.session.name("register")
        old_serial = self.session.check_issued(*self.files(name), name)
        with self.apache(self.configuration(name, "http-01", "MDRenewViaARI on")):
            wait_until(lambda: "CA advises renew" in self.said(), 20, "mod_md read no renewal window")
        new_serial = self.obtained(name, "http-01", "MDRenewWindow 3650d", "MDRenewViaARI on")
        self.session.check_renewed(old_serial, new_serial)
        # Its account key is enciphered, so its own trace has to do.
        if '"replaces":' not in self.said():
            raise Failure("mod_md's order replaced nothing")

    def said(self) -> str:
        """What Apache has logged during this operation."""
        return self.session.log_path.read_text(errors="replace")


def job(staged: Path) -> str:
    file = staged / "job.json"
    return file.read_text() if file.is_file() else ""


def is_free(port: int) -> bool:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True


CLIENTS = (ApacheModMd,)
