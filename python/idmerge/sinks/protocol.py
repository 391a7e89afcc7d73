"""The protocol of a sink: a place outside that keeps a copy of a journal's mapping.

1. A sink's rows are ``distinct_id`` and ``canonical_id``, one row a known ID: those of `mapping()`.
2. The cursor lies in the target itself, and moves with the rows in one transaction. Where the
   target has none, a delivery that was interrupted is repeated so that it ends alike.
3. An error in `apply` leaves the target as it was, or such that the next delivery puts it right.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

from idmerge.errors import MissingExtraError, SinkError
from idmerge.journal import Cursor

if TYPE_CHECKING:
    from collections.abc import Iterator
    from urllib.parse import SplitResult

    import pyarrow as pa

    from idmerge.journal import MappingUpdate

COLUMNS = ("distinct_id", "canonical_id")
"""The columns of a copy."""
_PRINTED = re.compile("[!-~]+")
_HOST = re.compile(r"(?:[\w.-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?", re.ASCII)
_HIGHEST = 65_535
HOSTS = re.compile(rf"{_HOST.pattern}(?:,{_HOST.pattern})*", re.ASCII)
"""Several hosts, each with its port."""


class Sink(Protocol):
    """A target of deliveries; `open_sink` opens one.

    Examples:
        >>> from idmerge import DurableResolver
        >>> from idmerge.sinks import open_sink
        >>> with DurableResolver.open(":memory:") as r:
        ...     _ = r.merge("ana", "crm-17"), r.commit()
        ...     sink = open_sink("ndjson:copy")
        ...     print(sink.name, sink.cursor(restart=False), sink.needs_whole)
        ...     left_out = sink.apply(r.mapping_since(None))
        ...     print(left_out, sink.cursor(restart=False).position)
        ...     sink.close()
        ndjson:copy None False
        0 1
    """

    name: str
    """Its name in messages, without secrets."""

    @property
    def needs_whole(self) -> bool:
        """Whether the next update has to be whole, although the cursor would allow changes."""

    def cursor(self, *, restart: bool) -> Cursor | None:
        """Return the moment as of which the target is; None for a new one, and under ``restart``.

        Raises:
            OSError: The target cannot be reached, or refuses; it may be tried again.
            SinkError: The target has rows and no cursor, or is something else.
        """

    def apply(self, update: MappingUpdate) -> int:
        """Write an update, which goes on from the cursor; return the rows that were left out.

        Raises:
            OSError: As for `cursor`.
            SinkError: Another process has written meanwhile, or the target is something else.
        """

    def close(self) -> None:
        """Let go of the target."""


def batches(update: MappingUpdate) -> Iterator[pa.RecordBatch]:
    """Yield the rows of an update in batches, without copying them.

    Raises:
        MissingExtraError: pyarrow is not installed.
    """
    yield from reader(update)


def reader(update: MappingUpdate) -> pa.RecordBatchReader:
    """Return the rows of an update as a stream of pyarrow's.

    Raises:
        MissingExtraError: pyarrow is not installed.
    """
    try:
        import pyarrow as pa  # noqa: PLC0415
    except ImportError as error:
        raise MissingExtraError("a sink needs pyarrow: pip install pyarrow") from error
    return pa.RecordBatchReader.from_stream(update.rows)


def stated_cursor(name: str, text: str | None) -> Cursor | None:
    """Return the cursor that a target states; None for none.

    Raises:
        SinkError: It is damaged.
    """
    if text is None:
        return None
    try:
        return Cursor.of(json.loads(text))
    except ValueError as error:
        raise SinkError(f"{name}: its cursor is damaged: {error}; begin anew by --restart") from error


def has_rows(cursor: Cursor | None) -> bool:
    """Return whether a copy as of this moment has rows."""
    return cursor is not None and cursor.ids > cursor.unknown + cursor.forgotten


def emptied(name: str) -> OSError:
    """Return the error that somebody has emptied a target: the next delivery is whole."""
    return OSError(f"{name}: its rows are gone; the next delivery writes all of them")


def check_unchanged(name: str, seen: str | None, found: str | None) -> None:
    """Make sure that a target's cursor is the one that a delivery goes on from.

    Raises:
        SinkError: It is another one.
    """
    if seen != found:
        raise SinkError(f"{name}: another process has delivered to it meanwhile; let one deliver")


def not_ours(name: str, what: str) -> SinkError:
    """Return the error that a target has content, and no cursor of a sink."""
    return SinkError(
        f"{name}: {what} and no cursor of a sink; name another one, or replace what is there by --restart"
    )


def url_parts(url: str, expected: str, *, hosts: re.Pattern[str] = _HOST) -> SplitResult:
    """Return the parts of a target's URL.

    Args:
        url: The target.
        expected: What it should look like. A message has that, and the scheme of the target.
        hosts: Of what stands behind the user and the password.

    Raises:
        SinkError: It is none, or a password in it may be read as something else.
    """
    try:
        parts = urlsplit(url)
        place = parts.netloc.rpartition("@")[2]
        if _PRINTED.fullmatch(url) and hosts.fullmatch(place) and not _has_bad_port(place):
            return parts
    except ValueError:  # Of brackets; its message shows what is between them.
        pass
    raise SinkError(
        f"'{url.partition(':')[0]}://…' is no target; expected {expected}; in a name or a password, what is "
        "no letter or digit must be percent-encoded"
    )


def _has_bad_port(hosts: str) -> bool:
    return any(int(port) > _HIGHEST for port in re.findall(":([0-9]+)(?=,|$)", hosts))
