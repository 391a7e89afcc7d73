"""As many IDs as a machine holds: one resolver, fed piece by piece with generated links.

    python -m benches.reports.large [IDS] [--record]    default 5e7 IDs, 7.5e7 links

The links are those of `benches/support/workload.py` without its tail: users with one to four
devices, each device linked once and the rest of 1.5 links an ID sent again, 2 % of the devices
aliases, all in random order, so that old users and old devices come back throughout. Nothing of it
is kept: a link is computed from its number, and the order is a permutation that is computed too.
Only `link_many` is timed; the peak is that of the whole process less what it held before its first
link, so it includes the piece in hand.

What must come out is known exactly. A link between a device and another user, about 0.5 % of the
repeats, is made only where the device's own link came earlier, so it is rejected; all others merge
or repeat. Outcomes, IDs, clusters and their sizes are compared in the end.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from benches.reports.machine import machine, versions
from benches.support.paths import RESULTS
from benches.support.process import measured
from benches.support.workload import joined, texts_of_uuids4
from idmerge import Kind, Outcome, Resolver

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from idmerge import Stats

    Numbers = NDArray[np.uint64]

RECORD = RESULTS / "large.json"
IDS = 50_000_000
PIECE = 1_000_000
"""Links in a piece, about; fewer where there would be less than twenty pieces."""

_SIZES = (2, 2, 2, 3, 3, 3, 4, 4, 5)
"""IDs of a user and its devices, in turns."""
_OWNERS = np.repeat(np.arange(len(_SIZES), dtype=np.uint64), np.array(_SIZES) - 1)
_ALIAS_EVERY = 50
_CONFLICT_EVERY = 100
"""A repeat of so many would conflict; half of these come too early and repeat after all."""
_LINKS_AN_ID = 1.5

_ROUNDS = (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
"""Odd, so that to multiply by one can be undone; they are those of splitmix64."""


class Piece(NamedTuple):
    """Links as columns."""

    kinds: NDArray[np.uint8]
    left: pa.Array
    right: pa.Array
    conflicts: int


class Feed(NamedTuple):
    """A resolver that has taken all pieces, and what each took."""

    resolver: Resolver
    conflicts: int
    links: list[int]
    seconds: list[float]


class Population:
    """Users and their devices, by number, and every link between them, by place.

    Aliases are devices here: a device is whatever is linked to a user. Row r of the links states
    device r while there is one; the rows after these are repeats. The link at a place is the row
    that a permutation of a power of two has there; places whose row is none are passed over.
    """

    def __init__(self, ids: int) -> None:
        blocks = max(1, -(-ids // sum(_SIZES)))
        self.users, self.devices = blocks * len(_SIZES), blocks * len(_OWNERS)
        self.ids = self.users + self.devices
        self.links = int(_LINKS_AN_ID * self.ids)
        self.bits = self.links.bit_length()
        self.cluster_sizes = {size: blocks * _SIZES.count(size) for size in sorted(set(_SIZES))}

    def expected(self, conflicts: int) -> dict[Outcome, int]:
        """Return how many links have each outcome."""
        unchanged = self.links - self.devices - conflicts
        counts = {
            Outcome.MERGED: self.devices,
            Outcome.UNCHANGED: unchanged,
            Outcome.ANON_CLAIMED: conflicts,
        }
        return {outcome: count for outcome, count in counts.items() if count}

    def pieces(self, links: int) -> Iterator[Piece]:
        """Return all links in pieces of about so many."""
        step = max(1, (links << self.bits) // self.links)
        for start in range(0, 1 << self.bits, step):
            yield self._piece(np.arange(start, min(start + step, 1 << self.bits), dtype=np.uint64))

    def _piece(self, places: Numbers) -> Piece:
        rows = permuted(places, self.bits)
        is_link = rows < self.links
        places, rows = places[is_link], rows[is_link]
        repeats = rows >= self.devices
        devices = np.where(repeats, mixed(rows, 0) % self.devices, rows)
        blocks, within = np.divmod(devices, len(_OWNERS))
        users = blocks * len(_SIZES) + _OWNERS[within]
        is_alias = mixed(devices, 1) % _ALIAS_EVERY == 0

        others = (users + 1 + mixed(rows, 2) % (self.users - 1)) % self.users
        conflicts = repeats & ~is_alias & (mixed(rows, 3) % _CONFLICT_EVERY == 0)
        claimed = permuted_back(devices[conflicts], self.bits) < places[conflicts]
        conflicts[conflicts] = claimed

        owners, users = users, np.where(conflicts, others, users)
        kinds = np.where(is_alias, Kind.ALIAS, Kind.IDENTIFY).astype(np.uint8)
        drawn = np.stack([mixed(devices, 4), mixed(devices, 5)], axis=1)
        uuids = texts_of_uuids4(drawn.view(np.uint8))
        aliases = joined("alias_", _texts(owners[is_alias]), "_", _texts(devices[is_alias]), "@example.com")
        left = pc.replace_with_mask(uuids, pa.array(is_alias), aliases)
        return Piece(kinds, left, joined("user_", _texts(users)), int(conflicts.sum()))


def _texts(numbers: Numbers) -> pa.Array:
    return pc.cast(pa.array(numbers), pa.string())


def mixed(numbers: Numbers, salt: int) -> Numbers:
    """Return a number drawn for each number, by the last steps of splitmix64."""
    drawn = numbers + np.uint64((salt + 1) * _ROUNDS[0] % 2**64)
    drawn = (drawn ^ drawn >> np.uint64(30)) * np.uint64(_ROUNDS[1])
    drawn = (drawn ^ drawn >> np.uint64(27)) * np.uint64(_ROUNDS[2])
    return drawn ^ drawn >> np.uint64(31)


def permuted(numbers: Numbers, bits: int) -> Numbers:
    """Return where a fixed permutation of the numbers of so many bits takes each."""
    mask, shift = np.uint64((1 << bits) - 1), np.uint64(-(-bits // 2))
    for factor in _ROUNDS:
        numbers = numbers * np.uint64(factor) + np.uint64(_ROUNDS[0]) & mask
        numbers = numbers ^ numbers >> shift
    return numbers


def permuted_back(numbers: Numbers, bits: int) -> Numbers:
    """Return where `permuted` takes each number from."""
    mask, shift = np.uint64((1 << bits) - 1), np.uint64(-(-bits // 2))
    for factor in reversed(_ROUNDS):
        numbers = numbers ^ numbers >> shift  # Shifted by half or more, this undoes itself.
        numbers = (numbers - np.uint64(_ROUNDS[0])) * np.uint64(pow(factor, -1, 1 << 64)) & mask
    return numbers


def feed(population: Population, links_a_piece: int) -> Feed:
    """Feed every piece to a new resolver; each call is timed by itself."""
    fed = Feed(Resolver(), 0, [], [])
    for piece in population.pieces(links_a_piece):
        started = perf_counter()
        fed.resolver.link_many(piece.kinds, piece.left, piece.right)
        fed.seconds.append(perf_counter() - started)
        fed.links.append(len(piece.kinds))
        fed = fed._replace(conflicts=fed.conflicts + piece.conflicts)
        _show(fed, population.links)
    return fed


def _show(fed: Feed, links: int) -> None:
    if sys.stderr.isatty():
        done, seconds = sum(fed.links), sum(fed.seconds)
        end = "\n" if done == links else ""
        print(f"\r{done:,} of {links:,} links, {seconds:.1f} s", end=end, file=sys.stderr, flush=True)


def check(stats: Stats, population: Population, conflicts: int) -> None:
    """Raise `ValueError` unless a resolver came to what the population says."""
    pairs = {
        "IDs": (stats.ids, population.ids),
        "clusters": (stats.clusters, population.users),
        "cluster sizes": (dict(stats.cluster_sizes), population.cluster_sizes),
        "outcomes": (dict(stats.outcomes), population.expected(conflicts)),
    }
    for what, (found, expected) in pairs.items():
        if found != expected:
            raise ValueError(f"{what}: {found}, expected {expected}")


def run(ids: int) -> dict[str, Any]:
    """Return what a resolver of so many IDs took, once its answers are checked."""
    feed(Population(1000), 1000)
    population = Population(ids)
    started = perf_counter()
    fed, cost = measured(lambda: feed(population, min(PIECE, population.links // 20)))
    everything = perf_counter() - started
    check(fed.resolver.stats(), population, fed.conflicts)
    links, seconds = np.array(fed.links), np.array(fed.seconds)
    tenth = len(links) // 10
    slowest = int(seconds.argmax())
    return {
        "ids": population.ids,
        "links": population.links,
        "rejected": fed.conflicts,
        "links_a_second": {
            "all": round(links.sum() / seconds.sum()),
            "first_tenth": round(links[:tenth].sum() / seconds[:tenth].sum()),
            "last_tenth": round(links[-tenth:].sum() / seconds[-tenth:].sum()),
        },
        "seconds": round(float(seconds.sum()), 3),
        "seconds_with_making_the_links": round(everything, 3),
        "slowest_piece": {"links": fed.links[slowest], "seconds": round(fed.seconds[slowest], 3)},
        "before_bytes": cost.before_bytes,
        "peak_bytes": cost.peak_bytes,
        "bytes_an_id": round(cost.peak_bytes / population.ids, 1),
    }


def _circumstances(arguments: Sequence[str]) -> Mapping[str, Any]:
    libraries = ("python", "idmerge", "numpy", "pyarrow")
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "command": shlex.join(["python", "-m", "benches.reports.large", *arguments]),
        "machine": machine(),
        "versions": {name: version for name, version in versions().items() if name in libraries},
    }


def main(arguments: Sequence[str]) -> None:
    """Print the figures as JSON, and record them if asked to."""
    parser = argparse.ArgumentParser(
        prog="python -m benches.reports.large", description=__doc__.splitlines()[0]
    )
    parser.add_argument(
        "ids", nargs="?", type=lambda text: int(float(text)), default=IDS, help="default: 5e7"
    )
    parser.add_argument("--record", action="store_true", help="write benches/results/large.json")
    chosen = parser.parse_args(arguments)
    figures = run(chosen.ids)
    if chosen.record:
        RECORD.write_text(json.dumps({**_circumstances(arguments), **figures}, indent=1) + "\n", "utf-8")
    print(json.dumps(figures))


if __name__ == "__main__":
    main(sys.argv[1:])
