"""Speed of links and look-ups, and memory an ID, of the resolver and of the baseline in one run.

Both take the same made-up links, in turns. A figure is the median of its turns, and an error if the
answers differ.
"""

from __future__ import annotations

import ctypes
import gc
import os
import platform
from contextlib import suppress
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from random import Random
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

import idmerge
from idmerge import Kind, Link, Outcome, Report, Resolver, parse
from idmerge._benchmark.plain_dict import DictResolver
from idmerge.errors import IdmergeError, MalformedEventError
from idmerge.testing import events

if TYPE_CHECKING:
    from collections.abc import Callable

ROUNDS = 3
REPEATED = 0.5
"""The share of links that are sent again by a later login."""


class WrongAnswerError(IdmergeError):
    """Two ways to the same answer differ, which is a bug."""


class Way(NamedTuple):
    """One way to an answer: work that returns it, in plain lists."""

    label: str
    work: Callable[[], Any]
    ours: bool = True


def measure(count: int, on_turn: Callable[[int], object] = lambda _turns: None) -> dict[str, Any]:
    """Return the figures for links between ``count`` IDs.

    ``on_turn`` is called before each turn with the number of all turns.

    Raises:
        WrongAnswerError: Two ways to the same answer differ.
    """
    links = made_links(count)
    kinds = [link.kind for link in links]
    left, right = [link.first for link in links], [link.second for link in links]
    codes, arrow = np.array(kinds, np.uint8), _arrow(left, right)
    before = _resident_bytes()
    ours = Resolver()
    report = ours.link_many(codes, left, right)
    held = _resident_bytes() - before
    plain = DictResolver()
    plain.link_many(kinds, left, right)
    mapping = {text: plain.resolve(text) for text in plain.parent}

    linking = [
        Way("link_many, lists", lambda: Resolver().link_many(codes, left, right)),
        Way("one call a link", lambda: _one_by_one(Resolver(), links)),
        Way("dict with the same rules", lambda: DictResolver().link_many(kinds, left, right), ours=False),
    ]
    looking_up = [
        Way("resolve_many, list", lambda: ours.resolve_many(left)),
        Way("one call a look-up", lambda: [ours.resolve(text) for text in left]),
        Way("dict with the same rules", lambda: [plain.resolve(text) for text in left], ours=False),
        Way("dict of the finished mapping", lambda: [mapping.get(text, text) for text in left], ours=False),
    ]
    if arrow:
        linking.insert(0, Way("link_many, Arrow", lambda: Resolver().link_many(codes, *arrow)))
        looking_up.insert(0, Way("resolve_many, Arrow", lambda: ours.resolve_many(arrow[0])))
    turn = partial(on_turn, ROUNDS * (len(linking) + len(looking_up)))
    return {
        "versions": {"idmerge": idmerge.__version__, "python": platform.python_version()}
        | {name: version(name) for name in ("numpy", "pyarrow") if find_spec(name)},
        "system": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
        "links": len(links),
        "rejected": report.rejected,
        "ids": len(ours),
        "links_a_second": _in_turns(linking, len(links), turn),
        "look_ups_a_second": _in_turns(looking_up, len(left), turn),
        "bytes_an_id": round(held / len(ours), 1) if held > 0 else None,
    }


def made_links(count: int) -> list[Link]:
    """Return the links of made-up visitors with ``count`` IDs, half of them twice, shuffled."""
    stated: list[Link] = []
    named: set[str] = set()
    for event in events(None, identity_share=1.0):
        try:
            link = parse(event)
        except MalformedEventError:
            continue
        if link is None:
            continue
        stated.append(link)
        named.update((link.first, link.second))
        if len(named) >= count:
            break
    draw = Random(0)  # noqa: S311
    stated += draw.choices(stated, k=int(REPEATED * len(stated)))
    draw.shuffle(stated)
    return stated


def _arrow(*columns: list[str]) -> list[Any] | None:
    """Return the columns as Arrow's, or None without pyarrow."""
    if find_spec("pyarrow") is None:
        return None
    import pyarrow as pa  # noqa: PLC0415

    return [pa.array(column, pa.string()) for column in columns]


def _one_by_one(resolver: Resolver, links: list[Link]) -> list[Outcome]:
    call = {Kind.IDENTIFY: resolver.identify, Kind.ALIAS: resolver.alias, Kind.MERGE: resolver.merge}
    return [call[link.kind](link.first, link.second) for link in links]


def _in_turns(ways: list[Way], count: int, on_turn: Callable[[], object]) -> list[dict[str, Any]]:
    """Return the rate of each way over ``count`` links or look-ups, by the median of turns."""
    seconds: list[list[float]] = [[] for _ in ways]
    answers: list[Any] = [None for _ in ways]
    for _ in range(ROUNDS):
        for number, way in enumerate(ways):
            on_turn()
            gc.collect()
            started = perf_counter()
            answers[number] = way.work()
            seconds[number].append(perf_counter() - started)
    for way, answer in zip(ways, answers, strict=True):
        if _listed(answer) != _listed(answers[0]):
            raise WrongAnswerError(f"{way.label!r} and {ways[0].label!r} differ in their answers")
    return [
        {"way": way.label, "ours": way.ours, "rate": round(count / median(taken))}
        for way, taken in zip(ways, seconds, strict=True)
    ]


def _listed(answer: Any) -> list[Any]:
    if isinstance(answer, Report):
        answer = answer.outcomes.tolist()
    listed: list[Any] = answer if isinstance(answer, list) else answer.to_pylist()
    return listed


def _resident_bytes() -> int:
    """Return this process's resident size without free memory, or 0 where it cannot be read."""
    with suppress(AttributeError, TypeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)  # glibc's; elsewhere what is free counts too.
    try:
        pages = Path("/proc/self/statm").read_text("ascii").split()[1]
    except OSError:
        return 0
    return int(pages) * os.sysconf("SC_PAGE_SIZE")
