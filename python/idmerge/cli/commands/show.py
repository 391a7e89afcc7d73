"""``idmerge show``: one cluster and its links."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from idmerge import Outcome, Policy, Resolver
from idmerge._formatting import counted, printable, shortened
from idmerge.cli.completion import FILE
from idmerge.cli.dialects import Spelling, dialect_options
from idmerge.cli.journals import as_of_options, check_clock, is_journal, journal_at, opened_to_read
from idmerge.cli.links import (
    LISTED,
    Stated,
    act_lines,
    copies_lines,
    cut_off,
    link_facts,
    link_rows,
    outcome_facts,
    rejected_lines,
    sorted_out,
    stated_facts,
)
from idmerge.cli.malformed import MalformedLines, list_malformed_option
from idmerge.cli.messages import give, labelled, print_lines, rows
from idmerge.cli.options import (
    FILES_HELP,
    api_option,
    canonical_option,
    check_rules_are_left_out,
    files_in_directories,
    policy_options,
)
from idmerge.cli.pictures import check_drawing, cluster_of, draw, picture_options
from idmerge.cli.progress import progress, total_size, working
from idmerge.cli.sections import command
from idmerge.cli.served import check_project_has_directory, is_served, project_option
from idmerge.errors import UnknownIdError
from idmerge.files import BadLine, RereadableFile, rereadable, scan
from idmerge.files.judging import JudgedLink
from idmerge.pages.graph import Cluster, graph_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime

    from idmerge.cli.journals import Clock
    from idmerge.files import Piece
    from idmerge.files.judging import JudgedLink


def _files_or_served(context: click.Context, option: click.Parameter, paths: Sequence[str]) -> Sequence[str]:
    """Return paths, with the files in directories that are no server's."""
    return paths if any(map(is_served, paths)) else files_in_directories(context, option, paths)


@command(
    short_help="Show one cluster and its links.",
    help=f"""
    Show the cluster of one ID: its canonical ID, its members, and its links.

    Members stand in the order in which they became known, links in the order of the FILEs, each with file
    and line. Rejected links are those that name a member. The FILEs are read twice.

    {FILES_HELP}

    Or FILE is one journal, or the directory of idmerge serve, which may run: links stand with position and
    time, and rejected ones are those between members. Beside them stand further copies of a link, the pairs
    of IDs that are kept apart, and what was taken back. With it go --as-of, --by, --svg and --html, and with
    a directory --project.

    Of a long list the first {LISTED} rows are printed; --all and --json have all.

    \b
    Example:
      idmerge show user-1013 events.ndjson
      idmerge show '$device:8f14e45f-ceea-467f-a7e6-0f3b1a2c9d10' events.ndjson.gz
      idmerge show user-1013 ids.idmerge --all
      idmerge show user-1013 ids.idmerge --as-of 2026-11-25T09:30 --html user.html
    """,
)
@click.argument("distinct_id", metavar="ID")
@click.argument("files", type=FILE, metavar="FILE...", nargs=-1, required=True, callback=_files_or_served)
@as_of_options
@click.option("--all", "whole", is_flag=True, help=f"List everything, not only the first {LISTED} of each.")
@picture_options
@project_option
@dialect_options
@api_option
@list_malformed_option
@canonical_option
@policy_options
def show(  # noqa: PLR0913 - click hands over each option
    *,
    distinct_id: str,
    files: Sequence[str],
    as_of: int | datetime | None,
    by: Clock,
    whole: bool,
    svg_file: str | None,
    html_file: str | None,
    project: str | None,
    spelling: Spelling,
    canonical: Any,
    policy: Policy,
) -> None:
    """Show one cluster; the help says more."""
    most = None if whole else LISTED
    if any(is_journal(path) or is_served(path) for path in files):
        _check_alone(files)
        check_clock(as_of, by)
        path = journal_at(files[0], project)
        _show_journal(distinct_id, path, as_of, by, svg_file, html_file, most=most)
        return
    check_project_has_directory(project, files[0])
    if as_of is not None or by == "event" or svg_file or html_file:
        raise click.UsageError(
            "--as-of, --by, --svg and --html need a journal; idmerge resolve --journal makes one"
        )
    sources = [rereadable(path) for path in files]
    malformed = MalformedLines()
    resolver = _resolved(files, sources, Resolver(policy, canonical), spelling, malformed)
    spelling.tell()
    print_lines(malformed.lines(), err=True)
    if distinct_id not in resolver:
        raise UnknownIdError(f"{distinct_id!r} is not known: no link or event in the files names it")
    members = resolver.members(distinct_id)
    links = _touching(frozenset(members), files, sources, Resolver(policy, canonical), spelling)
    canonical_id = resolver.resolve(distinct_id)
    give(
        {
            **_cluster_facts(canonical_id, members),
            "links": [_link_facts(link) for link in links if link.outcome.accepted],
            "rejected": [_link_facts(link) for link in links if not link.outcome.accepted],
            "copies": [],
            "kept_apart": [],
            "taken_back": [],
        },
        _answer(canonical_id, members, links, most),
    )


def _check_alone(files: Sequence[str]) -> None:
    if len(files) > 1:
        raise click.UsageError("a journal is shown alone, without other files")
    check_rules_are_left_out()


