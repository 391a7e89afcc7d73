"""Acts on a project's journal: links taken back, IDs kept apart, and what that would change."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, NamedTuple

from idmerge.policy import can_be_id

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from idmerge.journal import DurableResolver


class Renamed(NamedTuple):
    """An ID whose canonical ID changes."""

    distinct_id: str
    old: str | None
    """The canonical ID before; None if that ID was forgotten."""
    new: str


class Effect(NamedTuple):
    """What a retraction changes, or would change."""

    is_done: bool
    """Whether it was done; else this is what it would change."""
    position: int
    """The position of the retraction, or that which it would have; the first one of several."""
    renamed: Sequence[Renamed]
    """The IDs whose canonical ID changes."""

    @property
    def digest(self) -> str:
        """A text that two effects share if they rename the same IDs."""
        return hashlib.sha256(json.dumps(self.renamed).encode()).hexdigest()[:32]


def retraction(resolver: DurableResolver, positions: Sequence[int]) -> Effect:
    """Return what it would change to take back what stands at some positions.

    Raises:
        RetractionError: One is not there, is taken back already, or cannot be undone.

    Examples:
        >>> from idmerge import DurableResolver
        >>> from idmerge.server.acts import retraction
        >>> with DurableResolver.open(":memory:") as resolver:
        ...     _ = resolver.merge("ana", "ben"), resolver.commit()
        ...     effect = retraction(resolver, [0])
        >>> effect.is_done, effect.position, effect.renamed
        (False, 1, [Renamed(distinct_id='ben', old='ana', new='ben')])
    """
    position = resolver.position
    found = resolver.retract(*positions, dry_run=True)
    return Effect(is_done=False, position=position, renamed=_renamed(found.to_pydict()))


def retracting(positions: Sequence[int], expected: str | None = None) -> Callable[[DurableResolver], Effect]:
    """Return what takes back what stands at some positions; the caller commits.

    Args:
        positions: The positions.
        expected: The `Effect.digest` of what is meant: if it would change something else by now,
            nothing is done.

    Examples:
        >>> from idmerge import DurableResolver
        >>> from idmerge.server.acts import retracting
        >>> with DurableResolver.open(":memory:") as resolver:
        ...     _ = resolver.merge("ana", "ben"), resolver.commit()
        ...     stale = retracting([0], expected="of another time")(resolver)
        ...     done = retracting([0], expected=stale.digest)(resolver)
        ...     _ = resolver.commit()
        >>> stale.is_done, done.is_done, done.position
        (False, True, 1)
    """

    def retract(resolver: DurableResolver) -> Effect:
        if expected is not None:
            meant = retraction(resolver, positions)
            if meant.digest != expected:
                return meant
        position = resolver.position
        found = resolver.retract(*positions)
        return Effect(is_done=True, position=position, renamed=_renamed(found.to_pydict()))

    return retract


def keeping_apart(a: str, b: str) -> Callable[[DurableResolver], int]:
    """Return what keeps two IDs apart, and then returns the position of that; the caller commits.

    Examples:
        >>> from idmerge import DurableResolver
        >>> from idmerge.server.acts import keeping_apart
        >>> with DurableResolver.open(":memory:") as resolver:
        ...     print(keeping_apart("ana", "ben")(resolver), resolver.merge("ana", "ben").name)
        ...     _ = resolver.commit()
        0 KEPT_APART
    """

    def keep_apart(resolver: DurableResolver) -> int:
        position = resolver.position
        resolver.keep_apart(a, b)
        return position

    return keep_apart


def check_pair(resolver: DurableResolver, a: str, b: str) -> None:
    """Make sure that two texts can be IDs that are kept apart, as far as the texts say.

    Raises:
        ValueError: They cannot.
    """
    for text in (a, b):
        if not can_be_id(text, resolver.policy):
            raise ValueError(f"{text!r:.100} can be no ID: it is empty, too long, blocked or no Unicode text")
    if a == b:
        raise ValueError(f"{a!r:.100} cannot be kept apart from itself")


def _renamed(columns: Mapping[str, Sequence[Any]]) -> list[Renamed]:
    names = ("distinct_id", "old_canonical_id", "new_canonical_id")
    return [Renamed(*row) for row in zip(*(columns[name] for name in names), strict=True)]
