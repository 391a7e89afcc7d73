"""A migration as a directory, which is written whole or not at all.

``associations.ndjson``, ``events.ndjson`` and ``profiles.ndjson`` are imported in this order.
``mapping.ndjson`` has a row for each ID, ``plan.json`` the report and the settings, and
``report.html`` the report as a page. The plan has the SHA-256 of each file of lines.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from idmerge._json_decoding import WrittenInteger, decoded_or_none
from idmerge.errors import FileFormatError, MigrationError
from idmerge.files import check_replaceable_directory, replacing_directory, scan
from idmerge.files.pieces import BadLine
from idmerge.outcome import Outcome
from idmerge.policy import Policy
from idmerge.resolver import Resolver

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping


FORMAT = 1
"""The format of the directory."""
ASSOCIATIONS, EVENTS, PROFILES = "associations.ndjson", "events.ndjson", "profiles.ndjson"
MAPPING, PLAN, PAGE = "mapping.ndjson", "plan.json", "report.html"
NAMES = {ASSOCIATIONS, EVENTS, PROFILES, MAPPING, PLAN, PAGE}
LINES = (ASSOCIATIONS, EVENTS, PROFILES, MAPPING)
"""The files of lines."""
_COUNTS = ("events", "identity_events", "associations")
MOST_DIFFERENCES = 20
"""Differences that are listed; all are counted."""


class Difference(NamedTuple):
    """An ID whose person in Simplified is another one than planned.

    Examples:
        >>> from pathlib import Path
        >>> from idmerge import migration
        >>> migration.plan("examples/flow-1-new-user.ndjson").write("new")
        >>> with Path("new/events.ndjson").open("a") as events:
        ...     _ = events.write('{"event": "Buy", "properties": {"$user_id": "eve"}}')
        >>> [difference] = migration.verify("new").differences
        >>> difference
        Difference(migrated_id='eve', planned=None, found='eve')
    """

    migrated_id: str
    """The ID in Simplified."""
    planned: str | None
    """The person of the plan; None for an ID that the plan lacks."""
    found: str
    """The person of the events that were written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The answer of `verify`; true if the events show the people of the plan.

    Examples:
        >>> from idmerge import migration
        >>> migration.plan("examples/shop.ndjson").write("new")
        >>> verdict = migration.verify("new")
        >>> bool(verdict), verdict.ids, verdict.people, verdict.differing, verdict.differences
        (True, 160, 75, 0, ())
        >>> verdict.events, verdict.planned_events, verdict.refused, verdict.altered
        (596, 596, 0, ())
    """

    events: int
    """Events that were read, associations among them."""
    planned_events: int
    """Events of the plan."""
    ids: int
    """IDs of the plan."""
    people: int
    """People of the plan."""
    refused: int
    """Events that a Simplified project refuses."""
    differing: int
    """IDs whose person differs."""
    differences: tuple[Difference, ...]
    """The first of them."""
    altered: tuple[str, ...]
    """The files that are not as they were written."""

    def __bool__(self) -> bool:
        """Return whether nothing differs, is missing, is refused or was altered."""
        is_whole = self.events == self.planned_events and not self.altered
        return is_whole and not self.differing and not self.refused


def check_directory(path: str) -> None:
    """Raise, before anything is read, what `writing` would raise of the place ``path``.

    Raises:
        MigrationError: There is a file, or a directory that holds something else.
        OSError: No directory can be made there.
    """
    check_replaceable_directory(path, _check_own)


@contextmanager
def writing(path: str) -> Iterator[Path]:
    """Make a directory that takes the place of ``path`` if the block ends without an error.

    Raises:
        MigrationError: There is a file, or a directory that holds something else.
        OSError: It cannot be made, or the disk is full.
    """
    with replacing_directory(path, _check_own) as directory:
        yield directory


def write_lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> str:
    """Write ``rows`` as JSON, an object a line, and return the SHA-256 of the file."""
    digest = hashlib.sha256()
    with path.open("wb") as stream:
        for row in rows:
            line = f"{_json_of(row)}\n".encode("ascii")
            digest.update(line)
            stream.write(line)
    return digest.hexdigest()


def _json_of(row: Mapping[str, Any]) -> str:
    try:
        return json.dumps(row, allow_nan=False)
    except ValueError:
        return json.dumps(_in_json(row), allow_nan=False)


def _in_json(value: Any) -> Any:
    """Return a value whose numbers JSON has: what is no number is null, a long integer a text."""
    if isinstance(value, dict):
        return {key: _in_json(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_in_json(each) for each in value]
    if not isinstance(value, float) or isfinite(value):
        return value
    return value.digits if isinstance(value, WrittenInteger) else None


def write_plan(path: Path, content: Mapping[str, Any]) -> None:
    """Write ``content``, the report and the settings."""
    path.write_text(json.dumps({"format": FORMAT, **content}, indent=2) + "\n", "utf-8")


def verify(path: str, on_bytes: Callable[[int], object] = lambda _count: None) -> Verdict:
    """Feed the events of a directory to Simplified ID Merge, and compare the people with the plan.

    Args:
        path: A directory that a migration wrote.
        on_bytes: Called with the number of bytes that were read since its last call.

    Raises:
        MigrationError: It is no such directory, or of another format.
        FileFormatError: A file in it is damaged.
        OSError: A file cannot be opened.

    Examples:
        >>> from idmerge import migration
        >>> migration.plan("examples/flow-5-merge.ndjson").write("new")
        >>> bool(migration.verify("new"))
        True
    """
    directory = Path(path)
    planned_events, digests = _plan(directory)
    resolver = Resolver(Policy.simplified(), "identified")
    events = refused = 0
    for name in (ASSOCIATIONS, EVENTS):
        for piece in scan(directory / name, api="simplified", on_bytes=on_bytes):
            if isinstance(piece, BadLine):
                raise FileFormatError(str(piece))
            counts = piece.apply_to(resolver).counts
            events += len(piece)
            refused += counts.get(Outcome.VERB_NOT_ALLOWED, 0)
    planned = dict(_planned(directory / MAPPING, on_bytes))
    differences = _differences(resolver, planned)
    first = tuple(islice(differences, MOST_DIFFERENCES))
    return Verdict(
        events=events,
        planned_events=planned_events,
        ids=len(planned),
        people=len({*planned.values()}),
        refused=refused,
        differing=len(first) + sum(1 for _ in differences),
        differences=first,
        altered=tuple(name for name in LINES if _digest_of(directory / name) != digests.get(name)),
    )


def size_of(path: str) -> int | None:
    """Return the bytes that `verify` reads; None if a file is missing."""
    try:
        return sum((Path(path) / name).stat().st_size for name in (ASSOCIATIONS, EVENTS, MAPPING))
    except OSError:
        return None


def _differences(resolver: Resolver, planned: Mapping[str, str]) -> Iterator[Difference]:
    for each, person in planned.items():
        if (found := resolver.resolve(each)) != person:
            yield Difference(each, person, found)
    known = resolver.mapping().to_pydict()
    for each, found in zip(known["distinct_id"], known["canonical_id"], strict=True):
        if each not in planned:
            yield Difference(each, None, found)


def _planned(path: Path, on_bytes: Callable[[int], object]) -> Iterator[tuple[str, str]]:
    """Yield the IDs of Simplified in a planned mapping with their people.

    Raises:
        FileFormatError: A line is none of such a mapping.
    """
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            on_bytes(len(line))
            row = decoded_or_none(line)
            if not isinstance(row, dict) or not {"migrated_id", "person"} <= row.keys():
                raise FileFormatError(f"{path}:{number}: the line is no row of a planned mapping")
            if row["migrated_id"] is not None:
                yield row["migrated_id"], row["person"]


def _digest_of(path: Path) -> str | None:
    """Return the SHA-256 of a file; None if there is none."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return None


