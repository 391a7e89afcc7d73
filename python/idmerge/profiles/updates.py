"""Profile updates as Mixpanel's ``/engage`` takes them, and their effect on a profile (SPEC 10).

A profile is a dict of properties. Values are JSON: numbers are finite and no larger than a double
can be. The values of an update are copied, so that nothing is shared with the caller.

**[D]** is documented by Mixpanel, **[C]** our choice. An operation that finds a value of another
type than it needs leaves that value as it is: nothing is lost by a mistake of type.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import isfinite
from typing import Any, NamedTuple

from idmerge._exported import ExportedProfile
from idmerge._ids import as_id
from idmerge._json_decoding import decoded_object
from idmerge.errors import MalformedUpdateError
from idmerge.events import shown
from idmerge.profiles.indexedlist import IndexedList, likeness

Profile = dict[str, Any]
"""The properties of one profile; a long list may be an `IndexedList` until it is `copied` or
`plain`."""

Update = Mapping[str, Any] | str | bytes | bytearray
"""One update: a mapping of the shape that ``/engage`` takes, or its JSON text."""

DEEPEST = 100
"""The greatest depth of objects and lists within each other."""

LONGEST_SEARCHED = 16
"""The longest list that is searched value by value."""

DELETE = "$delete"


ReadRow = Callable[[Mapping[str, Any]], Mapping[str, Any]]
"""A function that makes an update of a row of an export, and returns anything else as it is."""


def exported(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the update of a row of an export, or the mapping as it is."""
    from idmerge.files.people import update_of  # noqa: PLC0415 - updates alone load no files

    return update_of(row)


class StatedUpdate(NamedTuple):
    """An update, read and checked."""

    distinct_id: str
    exactly: bool
    """True if it is for the profile of that very ID: ``$ignore_alias``."""
    operations: dict[str, Any]
    """The value of each operation, in the order of `OPERATIONS`; a list of names for ``$unset``."""
    is_exported: bool = False
    """True for a row of an export (`idmerge._exported`)."""


def stated_update(update: Update, read_row: ReadRow = exported) -> StatedUpdate:
    """Return what ``update`` states, its values copied.

    A mapping without an operation is read by ``read_row``: it may be a row of an export. Keys that
    are no operation (``$token``, ``$time``, ``$ip``, ``$ignore_time``, whatever SDKs add) are
    passed over.

    Raises:
        MalformedUpdateError: It is no JSON object, names no ID, has no operation, or an operation
            has a value that it cannot take.
        TypeError: ``update`` is neither a mapping nor text.
    """
    mapping = update
    if not isinstance(mapping, Mapping):
        mapping = decoded_object(update, "update", MalformedUpdateError)
    if OPERATIONS.keys().isdisjoint(mapping):
        mapping = read_row(mapping)
    distinct_id = as_id(mapping.get("$distinct_id"))
    if distinct_id is None:
        got = shown(mapping.get("$distinct_id"))
        raise MalformedUpdateError(f"$distinct_id must be a string or an integer, got {got}")
    operations = {name: _operand(name, mapping[name]) for name in OPERATIONS if name in mapping}
    if not operations:
        raise MalformedUpdateError(f"the update has no operation; expected one of {', '.join(OPERATIONS)}")
    return StatedUpdate(
        distinct_id, mapping.get("$ignore_alias") is True, operations, isinstance(mapping, ExportedProfile)
    )


def updated(profile: Profile | None, operations: Mapping[str, Any]) -> tuple[Profile | None, bool]:
    """Apply ``operations`` to ``profile``, in their order, in place.

    Returns:
        The profile, None if there is none (any more), and whether every operation could be applied:
        False if one found a value of another type than it needs, and left it.
    """
    all_applied = True
    for name, operand in operations.items():
        if name == DELETE:
            profile = None
            continue
        if profile is None:
            if name not in _MAKING:
                continue
            profile = {}
        operation = OPERATIONS[name]
        for key in operand:
            all_applied &= operation(profile, key, None if name == "$unset" else operand[key])
    return profile, all_applied


def copied(value: Any, depth: int = 0) -> Any:
    """Return a copy of the JSON ``value``, in Python's own types.

    Raises:
        MalformedUpdateError: It is no JSON value, or nested too deeply.
    """
    if isinstance(value, str):
        return str.__str__(value)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, (int, float)):
        if not _is_finite(value):
            raise MalformedUpdateError(
                f"a number must be finite and no larger than a double, got {shown(value)}"
            )
        return int(value) if isinstance(value, int) else float(value)
    if depth > DEEPEST:
        raise MalformedUpdateError(f"a property must be nested no more than {DEEPEST} deep")
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return {str.__str__(key): copied(item, depth + 1) for key, item in value.items()}
    if isinstance(value, (list, tuple, IndexedList)):
        return [copied(item, depth + 1) for item in value]
    raise MalformedUpdateError(f"a property must be a JSON value, got {shown(value)}")


