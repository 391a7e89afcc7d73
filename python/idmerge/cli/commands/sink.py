"""``idmerge sink``: a journal's mapping in another system, kept up to date."""

from __future__ import annotations

import signal
import threading
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

import click

from idmerge._formatting import counted
from idmerge._naming import without_secrets
from idmerge.cli.completion import FILE
from idmerge.cli.journals import journal_or_served, opening
from idmerge.cli.messages import sum_up, tell
from idmerge.cli.options import JOURNAL_OR_SERVED_HELP
from idmerge.cli.progress import working
from idmerge.cli.sections import command

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

    from idmerge.sinks import Delivered, Sink


@command(
    short_help="Keep a journal's mapping up to date in another system.",
    help=f"""
    Write the canonical ID of each ID in a journal to TARGET: all of them the first time, from then on what
    has changed. TARGET is a table of two columns, distinct_id and canonical_id, or files; it keeps the
    position up to which it has come. docs/sinks.md says what each kind guarantees.

    \b
      postgresql://user@host/database?table=NAME
      clickhouse://user@host:8123/database?table=NAME
      kafka://host:9092/TOPIC
      duckdb:FILE?table=NAME
      parquet:DIRECTORY, ndjson:DIRECTORY
      https://host/path, a webhook, with --state

    ${{NAME}} in TARGET stands for an environment variable, so that no password has to be typed.

    {JOURNAL_OR_SERVED_HELP}

    \b
    Example:
      idmerge sink ids.idmerge 'postgresql://me:${{PW}}@db/shop?table=ids'
      idmerge sink ids.idmerge duckdb:shop.duckdb --follow
    """,
)
@journal_or_served
@click.argument("target", metavar="TARGET")
@click.option(
    "--table", metavar="NAME", help="The table, which may be SCHEMA.NAME; default: idmerge_mapping."
)
@click.option(
    "--state",
    type=FILE,
    metavar="DIRECTORY",
    help="For a webhook: the directory of the cursor and of what waits to be taken.",
)
@click.option(
    "--once/--follow",
    default=True,
    help="Deliver once (the default), or again and again until a signal comes.",
)
@click.option(
    "--interval",
    type=click.FloatRange(min=0.05, max=86_400),
    default=1.0,
    show_default=True,
    metavar="SECONDS",
    help="Under --follow, seconds from one delivery to the next.",
)
@click.option(
    "--restart",
    is_flag=True,
    help="Write the whole mapping first, over whatever the target holds and says of itself.",
)
def sink(  # noqa: PLR0913 - click hands over each option
    *,
    path: str,
    target: str,
    table: str | None,
    state: str | None,
    once: bool,
    interval: float,
    restart: bool,
) -> None:
    """Deliver a journal's mapping; the help says more."""
    from idmerge.sinks import Delivery  # noqa: PLC0415 - loads numpy
    from idmerge.sinks.following import Follower, Reader  # noqa: PLC0415

    with opening(path):
        reader = Reader(path)
        reader.refreshed()
    try:
        if once:
            with closing(_opened(target, table, state)) as opened, working("delivering"):
                delivered = Delivery(reader.refreshed(), opened, restart=restart).run()
            _tell(delivered)
            return
        follower = Follower(
            reader,
            lambda: _opened(target, table, state),
            interval=interval,
            retried=(OSError,),
            restart=restart,
        )
        with _stopped_by_signals() as stop:
            follower.run(
                stop,
                on_delivered=_tell,
                on_failure=lambda reason: tell(
                    f"{without_secrets(reason, [target])}; trying again", "warning"
                ),
            )
    finally:
        reader.close()


def _opened(target: str, table: str | None, state: str | None) -> Sink:
    from idmerge.sinks import open_sink  # noqa: PLC0415 - loads numpy

    return open_sink(target, table=table, state=state)


def _tell(one: Delivered) -> None:
    """Print what was delivered."""
    if not one.is_whole and not one.rows:
        text = "nothing has changed"
    else:
        text = f"{'the whole mapping' if one.is_whole else 'changes'}: {counted(one.rows, 'row')}"
    if one.left_out:
        text = f"{text}; {one.left_out:,} left out, for the target cannot hold U+0000"
    lines = [f"{text}; the target is as of position {one.position:,}"]
    sum_up({**one._asdict(), "seconds": round(one.seconds, 3)}, lines)


@contextmanager
def _stopped_by_signals() -> Iterator[threading.Event]:
    """Give an event that the first SIGTERM or SIGINT sets; the next one ends the process."""
    stop = threading.Event()
    before: dict[int, Any] = {}

    def ask(_number: int, _frame: FrameType | None) -> None:
        stop.set()
        for number, handler in before.items():
            signal.signal(number, handler)

    for number in (int(signal.SIGTERM), int(signal.SIGINT)):
        before[number] = signal.signal(number, ask)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
