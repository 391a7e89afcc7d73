"""People's profiles, kept per ID and shown per person (SPEC 10).

A profile is *stored* under the ID to which an update's ``$distinct_id`` resolved when it came, and
*shown* under the canonical ID of now. Nothing is copied when clusters merge, so:

1. A merge hides profiles and loses none; taking it back shows them again.
2. What is stored depends on the updates and on the links before each, never on how it is shown.

An update costs one look-up; showing all, one a stored profile.
"""

from __future__ import annotations

import os
import threading
from collections import Counter
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, NoReturn, Protocol, get_args

from idmerge import _core
from idmerge._codes import Code
from idmerge._ids import AnyId, id_text
from idmerge._naming import check_local
from idmerge._scanned_updates import ScannedUpdates
from idmerge.errors import MalformedUpdateError, StoreError
from idmerge.policy import Policy, can_be_id
from idmerge.profiles.exports import Exports
from idmerge.profiles.store import last_line, read_store, write_store
from idmerge.profiles.updates import (
    OPERATIONS,
    Profile,
    ReadRow,
    StatedUpdate,
    Update,
    copied,
    exported,
    plain,
    stated_update,
    updated,
)
from idmerge.resolver import Resolver

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from typing import Self

    import pyarrow as pa

    from idmerge.files.dialects import Dialect

_AT_ONCE = 1024
"""Updates for which the core holds the lock, in which Python's other threads wait."""

MergeProfiles = Literal["hide", "fill"]
"""The use of the profiles of one person's other IDs: hidden, or filling the gaps."""


class WhoIsWho(Protocol):
    """The part of a resolver that profiles need: `Resolver` and `DurableResolver` have it.

    IDs that its ``policy`` blocks, or Mixpanel's if it has none, get no profile.
    """

    def resolve(self, distinct_id: str, /) -> str:
        """Return the canonical ID; an unknown ID resolves to itself."""

    def members(self, distinct_id: str, /) -> Sequence[str]:
        """Return the cluster's IDs, the first known first; KeyError if it is unknown."""

    def __contains__(self, distinct_id: str, /) -> bool:
        """Return whether the ID is known."""


class UpdateOutcome(Code):
    """The answer to a profile update; true if it was applied, but for mismatches.

    The numbers are stable.

    Examples:
        >>> from idmerge import Profiles, Resolver
        >>> outcome = Profiles(Resolver()).update({"$distinct_id": "null", "$set": {"plan": "pro"}})
        >>> outcome.name, outcome.accepted
        ('INVALID_ID', False)
    """

    APPLIED = 0
    """Every operation was applied."""
    MISMATCHED = 1
    """A property had a value of another type than its operation needs, and keeps it; the rest was
    applied."""
    INVALID_ID = 2
    """The ID belongs to nobody: it is empty, blocked, too long or no Unicode. Nothing was
    applied."""
    MALFORMED = 3
    """It is no update; nothing was applied. In reports only: `Profiles.update` raises instead."""

    @property
    def accepted(self) -> bool:
        """True if the update was applied, but for mismatches."""
        return self <= UpdateOutcome.MISMATCHED

    def __bool__(self) -> bool:
        """Return `accepted`."""
        return self.accepted


@dataclass(frozen=True, slots=True)
class UpdateReport:
    """The outcomes of many updates.

    Examples:
        >>> from idmerge import Profiles, Resolver
        >>> report = Profiles(Resolver()).update_many([{"$distinct_id": "ana", "$add": {"n": "1"}}])
        >>> len(report), report.malformed
        (1, {0: "$add of 'n' must be a number, got '1'"})
    """

    outcomes: Counter[UpdateOutcome] = field(default_factory=Counter)
    """The number of updates with each outcome."""
    operations: Counter[str] = field(default_factory=Counter)
    """The number of accepted updates with each operation: ``{"$set": 3}``."""
    malformed: dict[int, str] = field(default_factory=dict)
    """The fault of each malformed update, by its row among those given."""
    folded: Counter[str] = field(default_factory=Counter)
    """The rows of exported profiles under another ID than their person's canonical one, by that
    ID: its own row counts before them (`idmerge.profiles.exports`)."""

    def __len__(self) -> int:
        """Return the number of updates."""
        return self.outcomes.total()