def plain(profile: Profile) -> Profile:
    """Return ``profile`` as JSON values alone, which it may share."""
    if not any(isinstance(value, IndexedList) for value in profile.values()):
        return profile
    return {name: list(value) if isinstance(value, IndexedList) else value for name, value in profile.items()}


def _is_finite(number: float) -> bool:
    try:
        return isfinite(number)
    except OverflowError:  # An integer beyond every double.
        return False


def _operand(name: str, value: Any) -> Any:
    """Return a copy of what the operation ``name`` is to do, after checking it."""
    if name == DELETE:
        return None
    if name == "$unset":
        if not isinstance(value, (list, tuple)) or not all(isinstance(key, str) for key in value):
            raise MalformedUpdateError(f"$unset must be a list of property names, got {shown(value)}")
        return [str.__str__(key) for key in value]
    if not isinstance(value, Mapping):
        raise MalformedUpdateError(f"{name} must be an object of properties, got {shown(value)}")
    operand = copied(value, 1 if name == "$append" else 0)  # What is appended will lie in a list.
    wanted = {"$add": ("a number", _is_number), "$union": ("a list", _is_list)}.get(name)
    for key, item in operand.items() if wanted else ():
        if wanted and not wanted[1](item):
            raise MalformedUpdateError(f"{name} of {key!r:.100} must be {wanted[0]}, got {shown(item)}")
    return operand


def _set(profile: Profile, name: str, value: Any) -> bool:
    """Set a property, whatever it was before [D]."""
    profile[name] = value
    return True


def _set_once(profile: Profile, name: str, value: Any) -> bool:
    """Set a property that is not there [D]; one that is null is there [C]."""
    profile.setdefault(name, value)
    return True


def _add(profile: Profile, name: str, value: float) -> bool:
    """Add to a number; what is not there counts as 0 [D].

    Anything but a number stays, and so does a number whose sum would be beyond every double [C].
    """
    old = profile.get(name, 0)
    if not _is_number(old):
        return False
    total = old + value
    if not _is_finite(total):
        return False
    profile[name] = total
    return True


def _append(profile: Profile, name: str, value: Any) -> bool:
    """Append a value to a list, or begin one; anything but a list stays [D].

    A list is appended as one item [C].
    """
    old = profile.setdefault(name, [])
    if not _is_list(old):
        return False
    old.append(value)
    return True


def _union(profile: Profile, name: str, values: list[Any]) -> bool:
    """Append each value that the list lacks, once, or begin one; anything but a list stays [D].

    What the list holds twice already stays twice [C].
    """
    old = _searchable(profile, name)
    if old is None:
        return False
    if isinstance(old, IndexedList):
        for value in values:
            if value not in old:
                old.append(value)
        return True
    seen = {likeness(item) for item in old}
    for value in values:
        like = likeness(value)
        if like not in seen:
            seen.add(like)
            old.append(value)
    return True


def _remove(profile: Profile, name: str, value: Any) -> bool:
    """Remove all occurrences of a value from a list [C].

    Where there is no such value, or no list, everything stays [D].
    """
    if name not in profile:
        return True
    old = _searchable(profile, name)
    if old is None:
        return False
    if isinstance(old, IndexedList):
        old.remove(value)
        return True
    like = likeness(value)
    old[:] = [item for item in old if likeness(item) != like]
    return True


def _searchable(profile: Profile, name: str) -> list[Any] | IndexedList | None:
    """Return a list, empty if missing, in a form for quick searches; None if it is none.

    A list that is long, or has lists and objects in it, is indexed the first time and stays so: a
    list of 30,000 values that `$union` made one by one took a minute without.
    """
    old = profile.setdefault(name, [])
    if isinstance(old, list) and (
        len(old) > LONGEST_SEARCHED or any(isinstance(item, (list, dict)) for item in old)
    ):
        profile[name] = old = IndexedList(old)
    return old if isinstance(old, (list, IndexedList)) else None


def _unset(profile: Profile, name: str, _: None) -> bool:
    """Remove a property [D]; none is missed [C]."""
    profile.pop(name, None)
    return True


def _delete(_profile: Profile, _name: str, _value: None) -> bool:
    """Remove the profile, whatever the operation's value is [D]; `updated` does it."""
    raise AssertionError("a profile does not delete itself")


OPERATIONS: dict[str, Callable[[Profile, str, Any], bool]] = {
    "$set": _set,
    "$set_once": _set_once,
    "$add": _add,
    "$append": _append,
    "$union": _union,
    "$remove": _remove,
    "$unset": _unset,
    DELETE: _delete,
}
"""Each operation, in the order in which those of one update are applied, whatever theirs is [C]."""

_MAKING = frozenset({"$set", "$set_once", "$add", "$append", "$union"})
"""The operations that make a profile where there is none; the others find nothing to do."""


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_list(value: object) -> bool:
    return isinstance(value, (list, IndexedList))
