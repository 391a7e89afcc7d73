"""The export of a server, made by hand of the records that it has acknowledged."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from idmerge import Outcome, Resolver
from idmerge.events import SENT_ID, ids_of
from idmerge.server.http.requests import Request
from idmerge.server.reading.exporting import exported, query_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from idmerge import Report
    from idmerge.policy import Policy
    from idmerge.server.log.records import Record
    from idmerge.server.server import Server

NOON = 1_796_040_000
"""2026-11-30T12:00:00Z."""
WEEK = b"from_date=2026-11-27&to_date=2026-12-03"


def in_order(events: Iterable[dict[str, Any]]) -> list[str]:
    """Return events in an order that depends on nothing else."""
    return sorted(json.dumps(event, sort_keys=True) for event in events)


def exported_by(server: Server, project: str = "main", query: bytes = WEEK) -> list[dict[str, Any]]:
    """Return what a server exports."""
    [found] = [one for one in server.projects if one.name == project]
    parts = exported(
        server.events(project),
        server.resolver(project),
        found.timezone,
        query_of(Request("GET", "/export", query)),
    )
    return [json.loads(line) for line in b"".join(parts).splitlines()]


def expected(records: Iterable[Record], policy: Policy | None = None) -> list[dict[str, Any]]:
    """Return what an export has of records, whose events have times in seconds."""
    resolver = Resolver(policy)
    found: list[_Sent] = []
    seen = set()
    for record in records:
        for line in record.lines.splitlines():
            event = json.loads(line)
            report = resolver.apply_body(line, "application/x-ndjson", record.source)
            distinct_id, before = ids_of(event, resolver.policy.api)
            sent = distinct_id if before is None else before
            time = event["properties"].get("time", record.received // 1000)
            insert_id = event["properties"].get("$insert_id")
            key = (event["event"], time, sent, insert_id)
            if insert_id is None or key not in seen:
                found.append(_Sent(event, record, time, sent, report))
            seen.add(key)
    return [_shown(resolver, one) for one in found]


class _Sent(NamedTuple):
    event: dict[str, Any]
    record: Record
    time: int
    sent: str | None
    report: Report


def _shown(resolver: Resolver, one: _Sent) -> dict[str, Any]:
    hidden = {"time", "token", "distinct_id", SENT_ID}
    properties = {name: value for name, value in one.event["properties"].items() if name not in hidden}
    properties |= {"time": one.time, "mp_processing_time_ms": one.record.received}
    if one.sent is not None:
        canonical = resolver.resolve(one.sent)
        properties["distinct_id"] = canonical
        if canonical != one.sent:
            properties[SENT_ID] = one.sent
    if one.record.source == "import":
        properties["$import"] = True
    for outcome in map(Outcome, one.report.outcomes.tolist()):
        if not outcome.accepted:
            properties["$failure_reason"] = outcome.failure_reason or outcome.name
    return {"event": one.event["event"], "properties": properties}