class _Many(NamedTuple):
    """A call of `Profiles.update_many`."""

    read_row: ReadRow
    has_usual_names: bool
    """Whether rows of exports have no columns of other names."""
    call: int
    """The number of the part of an export (`idmerge.profiles.exports`)."""
    report: UpdateReport

    def add(
        self,
        outcomes: Iterable[tuple[int, int]],
        operations: Iterable[tuple[str, int]],
        folded: Iterable[str],
    ) -> None:
        """Add to the report numbers of outcomes and operations, and IDs with another one's row."""
        self.report.folded.update(folded)
        for code, count in outcomes:
            self.report.outcomes[UpdateOutcome(code)] += count
        for name, count in operations:
            self.report.operations[name] += count


class Profiles:
    """Profiles of people, updated as by Mixpanel's ``/engage`` and routed by a resolver.

    Threads can share it: one lock is held for an update, a look-up, or a whole table. It only asks
    the resolver and never changes it; links may come at any time, and each update goes to
    the canonical ID of its own at that moment.

    Args:
        resolver: A `Resolver`, a `DurableResolver` or a `reference.Resolver`.
        merge_profiles: The view of a person with several profiles. ``"hide"``: the canonical
            ID's alone, which is none if it has none. ``"fill"``: the canonical ID's, and the
            properties that it lacks from the hidden ones, in the order in which their IDs became
            known.

    Raises:
        TypeError: ``resolver`` is none.
        ValueError: ``merge_profiles`` is neither.

    Examples:
        >>> from idmerge import Profiles, Resolver
        >>> r = Resolver()
        >>> profiles = Profiles(r, merge_profiles="fill")
        >>> profiles.update({"$distinct_id": "ana", "$set": {"plan": "pro"}})
        <UpdateOutcome.APPLIED: 0>
        >>> profiles.update({"$distinct_id": "crm-17", "$set": {"city": "Porto"}})
        <UpdateOutcome.APPLIED: 0>
        >>> r.merge("ana", "crm-17"), profiles.get("crm-17")
        (<Outcome.MERGED: 0>, {'plan': 'pro', 'city': 'Porto'})
        >>> profiles.hidden("ana"), profiles.hidden_count, profiles.resolver is r
        ({'crm-17': {'city': 'Porto'}}, 1, True)
        >>> profiles.table().to_pylist(), profiles.renamed(), profiles.merge_profiles
        ([{'distinct_id': 'ana', 'plan': 'pro', 'city': 'Porto'}], {}, 'fill')
    """

    def __init__(self, resolver: WhoIsWho, *, merge_profiles: MergeProfiles = "hide") -> None:
        for method in ("resolve", "members", "__contains__"):
            if not callable(getattr(resolver, method, None)):
                raise TypeError(f"resolver must be a resolver, got {type(resolver).__name__}")
        if merge_profiles not in get_args(MergeProfiles):
            raise ValueError(f"merge_profiles must be 'hide' or 'fill', got {merge_profiles!r}")
        self._resolver = resolver
        self._merge_profiles: MergeProfiles = merge_profiles
        self._policy: Policy = getattr(resolver, "policy", None) or Policy()
        self._stored: dict[str, Profile] = {}
        self._core_updater: _core.ProfileUpdater | None = None
        self._exports = Exports()
        # Of the files that these were loaded from or saved to.
        self._last_lines: dict[str, bytes | None] = {}
        self._lock = threading.RLock()  # A canonical strategy may be a callable that asks back.

    @property
    def resolver(self) -> WhoIsWho:
        """The resolver by which profiles are stored and shown."""
        return self._resolver

    @property
    def merge_profiles(self) -> MergeProfiles:
        """The rule for a person with several profiles."""
        return self._merge_profiles

    # Updating.

    def update(self, update: Update) -> UpdateOutcome:
        """Apply one update of the shape that ``/engage`` takes.

        It goes to the profile stored under the ID to which its ``$distinct_id`` resolves now, or
        with ``"$ignore_alias": true`` under that very ID.

        Raises:
            MalformedUpdateError: It is no JSON object, names no ID, has no operation, or an
                operation has a value that it cannot take; nothing was applied.
            TypeError: ``update`` is neither a mapping nor text.
        """
        updater = self._updater()
        if updater is not None:
            with self._lock:
                (outcomes, *_), taken, _ = updater.take(iter([update]), 1)
                if taken:
                    self._exports.call()
                    return UpdateOutcome(outcomes[0][0])
        stated = stated_update(update)
        with self._lock:
            call = self._exports.call()
        return self._apply(stated, call)[0]

    def update_many(
        self,
        updates: Iterable[Update],
        *,
        dialect: str | Dialect | None = None,
        columns: Mapping[str, str] | None = None,
        continues: bool = False,
    ) -> UpdateReport:
        """Apply many updates in order, without malformed ones, and report their outcomes.

        Rows of exported profiles are updates too: ``{"$distinct_id": "ana", "$properties": {…}}``.
        Of one export the row of a person's canonical ID counts, and those of the person's other IDs
        fill in what it lacks, whatever their order; a later export counts before an earlier one
        (SPEC 11).

        Args:
            updates: The updates and rows.
            dialect: ``"people"`` for rows whose properties stand beside the ID.
            columns: The key of the ID, or of the properties, that has another name in the rows:
                ``{"distinct_id": "uid", "properties": "traits"}``.
            continues: Whether these go on with the export of the call before, in which an ID may
                have several rows. Without it an ID that comes again begins a later export.

        Raises:
            DialectError: There is no such dialect or role, or it is another one than ``people``.
            TypeError: An update is neither a mapping nor text; those before it are applied.

        Examples:
            >>> from idmerge import Profiles, Resolver
            >>> profiles = Profiles(Resolver())
            >>> report = profiles.update_many([{"$distinct_id": "ana", "$add": {"visits": 1}}] * 2)
            >>> report.operations, profiles.get("ana"), profiles.forget("ana")
            (Counter({'$add': 2}), {'visits': 2}, True)
        """
        read_row = exported
        if dialect is not None or columns:
            from idmerge.files.people import people_choice, update_of  # noqa: PLC0415 - as in `exported`

            read_row = partial(update_of, choice=people_choice(dialect, columns))
        with self._lock:
            call = self._exports.call(continues=continues)
        many = _Many(read_row, not columns, call, UpdateReport())
        updater = self._updater()
        if updater is None:
            for row, update in enumerate(updates):
                self._take_one(row, update, many)
        elif isinstance(updates, ScannedUpdates):
            self._take_scanned(updater, updates, many)
        else:
            self._take_each(updater, updates, many)
        return many.report

    def _updater(self) -> _core.ProfileUpdater | None:
        """Return the core's way for updates; None for a resolver that the core cannot ask."""
        resolver = self._resolver
        if (
            not isinstance(resolver, Resolver)
            or callable(resolver.canonical)
            or type(resolver).resolve is not Resolver.resolve
            or type(resolver).policy is not Resolver.policy
        ):
            return None
        if self._core_updater is None:
            self._core_updater = _core.ProfileUpdater(resolver, self._stored, list(OPERATIONS.items()))
        return self._core_updater

    def _take_each(self, updater: _core.ProfileUpdater, updates: Iterable[Update], many: _Many) -> None:
        """Take updates one by one; those that the core leaves alone are read here."""
        remaining, row, taken = iter(updates), 0, _AT_ONCE
        # To get the next update may run any code, which then is outside of the lock.
        is_plain = type(updates) in {list, tuple}
        export = self._export_of(many) if many.has_usual_names else None
        held, lock = (self._lock, None) if is_plain else (nullcontext(), self._lock)
        left: tuple[Update] | None = None
        while taken == _AT_ONCE or left:
            with held:
                counts, taken, left = updater.take(remaining, _AT_ONCE, lock, export)
            if taken:
                many.add(*counts)
                row += taken
            if left:
                self._take_one(row, left[0], many)
                row += 1

    def _take_scanned(self, updater: _core.ProfileUpdater, updates: ScannedUpdates, many: _Many) -> None:
        """Take updates of a file; those that the core did not read are applied here."""
        start, export = 0, self._export_of(many)
        for place in [*sorted(updates.read), len(updates)]:
            if start < place:
                with self._lock:
                    counts = updater.take_rows(*updates.run(start, place), export)
                many.add(*counts)
            if place in updates.read:
                self._take_one(place, updates.read[place], many)
            start = place + 1

    def _export_of(self, many: _Many) -> Callable[[str, str, Profile], dict[str, Any]]:
        """Return the function that returns the operations of a row of an export."""
        return partial(self._exports.operations, call=many.call)

    def _take_one(self, row: int, update: Update, many: _Many) -> None:
        """Take one update and report on it.

        Raises:
            TypeError: It is neither a mapping nor text.
        """
        read_row, _, call, report = many
        try:
            stated = stated_update(update, read_row)
        except MalformedUpdateError as error:
            report.malformed[row] = str(error)
            report.outcomes[UpdateOutcome.MALFORMED] += 1
            return
        except TypeError as error:
            raise TypeError(f"update {row}: {error}") from error
        outcome, folded_into = self._apply(stated, call)
        report.outcomes[outcome] += 1
        if folded_into is not None:
            report.folded[folded_into] += 1
        if outcome.accepted:
            report.operations.update(stated.operations.keys())

    def _apply(self, stated: StatedUpdate, call: int) -> tuple[UpdateOutcome, str | None]:
        """Return the outcome, and the canonical ID for whose profile another ID's row came."""
        if not can_be_id(stated.distinct_id, self._policy):
            return UpdateOutcome.INVALID_ID, None
        with self._lock:
            place = stated.distinct_id if stated.exactly else self._resolver.resolve(stated.distinct_id)
            is_folded = stated.is_exported and place != stated.distinct_id
            operations = stated.operations
            if stated.is_exported:
                operations = self._exports.operations(stated.distinct_id, place, operations["$set"], call)
            profile, all_applied = updated(self._stored.get(place), operations)
            if profile is None:
                self._stored.pop(place, None)
            else:
                self._stored[place] = profile
        outcome = UpdateOutcome.APPLIED if all_applied else UpdateOutcome.MISMATCHED
        return outcome, place if is_folded else None

    def forget(self, distinct_id: AnyId) -> bool:
        """Remove what is stored under exactly this ID, for good; return whether there was anything.

        `Resolver.forget` and this one know nothing of each other: call both. Then also look for the
        ID in the profiles of its person's other IDs, whose properties may name it.
        """
        text = id_text(distinct_id)
        with self._lock:
            self._exports.forget(text)
            return self._stored.pop(text, None) is not None

    # Showing.

    def get(self, distinct_id: AnyId) -> Profile | None:
        """Return a copy of the profile of the person with this ID, or None if none is shown."""
        text = id_text(distinct_id)
        with self._lock:
            canonical = self._resolver.resolve(text)
            behind = [] if self._merge_profiles == "hide" else self._behind(canonical)
            return self._shown([canonical, *behind])

    def hidden(self, distinct_id: AnyId) -> dict[str, Profile]:
        """Return copies of the person's profiles under IDs that are not canonical, by their IDs.

        They stand in the order in which the IDs became known. Under ``"fill"`` they are those that
        fill gaps.
        """
        text = id_text(distinct_id)
        with self._lock:
            behind = self._behind(self._resolver.resolve(text))
            return {member: copied(self._stored[member]) for member in behind}

    @property
    def hidden_count(self) -> int:
        """The number of stored profiles that are not their person's canonical ID's."""
        with self._lock:
            return sum(map(str.__ne__, self._stored, self._canonicals()))

    def __iter__(self) -> Iterator[str]:
        """Iterate over the canonical IDs of all people with a profile that is shown, as of now."""
        with self._lock:
            return iter(list(self._people()))

    def __len__(self) -> int:
        """Return the number of people with a profile that is shown."""
        with self._lock:
            return len(self._people())

    def __contains__(self, distinct_id: AnyId) -> bool:
        """Return whether a profile is shown of the person with this ID."""
        text = id_text(distinct_id)
        with self._lock:
            canonical = self._resolver.resolve(text)
            return canonical in self._stored or (
                self._merge_profiles == "fill" and bool(self._behind(canonical))
            )

    def __repr__(self) -> str:
        """Name the numbers of profiles."""
        numbers = f"{len(self)} shown, {self.hidden_count} hidden"
        return f"Profiles({numbers}, merge_profiles={self._merge_profiles!r})"

    def _members(self, canonical: str) -> Sequence[str]:
        try:
            return self._resolver.members(canonical)
        except KeyError:  # Unknown, or forgotten by another thread a moment ago.
            return [canonical]

    def _behind(self, canonical: str) -> list[str]:
        """Return the other members that have a profile, in the order in which they became known."""
        members = self._members(canonical)
        return [member for member in members if member != canonical and member in self._stored]

    def _canonicals(self) -> list[str]:
        """Return the canonical ID of each stored profile, by one call where the resolver can."""
        stored = list(self._stored)
        at_once = getattr(self._resolver, "resolve_many", None)
        return at_once(stored) if at_once else [self._resolver.resolve(own) for own in stored]

    def _people(self) -> dict[str, list[str]]:
        """Return the stored profiles to show by canonical ID, the one that counts most first."""
        people: dict[str, list[str]] = {}
        for own, canonical in zip(self._stored, self._canonicals(), strict=True):
            people.setdefault(canonical, []).append(own)
        if self._merge_profiles == "hide":
            return {canonical: [canonical] for canonical, owns in people.items() if canonical in owns}
        for canonical, owns in people.items():
            if len(owns) > 1:
                places = {member: place for place, member in enumerate(self._members(canonical))}
                owns.sort(key=lambda own: (own != canonical, places.get(own, len(places))))
        return people

    def _shown(self, stored: Iterable[str]) -> Profile | None:
        """Return a copy of the first profile of ``stored``, its gaps filled from the next ones."""
        profiles = [self._stored[place] for place in stored if place in self._stored]
        shown: Profile = {}
        for profile in profiles:
            shown |= {name: copied(value) for name, value in profile.items() if name not in shown}
        return shown if profiles else None

    def table(self) -> pa.Table:
        """Return the profiles that are shown as columns: ``distinct_id``, then one a property.

        Rows stand in the order in which the profiles came, properties as they first appear; a
        property called ``distinct_id`` is in the column ``properties.distinct_id``. Types:
        `idmerge._json_columns`. The IDs are canonical ones, so the table joins with what has been
        resolved.

        Raises:
            MissingExtraError: pyarrow is not installed.
        """
        from idmerge._json_columns import column_names, json_column, unicode_text  # noqa: PLC0415
        from idmerge.files.opening import import_pyarrow  # noqa: PLC0415 - without a table no files are loaded

        pyarrow = import_pyarrow("a table of profiles")
        with self._lock:
            shown = {canonical: self._shown(stored) or {} for canonical, stored in self._people().items()}
        names = column_names(
            dict.fromkeys(name for profile in shown.values() for name in profile), ["distinct_id"]
        )
        columns = {"distinct_id": pyarrow.array(map(unicode_text, shown), pyarrow.string())}
        for name, column in names.items():
            columns[column] = json_column([profile.get(name) for profile in shown.values()])
        table: pa.Table = pyarrow.table(columns)
        return table

    def renamed(self) -> dict[str, str]:
        """Return the properties with a NUL in their names, and their columns in `table`.

        U+FFFD stands there.
        """
        from idmerge._json_columns import column_names  # noqa: PLC0415

        with self._lock:
            shown = [self._shown(stored) or {} for stored in self._people().values()]
        names = column_names(dict.fromkeys(name for profile in shown for name in profile), ["distinct_id"])
        return {name: column for name, column in names.items() if "\0" in name}

    # Lasting.

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write all stored profiles to ``path``, hidden ones too, in place of an older file.

        `idmerge.profiles.store` has the form: each line has a checksum, and the end one over all.
        The file is there whole or not at all; once this returns it is on disk. Where these profiles
        were loaded from ``path``, or saved there, the file must still be that one.

        Raises:
            StoreError: Another process has changed the file since; it stays as it is.
            OSError: It could not be written; an older file is still there.
        """
        from idmerge.files import replacing  # noqa: PLC0415

        name = os.fspath(path)
        place = os.path.realpath(name)
        with self._lock:
            if place in self._last_lines and self._last_lines[place] != last_line(name):
                raise StoreError(
                    f"{name} was changed by somebody else since it was loaded; load it again and apply the "
                    "updates to that, or save to another file"
                )
            with replacing(name) as stream:
                end = write_store(stream, ((own, plain(profile)) for own, profile in self._stored.items()))
            self._last_lines[place] = end

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        resolver: WhoIsWho,
        *,
        merge_profiles: MergeProfiles = "hide",
        missing_ok: bool = False,
    ) -> Self:
        """Return the profiles that `save` wrote to ``path``, to be shown by ``resolver``.

        Args:
            path: The file.
            resolver: As for the class.
            merge_profiles: As for the class.
            missing_ok: Return no profiles where there is no such file; `save` then makes it.

        Raises:
            FileFormatError: The file is damaged, cut off, of a later form, or none that `save`
                wrote; the message names file and line.
            OSError: It cannot be read.

        Examples:
            >>> from idmerge import Profiles, Resolver
            >>> profiles = Profiles.load("people.store", Resolver(), missing_ok=True)
            >>> _ = profiles.update({"$distinct_id": "ana", "$set": {"plan": "pro"}})
            >>> profiles.save("people.store")
            >>> Profiles.load("people.store", Resolver())
            Profiles(1 shown, 0 hidden, merge_profiles='hide')
        """
        profiles = cls(resolver, merge_profiles=merge_profiles)
        check_local(path)
        name = os.fspath(path)
        end = None
        try:
            with open(path, "rb") as stream:  # noqa: PTH123
                end = read_store(name, stream, profiles._stored.__setitem__)
        except FileNotFoundError:
            if not missing_ok:
                raise
        profiles._last_lines[os.path.realpath(name)] = end
        return profiles

    def __reduce__(self) -> NoReturn:
        """Refuse: a resolver is no part of the profiles.

        Raises:
            TypeError: Always.
        """
        raise TypeError(
            "profiles do not pickle: save(path) keeps them, load(path, resolver) brings them back"
        )
