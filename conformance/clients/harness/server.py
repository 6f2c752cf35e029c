"""Starts a server of our own for one run, on ports that nothing else uses, and stops it at the end."""

import contextlib
import os
import signal
import socket
import subprocess
import time
from pathlib import Path

from harness.environment import EnvironmentFault, read

READY_SECONDS = 60
STOP_SECONDS = 20


@contextlib.contextmanager
def started(binary: Path, folder: Path):
    """A fresh `dev` server: yields its environment; a server that does not stop by itself is an error too."""
    http_01_port, tls_alpn_01_port = free_ports(2)
    state = folder / "server"
    log_path = folder / "server.log"
    command = [
        str(binary), "dev", "--dir", str(state), "--listen", "127.0.0.1:0", "--public-listen", "127.0.0.1:0",
        "--dns-listen", "127.0.0.1:0", "--http-01-port", str(http_01_port), "--tls-alpn-01-port", str(tls_alpn_01_port),
    ]
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
        )
    try:
        await_file(state / "dev.env", process, log_path)
        environment = read(state / "dev.env", binary, http_01_port, tls_alpn_01_port)
        yield environment
        if process.poll() is not None:
            raise EnvironmentFault(f"the server ended during the run with {process.returncode}: see {log_path}")
    finally:
        stop(process)


def await_file(file: Path, process: subprocess.Popen, log_path: Path) -> None:
    """dev.env appears in one step when the server is ready."""
    end = time.monotonic() + READY_SECONDS
    while not file.is_file():
        if process.poll() is not None:
            raise EnvironmentFault(f"the server ended with {process.returncode} before it was ready: see {log_path}")
        if time.monotonic() > end:
            raise EnvironmentFault(f"the server was not ready in {READY_SECONDS} s: see {log_path}")
        time.sleep(0.05)


def stop(process: subprocess.Popen) -> None:
    for sign in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, sign)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=STOP_SECONDS)


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that nobody listened on a moment ago, below the range that outgoing connections take from."""
    found: list[int] = []
    candidate = 20000 + os.getpid() % 10000
    while len(found) < count:
        candidate += 1
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", candidate)):
            found.append(candidate)
    return found
