"""Encoding of events and links as steps of the core: a code and two operands.

A code is the number of a link's `Kind`, or one of those below. The core's `record` module has the
whole table, since a journal keeps these codes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from idmerge.errors import MalformedEventError
from idmerge.events import (
    MALFORMED,
    Kind,
    Source,
    ids_of,
    link_of,
    mapping_or_none,
    operand_keys,
    verb_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from idmerge.events import Event
    from idmerge.policy import Api

TRACKED_MERGE = 3
"""The code of a merge that came by another route than the import."""
OBSERVE = 4
"""The code of an ordinary event, which makes its ID known."""
KEEP_APART = 5
"""The code of two IDs that are kept apart."""
REFUSED = 9
"""The code of an `$identify` that Mixpanel refused itself; those of the other two kinds follow."""
REFUSED_ASSOCIATION = 14
"""The code of an association that Mixpanel refused itself."""
EVIDENCE = 12
"""The code of an ordinary event whose ID was rewritten: its ID, and the one that was sent."""

Step = tuple[int, str | None, str | None]
"""A code and two operands; None for an operand that is missing."""
StepColumns = tuple[bytes, list[str | None], list[str | None]]
"""Codes, first operands and second operands."""


def code_of(kind: Kind, source: Source, refused: str | None = None) -> int:
    """Return the code of a link; its route matters to a merge only (SPEC 3)."""
    if kind is Kind.MERGE and source != "import":
        return TRACKED_MERGE
    if refused is None or kind is Kind.MAPPING:
        return kind
    return REFUSED_ASSOCIATION if kind is Kind.ASSOCIATION else REFUSED + kind


def kind_of(code: int) -> tuple[Kind, Source]:
    """Return the kind and the route of the link with this code; evidence is a mapping."""
    if code == TRACKED_MERGE:
        return Kind.MERGE, "track"
    if code == EVIDENCE:
        return Kind.MAPPING, "import"
    if code in {Kind.ASSOCIATION, REFUSED_ASSOCIATION}:
        return Kind.ASSOCIATION, "import"
    return Kind(code - REFUSED if code >= REFUSED else code), "import"


def states_link(code: int) -> bool:
    """Return whether a step with this code is a link, which has an outcome."""
    return code not in (OBSERVE, EVIDENCE)


def step_of(event: Mapping[str, Any], source: Source, api: Api = "original") -> Step:
    """Return the step that ``event`` states.

    A malformed identity event is a link without operands.
    """
    try:
        link = link_of(event, source, api)
    except MalformedEventError:
        return verb_of(event), None, None
    if link is None:
        distinct_id, sent = ids_of(event, api)
        return OBSERVE if sent is None else EVIDENCE, distinct_id, sent
    return code_of(link.kind, link.source, link.refused), link.first, link.second


def step_of_any(source: Source, api: Api, event: Event) -> Step:
    """Return the step that an item among events states, likewise if it is no event."""
    mapping = mapping_or_none(event)
    return (MALFORMED[api], None, None) if mapping is None else step_of(mapping, source, api)


def coded_rules(source: Source, api: Api) -> list[tuple[str, int, list[Sequence[str]]]]:
    """Return `operand_keys` with the codes of links that come by the route ``source``."""
    return [(name, code_of(Kind(kind), source), keys) for name, kind, keys in operand_keys(api)]


def step_columns(events: Iterable[Mapping[str, Any]], api: Api = "original") -> StepColumns:
    """Return the steps that imported ``events`` state, as columns."""
    steps = [step_of(event, "import", api) for event in events]
    return bytes(code for code, _, _ in steps), [step[1] for step in steps], [step[2] for step in steps]
