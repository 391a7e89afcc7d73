"""A process that writes to a journal until it is killed; `benches.crashes` starts it.

    python -m benches.journal_writer

It says that it is ready, and waits for a line with the journal's path. Then it goes on where the journal
ends, as a consumer of a source of numbered batches would, and says each number when its batch is committed.
"""

from __future__ import annotations

import os
import random
import sys
from contextlib import suppress
from itertools import count
from typing import TYPE_CHECKING

from idmerge import DurableResolver, Kind, Policy, Resolver
from idmerge.errors import KeptApartError, RetractionError, UnknownIdError
from idmerge.journal import sqlite

if TYPE_CHECKING:
    from idmerge import reference

SOURCE = "source"
POLICY = Policy(max_cluster_size=40)
READY, OPENED, COMPACTING = "ready", "opened", "compacting"
COMPACT_EVERY = 12
IDS = 300
_CHECKPOINT = 24
"""Pages: few, so that some of the kills come while they are copied."""
_UUIDS = random.Random(0)
_DEVICES = [
    f"{_UUIDS.getrandbits(32):08x}-{_UUIDS.getrandbits(16):04x}-4{_UUIDS.getrandbits(12):03x}-"
    f"8{_UUIDS.getrandbits(12):03x}-{_UUIDS.getrandbits(48):012x}"
    for _ in range(IDS)
]


def take_batch(resolver: DurableResolver | reference.Resolver, number: int) -> None:
    """Apply the batch ``number``: the same steps to every resolver that has taken those before."""
    drawn = random.Random(number)
    for _ in range(drawn.choice((1, 5, 30))):
        _take_step(resolver, drawn)
    if number % 5 == 0:  # Some batches are larger than a page.
        users = [f"user {drawn.randrange(IDS)} of {number}" for _ in range(drawn.choice((30, 3000)))]
        devices = [drawn.choice(_DEVICES) for _ in users]
        resolver.link_many(Kind.IDENTIFY, devices, users)
        for user in users[::2]:
            if user in resolver:
                resolver.forget(user)


def _take_step(resolver: DurableResolver | reference.Resolver, drawn: random.Random) -> None:
    device, user, other = drawn.choice(_DEVICES), *(f"user {drawn.randrange(IDS)}" for _ in range(2))
    step = drawn.randrange(20)
    with suppress(KeptApartError, RetractionError, UnknownIdError):
        if step < 9:
            resolver.identify(device, user)
        elif step < 11:
            resolver.alias(f"alias {drawn.randrange(IDS)}", user)
        elif step < 13:
            resolver.merge(user, other)
        elif step < 16:
            resolver.observe(other)
        elif step < 17:
            resolver.keep_apart(user, other)
        elif step < 18:
            resolver.forget(user)
        elif resolver.seq:
            resolver.retract(drawn.randrange(resolver.seq))


def next_number(resolver: DurableResolver) -> int:
    """Return the number of the first batch that is not in the journal."""
    return int(resolver.offsets.get(SOURCE, -1)) + 1


def main() -> None:
    """Write until killed."""
    _say(READY)
    path = sys.stdin.readline().rstrip("\n")
    sqlite.CHECKPOINT = _CHECKPOINT
    with Resolver.open(path, POLICY) as resolver:
        _say(OPENED)
        for number in count(next_number(resolver)):
            take_batch(resolver, number)
            resolver.commit({SOURCE: number})
            _say(str(number))
            if number % COMPACT_EVERY == COMPACT_EVERY - 1:
                _say(COMPACTING)
                resolver.compact()


def _say(what: str) -> None:
    os.write(1, f"{what}\n".encode())


if __name__ == "__main__":
    main()
