"""Sinks by their targets: the kinds, and how each is written.

    postgresql://user@host/database?table=schema.table     duckdb:FILE?table=NAME
    clickhouse://user@host:8123/database?table=NAME        kafka://host:9092/TOPIC
    parquet:DIRECTORY, ndjson:DIRECTORY                    https://host/path (a webhook)

``${NAME}`` in a target stands for an environment variable, so that no password has to be written
down; in a URL its value is percent-encoded.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, NamedTuple, get_args
from urllib.parse import quote, unquote

from idmerge._naming import named
from idmerge.errors import SettingError, SinkError
from idmerge.sinks.files import FilesSink, Suffix

if TYPE_CHECKING:
    from idmerge.sinks.protocol import Sink

TABLE = "idmerge_mapping"
"""The table, if none is named.

Examples:
    >>> from idmerge.sinks import TABLE
    >>> TABLE
    'idmerge_mapping'
"""
KINDS = (
    "postgresql://…, clickhouse://…, kafka://…, https://…, duckdb:FILE, parquet:DIRECTORY or ndjson:DIRECTORY"
)
_POSTGRES = ("postgresql", "postgres")
_WEBHOOKS = ("https", "http")
_URLS = (*_POSTGRES, *_WEBHOOKS, "clickhouse", "kafka")
_PATHS = ("duckdb", *get_args(Suffix))
_TABLES = (*_POSTGRES, "clickhouse", "duckdb")
"""The kinds that have tables."""
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_PART = r"[^.`\\\x00-\x1f\x7f]+"
_TABLE = re.compile(rf"{_PART}(?:\.{_PART})?")
_LONGEST = 63
"""Bytes of a name in PostgreSQL, which cuts off the others."""
_TAKEN = ("idmerge_cursors", "idmerge_staged", "idmerge_rows")
"""The names of tables that sinks need themselves."""


class Target(NamedTuple):
    """What a target names; `parse_target` reads it."""

    kind: str
    place: str
    """What stands behind the kind and its colon, without ``table=``."""
    table: str | None
    """The table, of a kind that has tables."""


def parse_target(target: str, table: str | None = None) -> Target:
    """Return what ``target`` names, without opening it.

    Raises:
        SinkError: There is no such kind, or it has no table of this name.
        SettingError: An environment variable that the target names is not set.

    Examples:
        >>> from idmerge.sinks.opening import parse_target
        >>> parse_target("duckdb:shop.duckdb?table=ids")
        Target(kind='duckdb', place='shop.duckdb', table='ids')
    """
    kind, colon, rest = target.partition(":")
    kind = kind.lower()
    is_url = rest.startswith("//")
    if not colon or not rest or kind not in (*_URLS, *_PATHS) or is_url is not (kind in _URLS):
        raise SinkError(f"'{named(target)}' is no target of a sink; expected {KINDS}")
    rest = _with_variables(rest, is_url=is_url)
    if kind not in _TABLES:
        if table is not None:
            raise SinkError(f"a target {kind}:… has no table; leave it out")
        return Target(kind, rest, None)
    rest, named_table = _without_table(rest)
    chosen = table or named_table or TABLE
    parts = chosen.split(".")
    if not _TABLE.fullmatch(chosen) or any(len(part.encode()) > _LONGEST for part in parts):
        raise SinkError(
            f"a table is called NAME or SCHEMA.NAME, each of up to {_LONGEST} bytes, got {chosen!r:.100}"
        )
    if parts[-1].casefold() in _TAKEN:
        raise SinkError(f"a sink has a table {parts[-1]} of its own; name another one")
    return Target(kind, rest, chosen)


def open_sink(target: str, *, table: str | None = None, state: str | os.PathLike[str] | None = None) -> Sink:
    """Open the sink that ``target`` names.

    Args:
        target: A URL, or the kind, a colon and a path; the module lists them.
        table: The table, which may be ``schema.table``; ``?table=`` of the target does the same.
        state: A directory for what a webhook cannot keep: the cursor, and what waits to be taken.

    Raises:
        SinkError: There is no such kind, or it has no table of this name.
        SettingError: An environment variable that the target names is not set.
        MissingExtraError: The library of this kind is not installed.
        OSError: It cannot be reached.

    Examples:
        >>> from idmerge.sinks import open_sink
        >>> open_sink("parquet:copy").name
        'parquet:copy'
    """
    kind, place, chosen = parse_target(target, table)
    if chosen is not None:
        return _open_table(kind, place, chosen)
    if kind in _WEBHOOKS:
        from idmerge.sinks.webhook import WebhookSink  # noqa: PLC0415 - loads much

        if state is None:
            raise SinkError("a webhook keeps no cursor, so a directory for it is needed: --state DIRECTORY")
        return WebhookSink(f"{kind}:{place}", os.fspath(state))
    if kind == "kafka":
        from idmerge.sinks.kafkatopic import KafkaSink  # noqa: PLC0415 - needs an extra

        return KafkaSink(f"{kind}:{place}")
    return FilesSink(place, "parquet" if kind == "parquet" else "ndjson")


def _open_table(kind: str, place: str, table: str) -> Sink:
    if kind == "duckdb":
        from idmerge.sinks.duckdbtable import DuckdbSink  # noqa: PLC0415 - needs an extra

        return DuckdbSink(place, table)
    if kind == "clickhouse":
        from idmerge.sinks.clickhousetable import ClickhouseSink, HttpClient  # noqa: PLC0415 - likewise

        client = HttpClient(f"{kind}:{place}")
        return ClickhouseSink(client, client.name, table)
    from idmerge.sinks.postgrestable import PostgresSink  # noqa: PLC0415 - needs an extra

    return PostgresSink(f"{kind}:{place}", table)


def _with_variables(text: str, *, is_url: bool) -> str:
    """Return ``text`` with the values of the environment variables that it names."""

    def value(found: re.Match[str]) -> str:
        try:
            stated = os.environ[found[1]]
        except KeyError:
            raise SettingError(
                f"the target names the environment variable {found[1]}, which is not set"
            ) from None
        return quote(stated, safe="") if is_url else stated

    return _VARIABLE.sub(value, text)


def _without_table(rest: str) -> tuple[str, str | None]:
    """Return a target without ``table=`` among its options, and that table."""
    place, mark, options = rest.partition("?")
    pairs = options.split("&")
    tables = [unquote(pair.removeprefix("table=")) for pair in pairs if pair.startswith("table=")]
    if not tables:
        return rest, None
    left = "&".join(pair for pair in pairs if not pair.startswith("table="))
    return f"{place}{mark if left else ''}{left}", tables[-1]
