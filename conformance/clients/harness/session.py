"""One client's run: its folder, its commands and their log, the helpers that answer challenges, the checks."""

import contextlib
import functools
import http.server
import os
import signal
import socket
import ssl
import subprocess
import threading
import time
from pathlib import Path

from harness import certificates
from harness.environment import Environment, client_environment

HOOKS = Path(__file__).resolve().parent.parent / "hooks"
COMMAND_SECONDS = 60


class Failure(Exception):
    """An operation did not do what it should; the text becomes the cell's reason."""


class Session:
    """Everything a client may use while one of its operations runs."""

    def __init__(self, environment: Environment, folder: Path, client: str):
        self.environment = environment
        self.folder = folder
        self.client = client
        self.log_path = folder / "start.log"
        folder.mkdir(parents=True, exist_ok=True)

    def log_to(self, operation: str) -> None:
        """Later output goes to the log of this operation."""
        self.log_path = self.folder / f"{operation.replace(' ', '-')}.log"

    def note(self, text: str) -> None:
        with self.log_path.open("a") as log:
            log.write(text.rstrip("\n") + "\n")

    def name(self, label: str) -> str:
        """A dns name of this client's own under `.test`."""
        return f"{label}.{self.client}.test"

    def variables(self, extra: dict[str, str] | None = None) -> dict[str, str]:
        """The environment of a client's process: trust in the server's TLS root and what the hooks need."""
        given = self.environment
        own = {
            "HOME": str(self.folder),
            "SSL_CERT_FILE": str(given.tls_root),
            "REQUESTS_CA_BUNDLE": str(given.tls_root),
            "CURL_CA_BUNDLE": str(given.tls_root),
            "NODE_EXTRA_CA_CERTS": str(given.tls_root),
            "CLIENTS_STATE": str(given.state),
            "CLIENTS_BINARY": str(given.binary or ""),
            "CLIENTS_DNS": given.dns,
            "CLIENTS_PEBBLE_DNS": given.pebble_dns,
            "CLIENTS_WEBROOT": str(self.folder / "webroot"),
        }
        return client_environment() | own | (extra or {})

    def command(
        self, *words: str | Path, env: dict[str, str] | None = None, status: int | None = 0,
        seconds: int = COMMAND_SECONDS, cwd: Path | None = None,
    ) -> str:
        """Runs a client's command to its end and returns what it printed; an unexpected exit status is a failure."""
        line = [str(word) for word in words]
        self.note(f"$ {' '.join(line)}")
        # A process group of its own: a client that overruns its time goes with all its children.
        process = subprocess.Popen(
            line, env=self.variables(env), cwd=cwd or self.folder, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", start_new_session=True,
        )
        try:
            output, _ = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            output, _ = process.communicate()
            self.note(output)
            raise Failure(f"{self.client} took more than {seconds} s") from None
        self.note(output + f"[exit status {process.returncode}]")
        if status is not None and process.returncode != status:
            raise Failure(f"{self.client} exited with {process.returncode}: {telling_line(output)}")
        return output

    @contextlib.contextmanager
    def background(self, *words: str | Path, env: dict[str, str] | None = None, port: int | None = None):
        """A client that stays up (a web server, a responder); it is ended with the block."""
        line = [str(word) for word in words]
        self.note(f"$ {' '.join(line)} &")
        with self.log_path.open("a") as log:
            process = subprocess.Popen(
                line, env=self.variables(env), cwd=self.folder, stdin=subprocess.DEVNULL,
                stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
            )
        try:
            if port is not None:
                wait_until(
                    lambda: process.poll() is not None or port_answers(port), 20,
                    f"{Path(line[0]).name} does not listen on port {port}",
                )
            if process.poll() is not None:
                raise Failure(f"{Path(line[0]).name} ended at once: {telling_line(self.log_path.read_text(errors='replace'))}")
            yield process
        finally:
            stop_group(process)

    @contextlib.contextmanager
    def webroot(self):
        """A plain web server on the http-01 port; hooks put the answers under the folder that it serves."""
        root = self.folder / "webroot"
        (root / ".well-known/acme-challenge").mkdir(parents=True, exist_ok=True)
        handler = functools.partial(QuietFiles, directory=str(root))
        server = Listener(("127.0.0.1", self.environment.http_01_port), handler)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield root
        finally:
            server.shutdown()
            server.server_close()
            thread.join()

    @contextlib.contextmanager
    def alpn_responder(self, folder: Path):
        """Answers tls-alpn-01 with NAME.crt.pem and NAME.key.pem of a folder, as dehydrated leaves to others."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.set_alpn_protocols(["acme-tls/1"])

        def choose(connection: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> int | None:
            if name is None or not (folder / f"{name}.crt.pem").is_file():
                return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
            chosen = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            chosen.set_alpn_protocols(["acme-tls/1"])
            chosen.load_cert_chain(folder / f"{name}.crt.pem", folder / f"{name}.key.pem")
            connection.context = chosen
            return None

        context.sni_callback = choose
        listener = socket.create_server(("127.0.0.1", self.environment.tls_alpn_01_port))
        ended = threading.Event()

        def serve() -> None:
            while not ended.is_set():
                try:
                    plain, _ = listener.accept()
                except OSError:
                    return
                # A validator may look and leave: no connection is worth more than a line.
                with contextlib.suppress(OSError), plain:
                    plain.settimeout(5)
                    with context.wrap_socket(plain, server_side=True) as secured:
                        secured.recv(1)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
            thread.join(timeout=6)

    def check_issued(self, chain: Path, key: Path, *names: str) -> str:
        """The whole check of a new certificate; returns its serial number in hexadecimal."""
        try:
            return certificates.check_issued(self.environment, chain, key, names, self.note)
        except certificates.Wrong as wrong:
            raise Failure(str(wrong)) from None

    def check_revoked(self, chain: Path) -> None:
        """OCSP says revoked and the serial number stands in the CRL that the certificate names."""
        try:
            certificates.check_revoked(self.environment, chain, self.note)
        except certificates.Wrong as wrong:
            raise Failure(str(wrong)) from None

    def check_renewed(self, old_serial: str, new_serial: str) -> None:
        if not old_serial:
            raise Failure("there was no certificate to renew")
        if old_serial == new_serial:
            raise Failure("the certificate is still the old one")


class QuietFiles(http.server.SimpleHTTPRequestHandler):
    """Files without a line on the terminal for each request."""

    def log_message(self, *_) -> None:
        pass


class Listener(http.server.ThreadingHTTPServer):
    allow_reuse_address = True
    daemon_threads = True


def telling_line(output: str) -> str:
    """The line of a client's output that most likely says what went wrong."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    if not lines:
        return "no output"
    marks = ("urn:ietf:params:acme:error", "error", "fail", "refused", "exception")
    for mark in marks:
        found = [line for line in lines if mark in line.lower()]
        if found:
            return found[-1][:200]
    return lines[-1][:200]


def port_answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def wait_until(holds, seconds: float, complaint: str) -> None:
    """Asks every tenth of a second until it holds; a failure with the complaint when the time is over."""
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            raise Failure(complaint)
        time.sleep(0.1)


def stop_group(process: subprocess.Popen, seconds: float = 10) -> None:
    """Ends a process that this runner started, and its children: asked first, then not asked."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, sign)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=seconds)
            return
