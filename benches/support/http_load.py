"""Load on a server over HTTP: small requests by wrk or by threads, and large ones one after another."""

from __future__ import annotations

import re
import shutil
import socket
import statistics
import subprocess
import threading
from contextlib import ExitStack, closing
from pathlib import Path
from time import monotonic, perf_counter
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

CONNECTIONS = 32
EVENT = (
    '[{"event":"Page View","properties":{"token":"TOKEN","distinct_id":"user-NUMBER",'
    '"$insert_id":"RUN-NUMBER","$browser":"Chrome","$current_url":"https://shop.example/cart","$os":"Linux"}}]'
)
"""The event of a small request, as browsers send one."""
_FORM = {"Content-Type": "application/x-www-form-urlencoded"}


class Load(NamedTuple):
    """The figures of a load."""

    requests: int
    """The requests that were answered."""
    seconds: float
    p50: float
    """Milliseconds from a request to its answer, of which half take no longer."""
    p99: float

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.requests / self.seconds


def request_of(path: str, body: bytes, headers: dict[str, str]) -> bytes:
    """Return the bytes of a request."""
    lines = [f"POST {path} HTTP/1.1", "Host: bench", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def one_event_requests(port: int, token: str, run: str, seconds: float, folder: Path) -> Load:
    """Send one-event forms by `CONNECTIONS` connections for some seconds; each has its own number."""
    if shutil.which("wrk") is None:
        return by_threads(port, lambda number: _one_event(token, run, number), seconds)
    script = folder / f"{run}.lua"
    head, middle, tail = (
        f"data={quote(EVENT)}&verbose=0".replace("TOKEN", token).replace("RUN", run).split("NUMBER")
    )
    headers = "".join(f'wrk.headers["{name}"] = "{value}"\n' for name, value in _FORM.items())
    script.write_text(
        f'wrk.method = "POST"\n{headers}local n = 0\nrequest = function()\n  n = n + 1\n'
        f'  return wrk.format(nil, "/track/", nil, "{head}" .. n .. "{middle}" .. n .. "{tail}")\nend\n'
    )
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds:.0f}", "--latency", "-s", str(script)]
    printed = subprocess.run(
        [*command, f"http://127.0.0.1:{port}"], capture_output=True, text=True, check=True
    ).stdout
    return _read(printed)


def _one_event(token: str, run: str, number: int) -> bytes:
    event = EVENT.replace("TOKEN", token).replace("RUN", run).replace("NUMBER", str(number))
    return request_of("/track/", f"data={quote(event)}&verbose=0".encode(), _FORM)


def _read(printed: str) -> Load:
    """Return what wrk has printed.

    Raises:
        ValueError: A request failed.
    """
    if "Non-2xx" in printed or "Socket errors" in printed:
        raise ValueError(f"requests failed:\n{printed}")
    found = re.search(r"(\d+) requests in ([\d.]+)(ms|s|m)", printed)
    shares = dict(re.findall(r"^ +(50|99)% +(\S+)$", printed, re.MULTILINE))
    if found is None:
        raise ValueError(f"wrk printed something else:\n{printed}")
    seconds = _milliseconds(found[2] + found[3]) / 1000
    return Load(int(found[1]), seconds, _milliseconds(shares["50"]), _milliseconds(shares["99"]))


def _milliseconds(text: str) -> float:
    units = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0}
    found = re.fullmatch(r"([\d.]+)(us|ms|s|m)", text)
    if found is None:
        raise ValueError(f"wrk printed {text!r} for a time")
    return float(found[1]) * units[found[2]]


def by_threads(
    port: int,
    request: Callable[[int], bytes],
    seconds: float,
    connections: int = CONNECTIONS,
    most: int | None = None,
) -> Load:
    """Send requests by some connections for some seconds, or ``most`` of them; all must be taken.

    Raises:
        ValueError: An answer is another one than that.
    """
    numbers, taken, faults = iter(range(most or 10**12)), list[float](), list[bytes]()
    begin = monotonic()

    def send(connection: socket.socket) -> None:
        while monotonic() < begin + seconds and not faults:
            try:
                number = next(numbers)
            except StopIteration:
                return
            content = request(number)
            started = perf_counter()
            connection.sendall(content)
            answer = _answer(connection)
            taken.append(perf_counter() - started)
            if not answer.startswith(b"HTTP/1.1 200 "):
                faults.append(answer)

    with ExitStack() as stack:
        opened = [
            stack.enter_context(closing(socket.create_connection(("127.0.0.1", port))))
            for _ in range(connections)
        ]
        threads = [threading.Thread(target=send, args=(one,)) for one in opened]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    if faults:
        raise ValueError(f"a request failed: {faults[0][:500]!r}")
    return Load(len(taken), monotonic() - begin, *shares_of(taken))


def shares_of(seconds: Sequence[float]) -> tuple[float, float]:
    """Return the median and the 99th percentile in milliseconds."""
    if len(seconds) < 2:
        return (seconds[0] * 1000, seconds[0] * 1000) if seconds else (0.0, 0.0)
    parts = statistics.quantiles(seconds, n=100)
    return parts[49] * 1000, parts[98] * 1000


def _answer(connection: socket.socket) -> bytes:
    """Return the next answer whole.

    Raises:
        ConnectionError: The connection was closed.
    """
    found = b""
    while True:
        head, end, body = found.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: (\d+)", head)
        if end and len(body) >= (int(length[1]) if length else 0):
            return found
        more = connection.recv(1 << 16)
        if not more:
            raise ConnectionError(f"the connection was closed behind {found[:200]!r}")
        found += more
