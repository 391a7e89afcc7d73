"""``idmerge verify``: check a journal, and salvage the whole part of a damaged one."""

from __future__ import annotations

import os
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Any

import click

from idmerge._formatting import counted, links_and_acts, printable
from idmerge._naming import is_journal_url, named
from idmerge.cli.completion import FILE
from idmerge.cli.messages import give, is_json, labelled, print_lines, tell
from idmerge.cli.options import JOURNAL_HELP, journal_argument
from idmerge.cli.output import check_outputs
from idmerge.cli.progress import progress, working
from idmerge.cli.sections import command
from idmerge.errors import JournalError
from idmerge.journal import open_journal
from idmerge.journal.verify import Verdict, salvage
from idmerge.journal.verify import verify as verdict_on

if TYPE_CHECKING:
    from collections.abc import Iterator

    from idmerge.journal import Batch


@command(
    short_help="Check every batch of a journal.",
    help=f"""
    Check the journal PATH: that every batch is there, has the checksum of its content, follows the one
    before, and that its links, judged again, have the outcomes that were recorded.

    Of a damaged journal it prints the place and the kind of the damage, and what is whole before it; the exit
    code is 1, also with --salvage, which writes the whole part to a new journal. Another process may write to
    the journal meanwhile.

    {JOURNAL_HELP}

    \b
    Example:
      idmerge verify ids.idmerge
      idmerge verify ids.idmerge --salvage new.idmerge
    """,
)
@journal_argument
@click.option(
    "--salvage",
    "new",
    type=FILE,
    metavar="NEW",
    help="Write what is good to a new journal, if PATH is damaged.",
)
def verify(*, path: str, new: str | None) -> None:
    """Check a journal; the help says more."""
    if new and not is_journal_url(new) and not os.path.lexists(new):
        check_outputs([path], {"--salvage": new})
    with progress("checking", _size(path), then="checking") as bar:
        verdict = verdict_on(path, lambda batch: bar.advance(_size_of(batch)))
    if not is_json():
        print_lines(_answer(verdict))
    if verdict.damage is None:
        if new:
            tell(f"{named(new)} was not written, for there is nothing to salvage")
    elif new:
        with working(f"writing {named(new)}"):
            salvage(path, new, verdict)
        tell(f"{named(new)} was written: {counted(verdict.batches, 'batch', 'batches')}")
    if is_json():
        give(_facts(verdict, new))
    if verdict.damage is not None:
        raise JournalError(verdict.damage)


def _size(path: str) -> int | None:
    """Return the number of bytes to check, or None if damage hides it."""
    with (
        closing(open_journal(path, create=False, read_only=True)) as journal,
        suppress(JournalError, OSError),
    ):
        return sum(int(head["text_bytes"]) + int(head["block_bytes"]) for head in journal.heads())
    return None


def _size_of(batch: Batch) -> int:
    return len(batch.texts) + len(batch.block)


def _facts(verdict: Verdict, new: str | None) -> dict[str, Any]:
    return {
        "whole": verdict.damage is None,
        "damage": verdict.damage,
        "batches": verdict.batches,
        "positions": verdict.position,
        "ids": verdict.ids,
        "offsets": dict(verdict.offsets),
        "salvaged": named(new) if new and verdict.damage is not None else None,
    }


def _answer(verdict: Verdict) -> Iterator[str]:
    batches = counted(verdict.batches, "batch", "batches")
    found = f"{batches}, {links_and_acts(verdict.position)}, {counted(verdict.ids, 'ID')}"
    if verdict.damage is None:
        yield labelled("whole", found)
        return
    yield labelled("damaged", f"at batch {verdict.batches:,}: {printable(verdict.damage)}")
    yield labelled("good", f"{found}: everything before position {verdict.position:,}")
    for place, (source, offset) in enumerate(verdict.offsets.items()):
        yield labelled("" if place else "offsets", f"{printable(source)}: {printable(str(offset))}")
