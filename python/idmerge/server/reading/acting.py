"""Requests that take back what stands in a journal, or keep two IDs apart.

Their bodies are JSON, and have to be called so: no form of a page of another origin can send that,
though a browser may add the secret that it has kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from idmerge._json_decoding import decoded_or_none
from idmerge.server.acts import retraction
from idmerge.server.http import answers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from idmerge.journal import DurableResolver
    from idmerge.server.acts import Effect
    from idmerge.server.http.answers import Answer
    from idmerge.server.http.requests import Request

RETRACT, KEEP_APART = "api/retract", "api/keep-apart"
ACTS = (RETRACT, KEEP_APART)
"""The routes of acts, called as the commands that do the same to a journal."""
MOST_POSITIONS = 1000
"""Positions that one request takes back."""


class Acting(Protocol):
    """What acts on journals."""

    def resolver(self, project: str) -> DurableResolver:
        """Return the resolver of the project with this name."""

    def retract(self, project: str, positions: Sequence[int]) -> Effect:
        """Take back what stands at some positions of a project's journal."""

    def keep_apart(self, project: str, a: str, b: str) -> int:
        """Keep two IDs of a project apart, and return the position of that."""


def acted(request: Request, route: str, state: Acting, project: str) -> Answer:
    """Act on the journal of a project as a request says, and return what that has changed.

    Raises:
        BusyError: The log is not applied yet; nothing is done.
        ValueError: The request is wrong, or what it says cannot be done.
    """
    content: Any = decoded_or_none(request.body) if request.is_json else None
    _check(isinstance(content, dict), "a JSON object is needed, with the Content-Type application/json")
    if route == KEEP_APART:
        a, b = content.get("a"), content.get("b")
        _check(isinstance(a, str) and isinstance(b, str), "a and b must be two IDs")
        return answers.in_json({"a": a, "b": b, "position": state.keep_apart(project, a, b)})
    positions, is_dry = content.get("positions"), content.get("dry_run", False)
    _check(
        _are_positions(positions), f"positions must be a list of 1 to {MOST_POSITIONS} integers, each once"
    )
    _check(isinstance(is_dry, bool), "dry_run must be true or false")
    done = retraction(state.resolver(project), positions) if is_dry else state.retract(project, positions)
    return answers.in_json(
        {
            "dry_run": is_dry,
            "positions": positions,
            "by": [done.position + place for place in range(len(positions))] if done.is_done else [],
            "changes": [
                {"distinct_id": one.distinct_id, "old_canonical_id": one.old, "new_canonical_id": one.new}
                for one in done.renamed
            ],
        }
    )


def _are_positions(value: Any) -> bool:
    return (
        isinstance(value, list)
        and 0 < len(value) <= MOST_POSITIONS
        and all(isinstance(one, int) and not isinstance(one, bool) for one in value)
        and len({*value}) == len(value)
    )


def _check(is_right: bool, wrong: str) -> None:  # noqa: FBT001 - what has to be so
    if not is_right:
        raise ValueError(wrong)