def _show_journal(  # noqa: PLR0913, PLR0917 - a moment and the outputs
    distinct_id: str,
    path: str,
    as_of: int | datetime | None,
    by: Clock,
    svg_file: str | None,
    html_file: str | None,
    *,
    most: int | None,
) -> None:
    check_drawing(path, svg_file, html_file)
    with working("opening") as work, opened_to_read(path, as_of, by) as resolver:
        work.begin("looking for links")
        cluster = cluster_of(resolver, distinct_id)
        stated = sorted_out(resolver.statements(distinct_id), cluster.links)
        rejected = resolver.why_not(distinct_id, distinct_id) if svg_file or html_file else []
    facts = {
        **_cluster_facts(cluster.canonical, cluster.members),
        "links": [*map(link_facts, cluster.links)],
        **stated_facts(stated),
    }
    give(facts, _journal_answer(cluster, stated, most))
    title = f"The cluster of {shortened(cluster.canonical)}: {counted(len(cluster.members), 'ID')}"
    draw(lambda: graph_of(title, [cluster], rejected=rejected, requested=(distinct_id,)), svg_file, html_file)


def _journal_answer(cluster: Cluster, stated: Stated, most: int | None) -> Iterator[str]:
    links = cluster.links
    yield from _head(cluster.canonical, cluster.members, most)
    yield labelled("links", f"{counted(len(links), 'link')} built the cluster{cut_off(len(links), most)}")
    yield from link_rows(links[:most])
    yield from copies_lines(stated.copies, most)
    if stated.rejected:
        yield from rejected_lines(stated.rejected, "between its members", most)
    yield from act_lines(stated, most)


def _cluster_facts(canonical: str, members: Sequence[str]) -> dict[str, Any]:
    return {"canonical_id": canonical, "cluster_size": len(members), "members": [*members]}


def _link_facts(link: JudgedLink) -> dict[str, Any]:
    return {
        "file": link.path,
        "line": link.line,
        "kind": link.kind.name.lower(),
        "first": link.first,
        "second": link.second,
        **outcome_facts(link.outcome),
        "failure_reason": link.failure_reason,
    }


def _scanned(
    source: RereadableFile, on_bytes: Callable[[int], object], resolver: Resolver, spelling: Spelling
) -> Iterator[Piece]:
    arguments = spelling.with_api(resolver.policy.api)
    return scan(source.path, name=source.name, on_bytes=on_bytes, **arguments)


def _resolved(
    files: Sequence[str],
    sources: Sequence[RereadableFile],
    resolver: Resolver,
    spelling: Spelling,
    malformed: MalformedLines,
) -> Resolver:
    """Apply every link to ``resolver``: the first pass, which finds the members."""
    with progress("first pass", total_size(files)) as bar:
        for source in sources:
            for piece in _scanned(source, bar.advance, resolver, spelling):
                if isinstance(piece, BadLine):
                    malformed.add(piece.path, piece.line, piece.message)
                else:
                    piece.apply_to(resolver)
    return resolver


def _touching(
    members: frozenset[str],
    files: Sequence[str],
    sources: Sequence[RereadableFile],
    resolver: Resolver,
    spelling: Spelling,
) -> list[JudgedLink]:
    """Return the links that name one of ``members``: the second pass, judged as in the first."""
    touching: list[JudgedLink] = []
    with progress("second pass", total_size(files)) as bar:
        for source in sources:
            for piece in _scanned(source, bar.advance, resolver, spelling):
                links = piece.judged(piece.apply_to(resolver))
                touching += (link for link in links if link.first in members or link.second in members)
    return touching


def _answer(
    canonical: str, members: Sequence[str], links: Sequence[JudgedLink], most: int | None
) -> Iterator[str]:
    built = [link for link in links if link.outcome.accepted]
    rejected = [link for link in links if not link.outcome.accepted]
    yield from _head(canonical, members, most)
    merged = sum(link.outcome is Outcome.MERGED for link in built)
    repeated = f", {len(built) - merged} changed nothing" if len(built) > merged else ""
    yield labelled(
        "links", f"{counted(merged, 'link')} built the cluster{repeated}{cut_off(len(built), most)}"
    )
    yield from _rows(built[:most])
    if rejected:
        named = f"{counted(len(rejected), 'link')} named a member{cut_off(len(rejected), most)}"
        yield labelled("rejected", named)
        yield from _rows(rejected[:most])


def _head(canonical: str, members: Sequence[str], most: int | None) -> Iterator[str]:
    yield labelled("canonical", printable(canonical))
    order = f"in the order in which they became known{cut_off(len(members), most)}"
    yield labelled("members", f"{counted(len(members), 'ID')}, {order}")
    for member in members[:most]:
        yield f"  {printable(member)}"


def _rows(links: Sequence[JudgedLink]) -> Iterator[str]:
    """Yield a line a link."""
    return rows(
        [
            (
                f"{link.path}:{link.line}",
                link.kind.name.lower(),
                link.outcome.name,
                printable(link.first),
                f"{printable(link.second)}{_reason(link)}",
            )
            for link in links
        ],
        ragged=2,
    )


def _reason(link: JudgedLink) -> str:
    """Return Mixpanel's reason where it refused the link itself."""
    is_refused = link.outcome is Outcome.REFUSED_BEFORE
    return f"  ({printable(link.reason)})" if is_refused else ""
