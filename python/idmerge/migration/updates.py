"""Profile updates under the person whom Simplified shows.

Original applies an update to the profile of the canonical ID, so the updates of all IDs of a
person go to the user's profile, in their order. In an export of profiles the row of the canonical
ID counts before those of the other IDs, which fill in what it lacks: these become ``$set_once``.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from idmerge._exported import ExportedProfile
from idmerge._ids import as_id
from idmerge.files.people import OPERATIONS, SET, UPDATED_ID, update_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from idmerge.migration.planning import Plan

EXACTLY, SET_ONCE, TOKEN = "$ignore_alias", "$set_once", "$token"
WRITTEN, MALFORMED, NOBODY, HIDDEN = "written", "malformed", "nobody's", "hidden"
"""What becomes of an update; a hidden one is for the profile of an ID that Original does not show,
which Simplified has not."""


class Updates:
    """Writes updates anew and counts what becomes of them."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self.counts: Counter[str] = Counter()

    def written(self, given: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return an update as it is written, None for one that is left out."""
        update = update_of(given)
        what, answer = self._written(update)
        self.counts[what] += 1
        return answer

    def _written(self, update: Mapping[str, Any]) -> tuple[str, dict[str, Any] | None]:
        distinct_id = as_id(update.get(UPDATED_ID))
        if distinct_id is None or OPERATIONS.isdisjoint(update):
            return MALFORMED, None
        plan = self._plan
        original = plan.reading.original
        person = plan.person(plan.target(distinct_id))
        if person is None:
            return NOBODY, None
        canonical = original.resolve(distinct_id)
        if update.get(EXACTLY) is True and canonical != distinct_id:
            return HIDDEN, None
        answer = {key: value for key, value in update.items() if key not in {TOKEN, EXACTLY}}
        if isinstance(update, ExportedProfile) and not self._is_shown(distinct_id, canonical, person):
            answer[SET_ONCE] = answer.pop(SET)
        return WRITTEN, {**answer, UPDATED_ID: person}

    def _is_shown(self, distinct_id: str, canonical: str, person: str) -> bool:
        """Return whether the row of an ID counts before the others of its person."""
        is_with_canonical = self._plan.person(self._plan.target(canonical)) == person
        return distinct_id == (canonical if is_with_canonical else person)
