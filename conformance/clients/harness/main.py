"""The command line: which server, which clients, where the results go."""

import argparse
import contextlib
import datetime
import importlib
import os
import shutil
import sys
import tempfile
from pathlib import Path

from harness import environment, matrix, pebble, server
from harness.environment import EnvironmentFault
from harness.install import InstallFault, Installer
from harness.matrix import Client, Row
from harness.session import Session

REPOSITORY = Path(__file__).resolve().parents[3]
# Files beside `run`; each has its clients in CLIENTS.
MODULES = (
    "certbot", "lego", "dehydrated", "uacme", "apache_mod_md", "caddy", "instant_acme", "npm_acme_client",
    "python_acme", "acme4j", "acme_tiny",
)
# What continuous integration runs: families that share no code, quick to install.
CI = ("certbot", "lego-debian", "dehydrated", "uacme")


def main() -> int:
    wanted = arguments()
    known = all_clients()
    if wanted.list:
        for client in known.values():
            print(f"{client.name:22} {client.title}")
        return 0
    try:
        if wanted.env and not wanted.env.is_file():
            raise EnvironmentFault(f"{wanted.env}: no such file (the server writes it when it is ready)")
        chosen = selected(known, wanted)
        return run(wanted, chosen)
    except (EnvironmentFault, InstallFault) as fault:
        print(f"run: {fault}", file=sys.stderr)
        return 2


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="run", description="Drives unmodified ACME clients and prints what they could do.")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--env", type=Path, metavar="FILE", help="dev.env of a running server")
    where.add_argument("--start", type=Path, metavar="BINARY", help="start this sote-acme for the run and stop it at the end")
    where.add_argument("--pebble", action="store_true", help="run against Pebble instead: a check of this runner itself")
    parser.add_argument("--clients", metavar="NAME,...", help="only these (default: all; see --list)")
    parser.add_argument("--ci", action="store_true", help=f"only {', '.join(CI)}")
    parser.add_argument("--list", action="store_true", help="print the clients and exit")
    parser.add_argument("--install-only", action="store_true", help="get the clients and exit")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the table there")
    parser.add_argument("--work", type=Path, metavar="DIR", help="logs and the clients' state (default: a new folder in /tmp)")
    parser.add_argument("--cache", type=Path, metavar="DIR", default=default_cache(), help="installed clients (default: %(default)s)")
    parser.add_argument("--binary", type=Path, metavar="FILE", help="sote-acme for `dns add` with --env (default: the newest build in target/)")
    parser.add_argument("--http-01-port", type=int, default=environment.HTTP_01_PORT, metavar="PORT", help="with --env (default: %(default)s)")
    parser.add_argument("--tls-alpn-01-port", type=int, default=environment.TLS_ALPN_01_PORT, metavar="PORT", help="with --env (default: %(default)s)")
    wanted = parser.parse_args()
    if not (wanted.env or wanted.start or wanted.pebble or wanted.list or wanted.install_only):
        parser.error("one of --env, --start and --pebble is needed")
    return wanted


def default_cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sote-acme-clients"


def all_clients() -> dict[str, type[Client]]:
    found = [client for name in MODULES for client in importlib.import_module(name).CLIENTS]
    return {client.name: client for client in found}


def selected(known: dict[str, type[Client]], wanted: argparse.Namespace) -> list[type[Client]]:
    names = wanted.clients.split(",") if wanted.clients else CI if wanted.ci else list(known)
    for name in names:
        if name not in known:
            raise EnvironmentFault(f"no client is called {name}; there are: {', '.join(known)}")
    return [known[name] for name in names]


def run(wanted: argparse.Namespace, chosen: list[type[Client]]) -> int:
    installer = Installer(wanted.cache.expanduser().resolve(), say)
    folder = (wanted.work or Path(tempfile.mkdtemp(prefix="sote-acme-clients-"))).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    # What an earlier run left in the same --work would pass for this run's.
    for earlier in ("server", "pebble", *all_clients()):
        shutil.rmtree(folder / earlier, ignore_errors=True)
    installer.need_tool("openssl", "openssl")
    installed = [(client, *installation(client, installer)) for client in chosen]
    if wanted.install_only:
        return 0 if all(isinstance(outcome, str) for _, outcome in installed) else 1
    rows: list[Row] = []
    with running(wanted, installer, folder) as target:
        say(f"server {target.directory}, logs in {folder}")
        for client, outcome in installed:
            if isinstance(outcome, InstallFault):
                rows.append(matrix.missing(client, outcome))
            else:
                rows.append(matrix.try_client(client, outcome, Session(target, folder / client.name, client.name), say))
    report(wanted, rows)
    return 0 if rows and all(row.passed for row in rows) else 1


def installation(client: type[Client], installer: Installer) -> tuple[str | InstallFault]:
    try:
        return (client.install(installer),)
    except InstallFault as fault:
        say(f"{client.name}: not installed: {fault}")
        return (fault,)


@contextlib.contextmanager
def running(wanted: argparse.Namespace, installer: Installer, folder: Path):
    """The server that the options name."""
    if wanted.pebble:
        with pebble.started(installer, folder / "pebble") as target:
            yield target
    elif wanted.start:
        with server.started(wanted.start.resolve(), folder) as target:
            yield target
    else:
        yield environment.read(
            wanted.env, (wanted.binary or built()), wanted.http_01_port, wanted.tls_alpn_01_port,
        )


def built() -> Path | None:
    """The newest sote-acme that this checkout built."""
    target = Path(os.environ.get("CARGO_TARGET_DIR") or REPOSITORY / "target")
    programs = [program for kind in ("release", "debug") if (program := target / kind / "sote-acme").is_file()]
    return max(programs, key=lambda program: program.stat().st_mtime, default=None)


def report(wanted: argparse.Namespace, rows: list[Row]) -> None:
    print()
    print(matrix.table(rows))
    print(matrix.totals(rows))
    if wanted.json:
        matrix.write_json(wanted.json, rows)
    if wanted.markdown:
        name = f"Pebble {pebble.VERSION}" if wanted.pebble else "sote-acme dev"
        wanted.markdown.write_text(matrix.markdown(rows, name, datetime.date.today().isoformat()))


def say(text: str) -> None:
    print(f"[{datetime.datetime.now():%H:%M:%S}] {text}", flush=True)
