"""A process that writes to a journal until it is killed; `benches.campaigns.crashes` starts it.

    python -m benches.campaigns.journal_writer

It says that it is ready, and waits for a line with the journal's path. Then it goes on where the
journal ends, as a consumer of a source of numbered batches would, and says each number when its
batch is committed.
"""

from __future__ import annotations

import os
import random
import sys
from contextlib import suppress
from itertools import count
from typing import TYPE_CHECKING

from idmerge import DurableResolver, Kind, Policy
from idmerge.errors import KeptApartError, RetractionError, UnknownIdError
from idmerge.journal import commit, copying

if TYPE_CHECKING:
    from collections.abc import Iterator

    from idmerge import reference

SOURCE = "source"
POLICY = Policy(max_cluster_size=40)
READY, OPENED, COMPACTING = "ready", "opened", "compacting"
COMPACT_EVERY = 12
IDS = 300
CHECKPOINT_EVERY = 7
ALL_EVERY = 4
"""Batches of which one is committed by `DurableResolver.commit_all`."""
_LOG = 400_000
"""Bytes in the log: few, so that some of the kills come while they are copied."""
_BLOCK = 20_000
"""Bytes in a batch of the journal: few, so that the larger commits have several."""
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
        _take_step(resolver, drawn, retracts=number % ALL_EVERY > 0)
    if number % 5 == 0:  # Some batches are larger than a page.
        users = [f"user {drawn.randrange(IDS)} of {number}" for _ in range(drawn.choice((30, 3000)))]
        devices = [drawn.choice(_DEVICES) for _ in users]
        resolver.link_many(Kind.IDENTIFY, devices, users)
        for user in users[::2]:
            if user in resolver:
                resolver.forget(user)


def _take_step(
    resolver: DurableResolver | reference.Resolver, drawn: random.Random, *, retracts: bool
) -> None:
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
        elif resolver.position and retracts:
            resolver.retract(drawn.randrange(resolver.position))


def offsets_of(number: int) -> dict[str, int | str | None]:
    """Return the offsets committed with the batch ``number``: one source comes and goes."""
    return {SOURCE: number, f"part {number % 3}": None if number % 2 else f"at {number}"}


def _work(resolver: DurableResolver, number: int) -> Iterator[None]:
    yield
    take_batch(resolver, number)
    yield


def next_number(resolver: DurableResolver) -> int:
    """Return the number of the first batch that is not in the journal."""
    return int(resolver.offsets.get(SOURCE, -1)) + 1


def main() -> None:
    """Write until killed."""
    _say(READY)
    path = sys.stdin.readline().rstrip("\n")
    copying.LOG, commit.BLOCK, commit.AT_ONCE = _LOG, _BLOCK, 10
    with DurableResolver.open(path, POLICY) as resolver:
        _say(OPENED)
        for number in count(next_number(resolver)):
            if number % ALL_EVERY == 0:
                resolver.commit_all(_work(resolver, number), offsets_of(number))
            else:
                take_batch(resolver, number)
                resolver.commit(offsets_of(number))
            _say(str(number))
            if number % CHECKPOINT_EVERY == CHECKPOINT_EVERY - 1:
                resolver.checkpoint()
            if number % COMPACT_EVERY == COMPACT_EVERY - 1:
                _say(COMPACTING)
                resolver.compact()


def _say(what: str) -> None:
    os.write(1, f"{what}\n".encode())


if __name__ == "__main__":
    main()
