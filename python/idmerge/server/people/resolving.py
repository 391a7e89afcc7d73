"""The updates in a record of the log, each with the ID under which its profile is stored (SPEC 10).

That ID depends on the links that had come by then. It is found once, when the update is applied,
and kept with the update: what is read back later needs no links.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from idmerge._ids import as_id
from idmerge._json_decoding import decoded_or_none
from idmerge.errors import MalformedUpdateError
from idmerge.policy import Policy, can_be_id
from idmerge.profiles.store import json_text
from idmerge.profiles.updates import stated_update

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from idmerge.profiles import WhoIsWho
    from idmerge.profiles.updates import StatedUpdate

    UpdatesOf = Callable[[bytes, WhoIsWho], list[dict[str, Any]]]
    """Returns updates of stored profiles, of lines as they came."""

ANYTHING = Policy.unrestricted()


class Unlinked:
    """A resolver of IDs of which each stands for itself, as those of groups do."""

    policy = ANYTHING

    def resolve(self, distinct_id: str, /) -> str:
        """Return the ID."""
        return distinct_id

    def members(self, distinct_id: str, /) -> Sequence[str]:
        """Return the ID alone."""
        return [distinct_id]

    def __contains__(self, distinct_id: str, /) -> bool:
        """Return that no link names it."""
        return False


def updates_of_people(lines: bytes, resolver: WhoIsWho) -> list[dict[str, Any]]:
    """Return the updates among ``lines``, for the profiles under the IDs that they have here.

    What is no update, or has an invalid ID, is left out: it changes nothing.
    """
    policy = getattr(resolver, "policy", ANYTHING)
    stated = [one for one in _stated(lines.split(b"\n")) if can_be_id(one.distinct_id, policy)]
    return [
        _stored(one.distinct_id if one.exactly else resolver.resolve(one.distinct_id), one) for one in stated
    ]


def updates_of_groups(lines: bytes, _resolver: WhoIsWho) -> list[dict[str, Any]]:
    """Return the updates of groups among ``lines``, for the profiles under their keys and IDs."""
    return [
        _stored(one.distinct_id, one) for one in _stated(filter(None, map(_of_group, lines.split(b"\n"))))
    ]


def group_name(key: str, group_id: str) -> str:
    """Return the ID under which the profile of a group is stored."""
    return json_text([key, group_id]).decode("utf-8", "surrogatepass")


def group_of(name: str) -> tuple[str, str]:
    """Return the key and the ID of the group whose profile is stored under ``name``."""
    key, group_id = decoded_or_none(name)
    return key, group_id


def _of_group(line: bytes) -> dict[str, Any] | None:
    update = decoded_or_none(line) if line else None
    if not isinstance(update, dict):
        return None
    key, group_id = update.get("$group_key"), as_id(update.get("$group_id"))
    if not isinstance(key, str) or group_id is None:
        return None
    return update | {"$distinct_id": group_name(key, group_id)}


def _stated(updates: Any) -> Iterator[StatedUpdate]:
    for update in updates:
        if not update:
            continue
        try:
            yield stated_update(update, read_row=lambda row: row)
        except MalformedUpdateError:
            continue


def _stored(place: str, stated: StatedUpdate) -> dict[str, Any]:
    return {"$distinct_id": place, "$ignore_alias": True, **stated.operations}
