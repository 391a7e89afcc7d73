"""``idmerge journal``: list the policy and the batches of a journal."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from idmerge import Policy
from idmerge._formatting import counted, links_and_acts, printable, utc
from idmerge.cli.journals import journal_or_served
from idmerge.cli.links import time_fact
from idmerge.cli.messages import give, labelled, rows
from idmerge.cli.options import JOURNAL_OR_SERVED_HELP, POLICY_FIELDS
from idmerge.cli.progress import working
from idmerge.cli.sections import command
from idmerge.errors import JournalError
from idmerge.journal import open_journal
from idmerge.journal.batch import moment

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from idmerge.journal import Facts

LATEST = 20
SHOWN = 3
"""Positions, sources and blocked IDs that are named before the rest is counted."""
COLUMNS = ("batch", "committed", "steps", "positions", "new IDs", "bytes", "taken back", "offsets")
NUMBERS = (0, 2, 4, 5)


@command(
    short_help="List the batches of a journal.",
    help=f"""
    Show by which rules the journal PATH was made, and its batches: when each was committed, how many links,
    ordinary events and acts it holds (steps), at which positions, how many IDs became known in it, its
    bytes, the positions that it takes back, and the offsets in the sources that were committed with it.

    What batches state is checked; idmerge verify checks what they hold as well.

    {JOURNAL_OR_SERVED_HELP}

    \b
    Example:
      idmerge journal ids.idmerge
      idmerge journal --all ids.idmerge
    """,
)
@journal_or_served
@click.option(
    "--all", "whole", is_flag=True, help=f"List all batches, not only the last {LATEST}; --json has all."
)
def journal(*, path: str, whole: bool) -> None:
    """List the batches of a journal; the help says more."""
    with closing(open_journal(path, create=False, read_only=True)) as opened:
        with working("reading the list of batches"):
            facts = opened.facts()
            heads = [] if facts is None else list(opened.heads())
        shown = heads if whole else heads[-LATEST:]
        give(_facts(opened.name, facts, heads), _answer(opened.name, facts, heads, shown))


def _answer(
    name: str, facts: Facts | None, heads: Sequence[Mapping[str, Any]], shown: Sequence[Mapping[str, Any]]
) -> Iterator[str]:
    yield labelled("journal", printable(name))
    if facts is None:
        yield labelled("batches", "none, and no policy yet: the process that makes it has not come further")
        return
    yield labelled("format", str(facts.format))
    yield labelled("canonical", facts.canonical)
    for place, line in enumerate(_policy(facts.policy)):
        yield labelled("" if place else "policy", line)
    some = f", the last {len(shown)} of them here" if len(shown) < len(heads) else ""
    yield labelled("batches", counted(len(heads), "batch", "batches") + some)
    yield from rows([COLUMNS, *map(_row, shown)], NUMBERS)
    yield labelled("total", _total(heads))


def _facts(name: str, facts: Facts | None, heads: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return all of it as an object of --json, with every batch."""
    end = heads[-1] if heads else {"end_position": 0, "end_id": 0}
    policy = (
        None if facts is None else {**asdict(facts.policy), "blocked_ids": sorted(facts.policy.blocked_ids)}
    )
    return {
        "journal": name,
        "format": None if facts is None else facts.format,
        "canonical": None if facts is None else facts.canonical,
        "policy": policy,
        "positions": end["end_position"],
        "ids": end["end_id"],
        "batches": [*map(_batch_facts, heads)],
    }


def _batch_facts(head: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "number": head["number"],
        "committed": time_fact(moment(head["written_at"])),
        "steps": head["steps"],
        "first_position": head["position"],
        "end_position": head["end_position"],
        "new_ids": head["end_id"] - head["first_id"],
        "bytes": head["text_bytes"] + head["block_bytes"],
        "taken_back": [of for _, of in _stated(head["retractions"], [])],
        "offsets": _stated(head["offsets"], {}),
    }


def _policy(policy: Policy) -> Iterator[str]:
    """Yield the fields that differ from the default policy."""
    default = Policy()
    differing = [name for name in POLICY_FIELDS if getattr(policy, name) != getattr(default, name)]
    if not differing:
        yield "the default one"
    for name in differing:
        if name == "blocked_ids":
            more, fewer = policy.blocked_ids - default.blocked_ids, default.blocked_ids - policy.blocked_ids
            parts = [
                f"{word} {_some(sorted(ids))}" for word, ids in (("with", more), ("without", fewer)) if ids
            ]
            yield f"{name}: the default ones {' and '.join(parts)}"
        else:
            yield f"{name}: {getattr(policy, name)}, not {getattr(default, name)}"


def _some(texts: Sequence[str]) -> str:
    """Return the first of ``texts``, and how many more there are."""
    more = f" and {len(texts) - SHOWN:,} more" if len(texts) > SHOWN else ""
    return ", ".join(printable(text) for text in texts[:SHOWN]) + more


def _row(head: Mapping[str, Any]) -> tuple[str, ...]:
    first, end = head["position"], head["end_position"]
    positions = {0: "none", 1: f"{first:,}"}.get(end - first, f"{first:,} to {end - 1:,}")
    return (
        f"{head['number']:,}",
        utc(moment(head["written_at"])),
        f"{head['steps']:,}",
        positions,
        f"{head['end_id'] - head['first_id']:,}",
        f"{head['text_bytes'] + head['block_bytes']:,}",
        _some([f"{of:,}" for _, of in _stated(head["retractions"], [])]),
        _some([f"{source}: {offset}" for source, offset in _stated(head["offsets"], {}).items()]),
    )


def _stated(text: str | None, nothing: Any) -> Any:
    try:
        return nothing if text is None else json.loads(text)
    except ValueError as error:
        raise JournalError(f"a batch is damaged: it states {text!r:.50}; idmerge verify says more") from error


def _total(heads: Sequence[Mapping[str, Any]]) -> str:
    last = heads[-1] if heads else {"end_position": 0, "end_id": 0}
    steps = sum(head["steps"] for head in heads)
    size = sum(head["text_bytes"] + head["block_bytes"] for head in heads)
    taken_back = sum(len(_stated(head["retractions"], [])) for head in heads)
    return (
        f"{counted(steps, 'step')}, {links_and_acts(last['end_position'])}, "
        f"{counted(last['end_id'], 'ID')}, {counted(size, 'byte')}, {counted(taken_back, 'retraction')}"
    )
