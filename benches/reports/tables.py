"""The tables of docs/performance.md, written between its markers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from statistics import median
from textwrap import wrap
from typing import Any

from benches.peers.peer import count_of

Figures = dict[str, Any]
Sections = Iterator[tuple[str, Iterable[str]]]
"""The names of markers, and the lines between each and its end."""
WIDTH = 100
"""Characters in a line of Markdown."""
ITEMS = {
    "link": "links",
    "link without rules": "links",
    "resolve": "look-ups",
    "observe": "IDs",
}


def filled(document: str, figures: Figures) -> str:
    """Return ``document`` with the text that is made of a recorded run made anew."""
    return sections_filled(document, _sections(figures))


def sections_filled(document: str, sections: Sections) -> str:
    """Return ``document`` with the text between the markers of each section made anew."""
    for name, lines in sections:
        begin, end = f"<!-- generated: {name} -->\n", "<!-- end -->"
        pattern = re.compile(f"({re.escape(begin)}).*?({re.escape(end)})", re.DOTALL)
        text = "\n".join(lines)
        document, count = pattern.subn(lambda match, text=text: f"{match[1]}\n{text}\n\n{match[2]}", document)
        if count != 1:
            raise ValueError(f"expected the marker {begin!r} once, found it {count} times")
    return document


def _sections(figures: Figures) -> Sections:
    yield "run", _run(figures)
    yield "limits", _limits(figures)
    for question in ITEMS:
        yield question, _rates(figures, question)
    yield "memory", _memory(figures)
    yield "growth", _growth(figures)
    yield "calls", _calls(figures)
    yield "batches", _batches(figures)
    yield "lost", _lost(figures)
    yield "left out", _left_out(figures)


def table(heads: list[str], rows: Iterable[Iterable[str]], words: int = 1) -> list[str]:
    """Return a table whose first ``words`` columns are words and the others figures."""
    rule = ["---"] * words + ["--:"] * (len(heads) - words)
    return [f"| {' | '.join(cells)} |" for cells in (heads, rule, *rows)]


def _run(figures: Figures) -> list[str]:
    return wrapped(f"`{figures['command']}`, {circumstances(figures)}")


def circumstances(figures: Figures) -> str:
    """Return the date, the machine and the versions of a run."""
    machine, versions = figures["machine"], figures["versions"]
    cache = f", {machine['shared_cache']} shared cache" if machine["shared_cache"] else ""
    named = ", ".join(f"{name} {version}" for name, version in versions.items())
    hardware = f"{machine['processor']}, {machine['cores']} cores{cache}, {machine['memory_gib']:g} GiB"
    return f"{figures['date']}, {hardware}, {machine['system']}; {named}."


def wrapped(text: str, indent: str = "") -> list[str]:
    """Return the lines of a paragraph, all but the first one with an indent."""
    return wrap(text, WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def _limits(figures: Figures) -> list[str]:
    limits = figures["limits"]
    if limits is None:
        return ["Not measured: there was no Rust compiler."]
    rows = [
        ["a read that waits for the last one", f"{limits['waiting_ns']:.0f} ns"],
        ["reads that do not wait, one core", f"{limits['one_core_millions']:.0f} M a second"],
        ["reads that do not wait, all cores", f"{limits['all_cores_millions']:.0f} M a second"],
    ]
    return table(["one cache line at random of 512 MiB", "the machine's limit"], rows)


def rate(row: Figures) -> float:
    """Return millions a second: links, look-ups or IDs, as the question has it."""
    return count_of(row["question"], row["links"]) / median(row["seconds"]) / 1e6


def bytes_an_id(row: Figures) -> float:
    """Return the peak while the work ran, for each distinct ID or for each look-up."""
    count = count_of("resolve", row["links"]) if row["question"] == "resolve" else row["distinct"]
    return median(row["peak_bytes"]) / count


def sizes(figures: Figures) -> list[int]:
    """Return the sizes of the run, ascending."""
    return sorted({row["ids"] for row in figures["peers"]})


def by_peer(figures: Figures, question: str) -> dict[str, dict[int, Figures]]:
    """Return the rows of those who answered ``question``, by peer and size."""
    found: dict[str, dict[int, Figures]] = {}
    for row in figures["peers"]:
        if row["question"] == question and "seconds" in row:
            found.setdefault(row["peer"], {})[row["ids"]] = row
    return found


def power(ids: int) -> str:
    """Return a size as it reads in a head: ``10⁵``, or with commas."""
    digits = len(str(ids)) - 1
    return (
        f"10{str(digits).translate(str.maketrans('0123456789', '⁰¹²³⁴⁵⁶⁷⁸⁹'))}"
        if ids == 10**digits
        else f"{ids:,}"
    )


def _rates(figures: Figures, question: str) -> list[str]:
    columns, item = sizes(figures), ITEMS[question]
    each = "a look-up" if question == "resolve" else "an ID"
    heads = ["", "given", "until there is", *(f"{power(ids)} IDs" for ids in columns), f"bytes {each}"]
    rows = []
    for of_size in by_peer(figures, question).values():
        last = of_size[max(of_size)]
        cells = [f"{rate(of_size[ids]):.2f}" if ids in of_size else "-" for ids in columns]
        label = f"**{last['label']}**" if last["ours"] else last["label"]
        rows.append([label, last["given"], last["until"], *cells, f"{bytes_an_id(last):.0f}"])
    return [f"Million {item} a second:", "", *table(heads, rows, words=3)]


def _memory(figures: Figures) -> list[str]:
    heads = ["", "held", "at most while growing", "the mapping, in Arrow", "the text alone, in Arrow"]
    rows = [
        [_settings(row), *(f"{row[what]:.0f}" for what in ("held", "peak", "mapping", "text"))]
        for row in figures["memory"]
    ]
    return ["Bytes an ID:", "", *table(heads, rows)]


def _settings(row: Figures) -> str:
    return f"{row['ids']:,} IDs, {'presized' if row['settings'] else 'growing'}"


def _growth(figures: Figures) -> list[str]:
    heads = ["", "half within", "99 %", "99.9 %", "slowest"]
    rows = []
    for row in figures["growth"]:
        for what, name in (("call_ns", "`identify`"), ("chunk_ns", "`link_many` of 1,000")):
            cells = (_time(row[what][share]) for share in ("50", "99", "99.9", "100"))
            rows.append([f"{name}, {_settings(row)}", *cells])
    clock = figures["growth"][0]["clock_ns"]
    return [*table(heads, rows), "", f"Each holds the clock's own {clock} ns."]


def _time(nanoseconds: float) -> str:
    for unit, size in (("ms", 1e6), ("µs", 1e3)):
        if nanoseconds >= size:
            return f"{nanoseconds / size:.1f} {unit}"
    return f"{nanoseconds:.0f} ns"


def _calls(figures: Figures) -> list[str]:
    by_size = figures["single"]["calls"]
    heads = ["nanoseconds a call", *(f"{int(ids):,} IDs" for ids in by_size)]
    names = next(iter(by_size.values()))
    return table(heads, [[name, *(f"{calls[name]:.0f}" for calls in by_size.values())] for name in names])


def _batches(figures: Figures) -> list[str]:
    heads = ["links in a batch", "`link_many`, Arrow", "`link_many`, lists", "`identify` each"]
    rows = [
        [f"{row['links']:,}", *(f"{row[what]:,.0f}" for what in ("arrow", "list", "call"))]
        for row in figures["single"]["batches"]
    ]
    return ["Nanoseconds a link, all links known:", "", *table(heads, rows, words=0)]


def _lost(figures: Figures) -> list[str]:
    """Return a line for each peer and size that was faster or smaller than the best of ours."""
    lines = []
    for question in ITEMS:
        peers = by_peer(figures, question).values()
        for ids in sizes(figures):
            rows = [of_size[ids] for of_size in peers if ids in of_size]
            fastest = max(rate(row) for row in rows if row["ours"])
            smallest = min(bytes_an_id(row) for row in rows if row["ours"])
            where = f"{question}, {power(ids)} IDs"
            lines += [
                f"- {where}: {row['label']} ({row['given']}) is {rate(row) / fastest:.1f} times as fast"
                for row in rows
                if rate(row) > fastest
            ]
            lines += [
                f"- {where}: {row['label']} ({row['given']}) takes "
                f"{bytes_an_id(row) / smallest:.2f} times the memory"
                for row in rows
                if bytes_an_id(row) < smallest
            ]
    for ids, calls in figures["single"]["calls"].items():
        ratio = calls["resolve"] / calls["dict.get of the mapping"]
        if ratio > 1:
            lines.append(
                f"- one look-up, {int(ids):,} IDs: `dict.get` of the mapping is {ratio:.1f} times as fast"
            )
    for what, name in (("arrow", "Arrow columns"), ("list", "lists")):
        slow = [row["links"] for row in figures["single"]["batches"] if row[what] > row["call"]]
        if slow:
            lines.append(
                f"- `link_many` of {name} is slower than calls one by one up to {max(slow):,} links at least"
            )
    return lines or ["In this run, nowhere."]


def _left_out(figures: Figures) -> list[str]:
    missing = [row for row in figures["peers"] if "skipped" in row]
    if not missing:
        return ["Nobody was left out."]
    return [f"- {row['label']}, {row['ids']:,} IDs: {row['skipped']}" for row in missing]
