"""Users and devices among the IDs of Original.

Given a rule, that decides. Without one a user is an ID that Original saw as identified: the second
operand of an `$identify`, or the `$user_id` of an event that was sent under it. In a
cluster without such an ID, and of an ID on its own, those are users that do not look anonymous.
An ID that begins with ``$device:`` is never a user: Simplified has no such users.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from idmerge.policy import ANON_FORMATS, DEVICE_PREFIX, Policy, can_be_id

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Sequence

    UserRule = str | re.Pattern[str] | Callable[[str], Any]
    """A regular expression that a user's whole ID matches, or a callable that is true of it."""

SIMPLIFIED = Policy.simplified()
"""The rules of the new project."""


class Users:
    """Tells users from devices.

    Args:
        rule: The caller's rule, if any.
        policy: The rules of Original.
        identified: The IDs that an `$identify`, accepted or not, or a `$user_id` named as users.
        anonymous: The IDs that an `$identify`, accepted or not, named as anonymous.

    Raises:
        ValueError: ``rule`` is no regular expression.
    """

    def __init__(
        self,
        rule: UserRule | None,
        policy: Policy,
        identified: Container[str],
        anonymous: Container[str],
    ) -> None:
        self._rule = _callable_of(rule)
        self._identified = identified
        self._anonymous = anonymous
        name = "mixpanel" if policy.anon_format == "any" else policy.anon_format
        self._format = re.compile(ANON_FORMATS[name])

    def is_user(self, distinct_id: str) -> bool:
        """Return whether the rule, or Original, makes a user of an ID."""
        is_one = distinct_id in self._identified if self._rule is None else self._rule(distinct_id)
        return bool(is_one) and _may_be_user(distinct_id)

    def among(self, members: Sequence[str]) -> list[str]:
        """Return the users among the members of a cluster, in their order."""
        users = [each for each in members if self.is_user(each)]
        return users or ([] if self._rule is not None else [*self._named(members)])

    def _named(self, members: Iterable[str]) -> Iterable[str]:
        for each in members:
            is_anonymous = each in self._anonymous or self._format.fullmatch(each) is not None
            if not is_anonymous and _may_be_user(each):
                yield each


def device(distinct_id: str) -> str:
    """Return the ID that a device of Original has in Simplified; ``$device:`` is put once."""
    return distinct_id if distinct_id.startswith(DEVICE_PREFIX) else DEVICE_PREFIX + distinct_id


def _may_be_user(distinct_id: str) -> bool:
    return not distinct_id.startswith(DEVICE_PREFIX) and can_be_id(distinct_id, SIMPLIFIED)


def _callable_of(rule: UserRule | None) -> Callable[[str], Any] | None:
    if rule is None or callable(rule):
        return rule
    if not isinstance(rule, (str, re.Pattern)):
        raise TypeError(f"user_id must be a regular expression or a callable, got {type(rule).__name__}")
    try:
        return re.compile(rule).fullmatch
    except re.error as error:
        raise ValueError(f"user_id is no regular expression: {error}: {rule!r:.100}") from error