def _plan(directory: Path) -> tuple[int, Mapping[str, str]]:
    """Return the number of events that a migration wrote, and the SHA-256 of each of its files.

    Raises:
        MigrationError: The directory is none of a migration, or of another format.
    """
    if not (directory / PLAN).is_file():
        raise MigrationError(f"{directory}: the directory holds no migration ({PLAN} is missing)")
    plan = decoded_or_none((directory / PLAN).read_bytes())
    found = plan.get("format") if isinstance(plan, dict) else None
    if found != FORMAT:
        raise MigrationError(
            f"{directory / PLAN}: the migration has format {found!r:.20}, and this version reads {FORMAT}"
        )
    report, digests = plan.get("report"), plan.get("files")
    counts: list[Any] = [report.get(name) if isinstance(report, dict) else None for name in _COUNTS]
    if not all(isinstance(count, int) for count in counts):
        raise MigrationError(f"{directory / PLAN}: the report lacks {', '.join(_COUNTS)}")
    if not isinstance(digests, dict):
        raise MigrationError(f"{directory / PLAN}: the plan lacks the digests of its files")
    events, identity_events, associations = counts
    return int(events - identity_events + associations), digests


def _check_own(target: Path) -> None:
    """Raise MigrationError if ``target`` is a file, or holds what no migration wrote."""
    if not target.is_dir():
        raise MigrationError(f"{target}: there is a file; name a new directory")
    names = {each.name for each in target.iterdir()}
    if names and (not names <= NAMES or PLAN not in names):
        raise MigrationError(f"{target}: the directory holds other files; name a new one, or empty it first")
