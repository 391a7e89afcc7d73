"""Flipped bits in a journal: after each one, every question that a journal answers is asked.

    python -m benches.campaigns.flips [FLIPS] [--seed SEED] [--journal PATH]

By default 2,000 flips of each kind. Each flip is tried on a journal alone and on one beside a
checkpoint, which spares reading most of it when it is opened. Who is who, what changed, why and why
not, who was who, when, the offsets, the links that the doctor reads, a retraction that is
committed, and what is there when it is opened again: each answer is the one that the journal gave
before, or an error of the package or the system.
"""

from __future__ import annotations

import random
import shutil
import sys
import warnings
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from benches.campaigns.journal_writer import POLICY, offsets_of, take_batch
from benches.support.campaign import campaign_options, run_campaign
from idmerge import DurableResolver
from idmerge.doctor.journals import recorded_links
from idmerge.errors import IdmergeError, RetractionError
from idmerge.journal import commit

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

FLIPS = 2_000
BATCHES = tuple(number for number in range(1, 20) if number % 5)
"""Small ones: each is read some twenty times after each flip."""
_BLOCK = 500
_AS_OF = 20
_PAIRS = (("user 1", "user 2"), ("user 7", "user 30"), ("user 11", "user 250"))


def make(path: Path) -> None:
    """Make a journal whose larger commits are cut into blocks, with a checkpoint behind most."""
    with patch.object(commit, "BLOCK", _BLOCK), DurableResolver.open(path, POLICY) as resolver:
        for number in BATCHES:
            take_batch(resolver, number)
            resolver.commit(offsets_of(number))
            if number == BATCHES[-3]:
                resolver.checkpoint()


def _links(resolver: DurableResolver) -> list[Any]:
    told = []
    for a, b in _PAIRS:
        if a in resolver and b in resolver:
            told += [resolver.explain(a, b), resolver.explain(a), resolver.why_not(a, b)]
    return told


def _dry_run(resolver: DurableResolver) -> Any:
    """Return what the first retraction would change that is possible."""
    for position in range(resolver.position):
        with suppress(RetractionError):
            return resolver.retract(position, dry_run=True).to_pydict()
    return None


def _retracted(path: Path) -> list[Any]:
    """Take something back, durably, and return what the journal says when it is opened again."""
    with DurableResolver.open(path) as resolver:
        for position in range(3, resolver.position, 61):
            with suppress(RetractionError):  # It may be taken back already, or forgotten.
                resolver.retract(position)
        resolver.commit({"retracted": 1})
    with DurableResolver.open(path) as resolver:
        return _now(resolver)


def _now(resolver: DurableResolver) -> list[Any]:
    return [resolver.mapping().to_pydict(), resolver.position, resolver.offsets, resolver.stats()]


_READER: dict[str, Callable[[DurableResolver], Any]] = {"who is who": _now, "why, by the journal": _links}
_PAST: dict[str, Callable[[DurableResolver], Any]] = {"who was who": _now}
_WRITER: dict[str, Callable[[DurableResolver], Any]] = {
    "changes": lambda resolver: [resolver.changes(since).to_pydict() for since in (0, 9, 10)],
    "why": _links,
    "a dry run": _dry_run,
}
_OPENED: list[tuple[dict[str, Any], dict[str, Callable[[DurableResolver], Any]]]] = [
    ({"read_only": True, "history": False}, _READER),
    ({"read_only": True, "as_of": _AS_OF}, _PAST),
    ({}, _WRITER),
]
"""The question to the same resolver, and how that is opened."""


def _attempt(ask: Callable[..., Any], *given: Any) -> Any:
    try:
        return ask(*given)
    except Exception as error:  # noqa: BLE001 - it is looked at later
        return error


def _asked(path: Path) -> dict[str, Any]:
    """Return the answers of a journal, or the errors in their place; the last one changes it."""
    answers = {}
    for options, asked in _OPENED:
        resolver = _attempt(lambda options=options: DurableResolver.open(path, **options))
        if isinstance(resolver, Exception):
            answers.update(dict.fromkeys(asked, resolver))
            continue
        answers.update({what: _attempt(ask, resolver) for what, ask in asked.items()})
        resolver.close()
    answers["the doctor"] = _attempt(_recorded, path)
    answers["a retraction"] = _attempt(_retracted, path)
    return answers


def _recorded(path: Path) -> list[Any]:
    with DurableResolver.open(path, read_only=True, history=False) as resolver:
        return list(recorded_links(path, resolver))


def flip(flips: int, folder: Path, seed: int = 0, source: Path | None = None) -> Counter[str]:
    """Flip so many bits of each kind of journal; return how many answers were right, or an error.

    Raises:
        AssertionError: An answer was another one than before.
    """
    drawn = random.Random(seed)
    counts: Counter[str] = Counter()
    kept = folder / "kept"
    kept.mkdir()
    if source is None:
        make(kept / "journal")
    else:
        shutil.copy(source, kept / "journal")
    whole, checkpoint = (kept / "journal").read_bytes(), kept / "journal-checkpoint"
    kinds = ["alone", "with a checkpoint"] if checkpoint.exists() else ["alone"]
    for kind in kinds:
        expected = _answers(whole, checkpoint if kind != "alone" else None, folder / "asked")
        assert not any(isinstance(answer, Exception) for answer in expected.values()), expected
        for _ in range(flips):
            place = drawn.randrange(8 * len(whole))
            changed = bytearray(whole)
            changed[place // 8] ^= 1 << place % 8
            found = _answers(bytes(changed), checkpoint if kind != "alone" else None, folder / "asked")
            for what, answer in found.items():
                if isinstance(answer, IdmergeError | OSError):
                    counts[f"{kind}: errors"] += 1
                elif answer == expected[what]:
                    counts[f"{kind}: right answers"] += 1
                else:
                    raise AssertionError(f"bit {place}, {kind}: {what} is {str(answer)[:500]}")
            counts[f"{kind}: flips"] += 1
    return counts


def _answers(journal: bytes, checkpoint: Path | None, folder: Path) -> dict[str, Any]:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    path = folder / "journal"
    path.write_bytes(journal)
    if checkpoint is not None:
        shutil.copy(checkpoint, folder / "journal-checkpoint")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _asked(path)


def main(arguments: Sequence[str]) -> int:
    """Print the counts as JSON; return 1 if something did not hold."""
    parser = campaign_options("flips", __doc__, "flips", FLIPS)
    parser.add_argument("--folder", help="where to make journals; in memory it takes half as long")
    parser.add_argument("--journal", type=Path, help="flip bits of a copy of this one, without a checkpoint")
    chosen = parser.parse_args(arguments)
    return run_campaign(lambda folder: (flip(chosen.flips, folder, chosen.seed, chosen.journal), []), chosen)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
