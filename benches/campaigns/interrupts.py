"""Interrupted commits and compactions: after each one the writer must be as good as before.

    python -m benches.campaigns.interrupts [INTERRUPTS] [--seed SEED] [--folder FOLDER]

By default 40,000 interrupts. Each is a KeyboardInterrupt, as of Ctrl-C. Some are raised before a
chosen bytecode of the call, one bytecode after the other from the first to the last of each kind of
call, harder than any signal can come; others are raised by a timer, wherever that finds the call.
Now and then the next attempt is interrupted as well.

After each, somebody who reads the journal finds all of the commit or nothing of it. Then the call
is made again and must go through, and the journal must say what a resolver says that was never
interrupted: nothing is stuck, nothing lost, nothing doubled.
"""

from __future__ import annotations

import random
import signal
import sys
import tempfile
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from benches.support.campaign import campaign_options, run_campaign
from idmerge import DurableResolver, Kind
from idmerge.errors import RetractionError
from idmerge.journal import commit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from types import FrameType

INTERRUPTS = 40_000
_BLOCK = 1200
"""Bytes in a batch: little, so that the larger commits have some."""
_A_JOURNAL = 30
"""Calls after which a new journal is begun, so that it stays short."""


class BeforeBytecode:
    """Raises KeyboardInterrupt before the bytecode with this number, in any function."""

    def __init__(self, number: int) -> None:
        self._left = number

    def __call__(self, frame: FrameType, event: str, _: Any) -> BeforeBytecode:
        """Count a bytecode."""
        frame.f_trace_opcodes = True
        if event == "opcode":
            if self._left == 0:
                raise KeyboardInterrupt
            self._left -= 1
        return self

    def interrupts(self, call: Callable[[], Any]) -> bool:
        """Return whether it interrupted a call."""
        sys.settrace(self)
        try:
            call()
        except KeyboardInterrupt:
            return True
        finally:
            sys.settrace(None)
        return False


