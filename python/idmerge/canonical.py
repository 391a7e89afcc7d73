"""Strategies for the canonical ID of a cluster (SPEC 5).

The four named strategies run in the core. A callable is asked anew whenever an answer needs it,
which costs a list of members and a Python call a cluster: right, and slow.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, get_args

from idmerge.errors import CanonicalError

__all__ = ["STRATEGIES", "Chooser", "Strategy"]

Strategy = Literal["stable", "identified", "first_seen", "smallest"]
"""``"stable"``: the larger cluster's canonical ID stays. ``"identified"``: the identified ID known
first, else the ID known first. ``"first_seen"``: the ID known first. ``"smallest"``: the smallest
by UTF-8 bytes.

Examples:
    >>> from idmerge import Resolver
    >>> r = Resolver(canonical="smallest")
    >>> r.merge("crm-17", "ana")
    <Outcome.MERGED: 0>
    >>> r.resolve("crm-17")
    'ana'
"""

Chooser = Callable[[Sequence[str]], str]
"""A strategy of the caller's own: takes the members in the order in which they became known and
returns one of them.

Examples:
    >>> from idmerge import Resolver
    >>> r = Resolver(canonical=lambda members: min(members, key=len))
    >>> r.merge("ana@example.com", "ana")
    <Outcome.MERGED: 0>
    >>> r.resolve("ana@example.com")
    'ana'
"""

STRATEGIES: tuple[Strategy, ...] = get_args(Strategy)
"""The names of all strategies.

Examples:
    >>> from idmerge.canonical import STRATEGIES
    >>> STRATEGIES
    ('stable', 'identified', 'first_seen', 'smallest')
"""


def check_canonical(canonical: Strategy | Chooser) -> None:
    """Raise unless ``canonical`` is a strategy's name or a callable.

    Raises:
        CanonicalError: It is neither.
    """
    if not callable(canonical) and canonical not in STRATEGIES:
        names = ", ".join(repr(name) for name in STRATEGIES)
        raise CanonicalError(f"canonical must be one of {names} or a callable, got {canonical!r}")


def check_can_be_followed(canonical: Strategy | Chooser) -> None:
    """Raise unless canonical IDs can be given as they were before each event.

    Raises:
        CanonicalError: It is a callable, which would be asked anew for each event.
    """
    if callable(canonical):
        raise CanonicalError("the sender as known at each event can be found under a named strategy only")


def choose(chooser: Chooser, members: Sequence[str]) -> str:
    """Return the member that ``chooser`` picks.

    Raises:
        CanonicalError: It picked something that is no member.
    """
    members = tuple(members)  # The callable may do as it likes with what it gets.
    chosen = chooser(members)
    if not isinstance(chosen, str) or chosen not in members:
        raise CanonicalError(
            f"the canonical callable must return a member of the cluster, got {chosen!r} "
            f"for the cluster of {members[0]!r}"
        )
    return chosen
