"""The state of a server as numbers, in the text format of Prometheus (version 0.0.4).

What is of a project has the label ``project``, and is in the answer if that project may be seen.
Whatever else there is concerns the server as a whole. Time: that of `Resolver.stats` for each
project, some milliseconds for a million clusters.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from idmerge.server.counts import BOUNDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from idmerge.resolver import Resolver
    from idmerge.server.counts import Counts, Durations
    from idmerge.server.log.log import Log
    from idmerge.server.pipeline import Lag
    from idmerge.sinks.following import State

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
PREFIX = "idmerge_"
_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})

Sample = tuple["Mapping[str, object]", float]
"""Labels and a value."""


class Observed(NamedTuple):
    """What is shown of a server at one moment."""

    counts: Counts
    log: Log
    lag: Lag
    is_healthy: bool
    resolvers: Mapping[str, Resolver]
    """The resolvers of the projects that may be seen, by their names."""
    commits: Mapping[str, int]
    """The commits of their journals since the start."""
    with_unnamed: bool
    """Whether items may be seen that name no project of this server."""
    sinks: Mapping[str, tuple[str, State]]
    """The project of each sink that may be seen, and how far it has come, by the sink's name."""


def metrics(observed: Observed) -> bytes:
    """Return what is observed as text, each number with its name and its meaning."""
    parts = (
        *_of_server(observed),
        *_of_projects(observed),
        *_of_sinks(observed.sinks),
        *_of_process(observed.counts),
    )
    return "".join(parts).encode()


def _of_server(observed: Observed) -> Iterator[str]:
    counts, log, lag = observed.counts, observed.log, observed.lag
    requests = [
        ({"route": route, "status": status}, count)
        for (route, status), count in sorted(dict(counts.requests).items())
    ]
    yield _family("http_requests_total", "counter", "Requests by route and status of the answer.", requests)
    yield _gauge("http_connections", "Connections that are open.", len(counts.connections))
    yield _counter("log_end_bytes_total", "The offset behind the last record on disk.", log.end)
    yield _gauge("log_bytes", "Bytes of records that the log holds.", log.end - log.beginning)
    yield _gauge("log_waiting_bytes", "Bytes that wait to be written.", log.waiting)
    yield _histogram("log_flush_seconds", "Durations of flushes to disk.", log.flushes)
    yield _gauge("pipeline_lag_bytes", "Bytes of the log whose steps are not committed.", lag.bytes)
    yield _gauge("pipeline_lag_seconds", "Seconds since the journals were level with the log.", lag.seconds)
    yield _gauge("healthy", "1 if /health answers 200, else 0.", int(observed.is_healthy))


def _of_projects(observed: Observed) -> Iterator[str]:
    seen = {*observed.resolvers, *([""] if observed.with_unnamed else [])}
    items = [
        ({"project": project, "route": route, "result": result}, count)
        for (project, route, result), count in sorted(dict(observed.counts.items).items())
        if project in seen
    ]
    yield _family("items_total", "counter", "Events and updates by route, admitted or refused.", items)
    stats = {name: resolver.stats() for name, resolver in observed.resolvers.items()}
    links = [
        ({"project": name, "outcome": outcome.name}, count)
        for name, of_project in stats.items()
        for outcome, count in of_project.outcomes.items()
    ]
    yield _family("links_total", "counter", "Links judged since the journal began, by outcome.", links)
    for metric, meaning, values in (
        ("ids", "Known IDs.", {name: one.ids for name, one in stats.items()}),
        ("clusters", "Clusters of IDs.", {name: one.clusters for name, one in stats.items()}),
        (
            "clusters_near_limit",
            "Clusters with at least 90 % of the IDs that one may have.",
            {name: one.near_limit for name, one in stats.items()},
        ),
    ):
        yield _family(metric, "gauge", meaning, _by_project(values))
    meaning = "Commits to the journal since the start."
    yield _family("journal_commits_total", "counter", meaning, _by_project(observed.commits))


def _of_sinks(sinks: Mapping[str, tuple[str, State]]) -> Iterator[str]:
    for metric, kind, meaning, field in (
        (
            "position",
            "gauge",
            "The position of the journal as of which a sink is; -1 if unknown.",
            "position",
        ),
        ("lag_positions", "gauge", "Positions of the journal that a sink lacks.", "behind"),
        ("lag_seconds", "gauge", "Seconds since a sink was level with its journal.", "seconds"),
        ("deliveries_total", "counter", "Deliveries to a sink that wrote something.", "deliveries"),
        ("failures_total", "counter", "Deliveries to a sink that failed.", "failures"),
    ):
        samples = [
            ({"project": project, "sink": name}, getattr(state, field))
            for name, (project, state) in sinks.items()
        ]
        yield _family(f"sink_{metric}", kind, meaning, samples)


def _of_process(counts: Counts) -> Iterator[str]:
    """Yield what each exporter has, under the names that all of them use."""
    with suppress(OSError):  # Systems other than Linux have no such file.
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
        size = pages * os.sysconf("SC_PAGE_SIZE")
        yield _family("process_resident_memory_bytes", "gauge", "Resident memory.", [({}, size)], prefix="")
    times = os.times()
    spent = round(times.user + times.system, 2)
    yield _family("process_cpu_seconds_total", "counter", "Processor time.", [({}, spent)], prefix="")
    meaning = "The start of the server since 1970."
    yield _family("process_start_time_seconds", "gauge", meaning, [({}, round(counts.started, 3))], prefix="")


def _by_project(values: Mapping[str, float]) -> list[Sample]:
    return [({"project": name}, value) for name, value in values.items()]


def _counter(name: str, meaning: str, value: float) -> str:
    return _family(name, "counter", meaning, [({}, value)])


def _gauge(name: str, meaning: str, value: float) -> str:
    return _family(name, "gauge", meaning, [({}, value)])


def _histogram(name: str, meaning: str, durations: Durations) -> str:
    counts = zip((*BOUNDS, "+Inf"), (*durations.up_to(), durations.count), strict=True)
    lines = [_line(f"{PREFIX}{name}_bucket", {"le": bound}, count) for bound, count in counts]
    lines += [
        _line(f"{PREFIX}{name}_sum", {}, durations.seconds),
        _line(f"{PREFIX}{name}_count", {}, durations.count),
    ]
    return _head(f"{PREFIX}{name}", "histogram", meaning) + "".join(lines)


def _family(name: str, kind: str, meaning: str, samples: Iterable[Sample], prefix: str = PREFIX) -> str:
    name = prefix + name
    return _head(name, kind, meaning) + "".join(_line(name, *sample) for sample in samples)


def _head(name: str, kind: str, meaning: str) -> str:
    return f"# HELP {name} {meaning}\n# TYPE {name} {kind}\n"


def _line(name: str, labels: Mapping[str, object], value: float) -> str:
    shown = ",".join(f'{label}="{str(text).translate(_ESCAPES)}"' for label, text in labels.items())
    return f"{name}{{{shown}}} {value!r}\n" if shown else f"{name} {value!r}\n"