class AfterSeconds:
    """Raises KeyboardInterrupt when so many seconds have passed."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def interrupts(self, call: Callable[[], Any]) -> bool:
        """Return whether it interrupted a call."""
        try:
            signal.signal(signal.SIGALRM, _interrupt)
            signal.setitimer(signal.ITIMER_REAL, self._seconds)
            try:
                call()
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
        except KeyboardInterrupt:
            return True
        return False


def _interrupt(*_: Any) -> None:
    raise KeyboardInterrupt


@dataclass
class Call:
    """A call that is to be interrupted, and what is applied before it."""

    name: str
    apply: Callable[[DurableResolver, int], Any]
    make: Callable[[DurableResolver, int], Any]


def _apply_some(resolver: DurableResolver, number: int) -> None:
    resolver.identify(f"{number:08x}-0000-4000-8000-000000000000", f"user {number % 7}")
    resolver.observe(f"seen {number}")
    if number % 5 == 4:
        with suppress(RetractionError):  # It may be taken back already, or forgotten.
            resolver.retract(number % resolver.position)


def _apply_many(resolver: DurableResolver, number: int) -> None:
    names = [f"a longer name {number} {row}" for row in range(60)]
    resolver.link_many(Kind.MERGE, names[:-1], names[1:])


def _forget(resolver: DurableResolver, number: int) -> None:
    resolver.merge(f"kept {number}", f"forgotten {number}")
    resolver.commit()
    resolver.forget(f"forgotten {number}")


def _offsets(number: int) -> dict[str, int | str | None]:
    return {"source": number, f"part {number % 3}": None if number % 2 else f"at {number}"}


CALLS = (
    Call("commit", _apply_some, lambda resolver, _: resolver.commit()),
    Call("commit with offsets", _apply_some, lambda resolver, number: resolver.commit(_offsets(number))),
    Call("commit in blocks", _apply_many, lambda resolver, number: resolver.commit(_offsets(number))),
    Call("compact", _forget, lambda resolver, _: resolver.compact()),
)
_SHARES = (4, 4, 2, 1)


class Writers:
    """Resolvers with journals, one after the other, each with a twin that nobody interrupts."""

    def __init__(self, folder: Path, url: Callable[[], str] | None) -> None:
        self._folder = folder
        self._url = url
        self._calls = 0
        self._names = count()
        self.path: str | Path = ":memory:"
        self.ours = self.twin = self._reader = DurableResolver.open(":memory:")

    def next(self) -> int:
        """Make sure that the journal is short; return the number of the next call."""
        if self._calls % _A_JOURNAL == 0:
            self.close()
            self.path = self._url() if self._url else self._folder / f"journal {next(self._names)}"
            self.ours, self.twin = DurableResolver.open(self.path), DurableResolver.open(":memory:")
            self._reader = DurableResolver.open(self.path, read_only=True)
        self._calls += 1
        return self._calls

    def close(self) -> None:
        """Close them; what is there then is read from its beginning."""
        if self._calls:
            with DurableResolver.open(self.path, read_only=True) as reader:
                if said(reader) != said(self.twin):
                    raise AssertionError(f"{self.path}: it is read back as something else")
        for resolver in (self.ours, self.twin, self._reader):
            resolver.close()

    def found(self) -> Any:
        """Return what somebody finds who reads the journal."""
        self._reader.refresh()
        return said(self._reader)

    def check(self, expected: Sequence[Any]) -> None:
        """Make sure that who reads the journal finds one of these.

        Raises:
            AssertionError: It is something else.
        """
        found = self.found()
        if found not in expected:
            raise AssertionError(f"{self.path}: {found} is there, expected one of {expected}")


def said(resolver: DurableResolver) -> Any:
    return [resolver.mapping().to_pydict(), resolver.position, resolver.offsets, resolver.stats()]


def _interrupt_once(
    writers: Writers, call: Call, ways: Sequence[BeforeBytecode | AfterSeconds], counts: Counter[str]
) -> bool:
    """Interrupt a call, and its repetition if there is a second way; return whether it was."""
    number = writers.next()
    before = said(writers.twin)
    for resolver in (writers.ours, writers.twin):
        call.apply(resolver, number)
    between = before if call.name != "compact" else writers.found()
    call.make(writers.twin, number)
    after = said(writers.twin)
    were = []
    for way in ways:
        was = way.interrupts(lambda: call.make(writers.ours, number))
        were.append(was)
        counts["interrupts"] += was
        writers.check([between, after] if was else [after])
    try:
        call.make(writers.ours, number)
    except Exception as error:
        raise AssertionError(f"{writers.path}: {call.name} does not go through any more") from error
    if writers.ours.uncommitted or said(writers.ours) != after:
        raise AssertionError(f"{writers.path}: the writer is not what it was told")
    writers.check([after])
    return were[0]


def interrupt(
    interrupts: int, folder: Path, seed: int = 0, url: Callable[[], str] | None = None
) -> Counter[str]:
    """Interrupt so often, and return how many interrupts hit which calls.

    Raises:
        AssertionError: A call did not go through later, or the journal is not what was committed.
    """
    drawn = random.Random(seed)
    counts: Counter[str] = Counter()
    writers = Writers(folder, url)
    sweeps = {call.name: _sweep() for call in CALLS}
    seconds = {call.name: _seconds_of(call) for call in CALLS}
    with patch.object(commit, "BLOCK", _BLOCK):
        while counts["interrupts"] < interrupts:
            for call in drawn.choices(CALLS, _SHARES, k=10):
                sweep = sweeps[call.name]
                if drawn.random() < 0.6:
                    ways: list[BeforeBytecode | AfterSeconds] = [BeforeBytecode(next(sweep))]
                    kind = "by bytecode"
                else:
                    ways = [AfterSeconds(drawn.uniform(1e-6, seconds[call.name]))]
                    kind = "by timer"
                if drawn.random() < 0.2:
                    ways.append(BeforeBytecode(int(10 ** drawn.uniform(0, 3.5))))
                was = _interrupt_once(writers, call, ways, counts)
                counts[f"{call.name}, {kind}"] += was
                if kind == "by bytecode" and not was:
                    counts[f"{call.name}: times through all bytecodes"] += 1
                    sweeps[call.name] = _sweep()
    writers.close()
    return counts


def _sweep() -> Iterator[int]:
    yield from count()


def _seconds_of(call: Call) -> float:
    """Return how long a call takes at most, or so."""
    with tempfile.TemporaryDirectory() as folder, DurableResolver.open(Path(folder) / "journal") as resolver:
        slowest = 0.0
        for number in range(1, 20):
            call.apply(resolver, number)
            started = perf_counter()
            call.make(resolver, number)
            slowest = max(slowest, perf_counter() - started)
    return slowest


def main(arguments: Sequence[str]) -> int:
    """Print the counts as JSON; return 1 if something did not hold."""
    parser = campaign_options("interrupts", __doc__, "interrupts", INTERRUPTS)
    parser.add_argument("--folder", help="where to make journals; in memory it takes half as long")
    chosen = parser.parse_args(arguments)
    return run_campaign(lambda folder: (interrupt(chosen.interrupts, folder, chosen.seed), []), chosen)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
