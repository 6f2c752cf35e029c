"""The table client x operation: what there is to try, how a trial ends, how the result is shown."""

import json
import time
import traceback
from dataclasses import asdict, dataclass, field
from pathlib import Path

from harness.install import InstallFault, Installer
from harness.session import Failure, Session

# Column title -> the client's method. In this order: later ones use what earlier ones made.
OPERATIONS = {
    "register": "register",
    "http-01": "http_01",
    "dns-01": "dns_01",
    "tls-alpn-01": "tls_alpn_01",
    "renew": "renew",
    "ARI": "ari",
    "revoke": "revoke",
    "update": "update",
    "key change": "key_change",
    "deactivate": "deactivate",
}


class Client:
    """One stock client. Each operation is a method that returns when all of it held and raises `Failure` otherwise.

    `register` is with external account binding everywhere. `lacks` names the operations that the client itself
    has no means for, with the reason that the table prints; they are not tried.
    """

    name = ""
    title = ""
    lacks: dict[str, str] = {}
    # What cannot be tried against Pebble, for a reason that lies in Pebble.
    lacks_at_pebble: dict[str, str] = {}
    # The serial number of the certificate that `renew` renews.
    serial = ""

    def __init__(self, session: Session):
        self.session = session

    @classmethod
    def install(cls, installer: Installer) -> str:
        """Gets the client, remembers where its program is, and returns its version."""
        raise NotImplementedError


@dataclass
class Cell:
    """How one operation of one client ended."""

    outcome: str  # "ok", "FAIL" or "n/a"
    reason: str = ""
    log: str = ""
    seconds: float = 0.0


@dataclass
class Row:
    """One client with its cells by operation."""

    client: str
    title: str
    version: str = ""
    cells: dict[str, Cell] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def passed(self) -> bool:
        return all(cell.outcome != "FAIL" for cell in self.cells.values())


def try_client(client_class: type[Client], version: str, session: Session, say) -> Row:
    """Every operation once, in order. Without an account the rest is not tried, and that is a failure."""
    row = Row(client_class.name, client_class.title, version)
    begun = time.monotonic()
    client = client_class(session)
    registered = True
    lacks = client_class.lacks
    if session.environment.pebble_management:
        lacks = client_class.lacks_at_pebble | lacks
    for operation, method in OPERATIONS.items():
        if operation in lacks:
            row.cells[operation] = Cell("n/a", lacks[operation])
            continue
        if not registered:
            row.cells[operation] = Cell("FAIL", "not tried: no account")
            continue
        row.cells[operation] = cell = try_operation(client, operation, method, session)
        say(f"{row.client}: {operation}: {described(cell)}")
        registered = registered and not (operation == "register" and cell.outcome == "FAIL")
    row.seconds = round(time.monotonic() - begun, 1)
    return row


def try_operation(client: Client, operation: str, method: str, session: Session) -> Cell:
    session.log_to(operation)
    begun = time.monotonic()
    try:
        getattr(client, method)()
        cell = Cell("ok")
    except Failure as failure:
        cell = Cell("FAIL", " ".join(str(failure).split()), str(session.log_path))
    except Exception as fault:
        # A client that left no file where it always leaves one, a taken port, a slip in a driver: the others go on.
        session.note(traceback.format_exc())
        cell = Cell("FAIL", f"{type(fault).__name__}: {fault}", str(session.log_path))
    if cell.outcome == "FAIL":
        session.note(f"FAIL: {cell.reason}")
    cell.seconds = round(time.monotonic() - begun, 1)
    return cell


def missing(client_class: type[Client], fault: InstallFault) -> Row:
    """A client that could not be installed fails in every cell that it would have filled."""
    row = Row(client_class.name, client_class.title)
    for operation in OPERATIONS:
        if operation in client_class.lacks:
            row.cells[operation] = Cell("n/a", client_class.lacks[operation])
        else:
            row.cells[operation] = Cell("FAIL", f"not installed: {fault}")
    return row


def described(cell: Cell) -> str:
    if cell.outcome == "FAIL":
        return f"FAIL ({cell.reason}{', ' + cell.log if cell.log else ''})"
    return f"{cell.outcome} ({cell.reason})" if cell.reason else f"ok, {cell.seconds} s"


def table(rows: list[Row]) -> str:
    """The matrix in fixed columns, and below it the reason of each cell that is not ok."""
    head = ["client", "version", *OPERATIONS, "seconds"]
    lines = [
        [row.client, row.version or "-", *(row.cells[name].outcome for name in OPERATIONS), f"{row.seconds:.0f}"]
        for row in rows
    ]
    widths = [max(len(line[column]) for line in [head, *lines]) for column in range(len(head))]
    text = "\n".join("  ".join(word.ljust(width) for word, width in zip(line, widths)).rstrip() for line in [head, *lines])
    return text + "\n\n" + "\n".join(reasons(rows)) + "\n"


def markdown(rows: list[Row], server: str, day: str) -> str:
    """The same as a page for the results folder: no paths and no durations, so that it differs only where it matters."""
    head = ["client", "version", *OPERATIONS]
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    for row in rows:
        cells = [row.cells[name].outcome for name in OPERATIONS]
        lines.append("| " + " | ".join([row.title, row.version or "-", *cells]) + " |")
    grounds = [f"- {line.strip()}" for line in reasons(rows, with_logs=False)]
    return "\n".join(
        ["# Unmodified ACME clients", "", f"Server: {server}. Run on {day} by `conformance/clients/run`.", "", *lines, ""]
        + grounds
    ) + "\n"


def reasons(rows: list[Row], with_logs: bool = True) -> list[str]:
    """One line for each ground: the operations of a client that share it stand together."""
    lines = []
    for row in rows:
        grouped: dict[tuple[str, str], list[str]] = {}
        for operation, cell in row.cells.items():
            if cell.reason:
                ground = cell.reason + (f" [{cell.log}]" if cell.log and with_logs else "")
                grouped.setdefault((cell.outcome, ground), []).append(operation)
        for (outcome, ground), operations in grouped.items():
            lines.append(f"{row.client}: {', '.join(operations)}: {outcome}: {ground}")
    return lines


def write_json(path: Path, rows: list[Row]) -> None:
    path.write_text(json.dumps([asdict(row) | {"passed": row.passed} for row in rows], indent=2) + "\n")


def totals(rows: list[Row]) -> str:
    """The closing line: one count for each cell."""
    cells = [cell for row in rows for cell in row.cells.values()]
    passed, failed, absent = (sum(cell.outcome == outcome for cell in cells) for outcome in ("ok", "FAIL", "n/a"))
    return f"{passed} passed, {failed} failed, {absent} skipped"
