"""Counts of the events themselves: by ID and day, duplicates, and those that lack an ID.

Events come as record batches (pyarrow's) with the columns ``event``, ``time``, ``$insert_id``,
``$distinct_id_before_identity`` (the ID as sent) and those of `LOOKED_AT`; others are passed over.
Memory grows with the IDs and the days on which each has events (16 bytes a pair), and by 16 bytes
an event that has a ``$insert_id``.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from idmerge._formatting import beginning
from idmerge.doctor.clocks import EPOCH, Clocks
from idmerge.doctor.findings import Example
from idmerge.doctor.ids import NOBODY
from idmerge.doctor.links import EXAMPLES, UNKNOWN_TIME
from idmerge.events import DEVICE, IDENTITY_EVENTS, USER, is_verb
from idmerge.files.duplicates import Duplicates
from idmerge.files.names import BEFORE, EVENT, INSERT_ID, PROCESSED, RECEIVED, TIME
from idmerge.files.opening import import_pyarrow
from idmerge.policy import DEVICE_PREFIX

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from idmerge.doctor.clocks import Clocked
    from idmerge.doctor.ids import Ids
    from idmerge.policy import Api


LOOKED_AT = (INSERT_ID, DEVICE, USER, PROCESSED, RECEIVED)
"""The properties of events that count here."""
DAY = 86_400_000_000
"""A day in microseconds."""
DAYS = 2**24
"""The number of days in the key of an ID and a day, 45,933 years. 1970-01-01 is in the middle,
times beyond the ends are on the last days, and the first day stands for no time."""
PAIRS_AT_ONCE = 2**20


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Traffic:
    """All events, summed up."""

    events: int
    events_of: NDArray[np.int64]
    """The number of events that each ID sent, by the ID's number."""
    busy: tuple[tuple[int, int, int], ...]
    """ID, day since 1970 and events, for days with more than the limit; the busiest first."""
    link_times: NDArray[np.int64]
    """The times of the events that link, in their order."""
    verbs: int
    """Events that link by their names."""
    duplicates: int
    """Events that came before (`idmerge.files.duplicates.Duplicates`)."""
    without_insert_id: int
    without_distinct_id: int
    """Of ordinary events alone: an identity event may have its IDs in other properties."""
    without_time: int
    """Events whose time is missing or cannot be read."""
    with_device_and_user: int
    """Ordinary events that name a device and a user (`$device_id`, `$user_id`)."""
    as_device: NDArray[np.bool_]
    """Whether events name each ID as their device, with `$device:` or without."""
    as_user: NDArray[np.bool_]
    """Whether events name each ID as their user."""
    clocks: Clocked
    examples: dict[str, list[Example]]
    """Up to three of each of these, by the finding's code."""


class Tally:
    """Takes the events, batch by batch.

    Args:
        ids: The IDs.
        linking: The numbers of the events that link, counted from 0, in their order.
        api: The API whose links they state.
        is_zoned: Whether the times were read as those of a zone.
    """

    def __init__(self, ids: Ids, linking: NDArray[np.int64], api: Api, *, is_zoned: bool) -> None:
        self._linking = linking
        self._verbs = 0
        self._names = [name for name in IDENTITY_EVENTS if is_verb({EVENT: name}, api)]
        self._pa = import_pyarrow("counting events")
        import pyarrow.compute as pc  # noqa: PLC0415 - pyarrow is there, or the line above has raised

        self._pc = pc
        self._ids = ids
        self._events = 0
        self._keys: list[NDArray[np.int64]] = []
        self._counts: list[NDArray[np.int64]] = []
        self._waiting = 0
        self._times: list[NDArray[np.int64]] = []
        self._duplicates = Duplicates()
        self._totals = dict.fromkeys(("duplicate-events", "no-insert-id", "no-distinct-id", "simplified"), 0)
        self._examples: dict[str, list[Example]] = {code: [] for code in self._totals}
        self._clocks = Clocks(is_zoned=is_zoned)
        self._without_time = 0
        self._devices: set[int] = set()
        self._users: set[int] = set()

    def add(self, batch: pa.RecordBatch) -> None:
        """Count the events of ``batch``."""
        if batch.num_rows == 0:
            return
        is_link = self._are_links(batch.num_rows)
        self._events += batch.num_rows
        names, sent = self._texts(batch, EVENT), self._texts(batch, BEFORE)
        inserts, times = self._texts(batch, INSERT_ID), self._microseconds(batch)
        numbers = self._numbers(sent)
        self._count(numbers, times)
        is_verb_of_it = self._mask(self._pc.is_in(names, self._pa.array(self._names, names.type)))
        self._verbs += int(np.count_nonzero(is_verb_of_it))
        self._times.append(times[is_link])
        rows = _Rows(names, sent, inserts, times)
        has_insert_id = self._mask(inserts.is_valid())
        self._note("no-insert-id", np.flatnonzero(~has_insert_id), rows)
        self._note("no-distinct-id", np.flatnonzero((numbers == NOBODY) & ~is_link), rows)
        are_new = self._duplicates.are_new(names, self._pa.array(times), sent, inserts)
        self._note("duplicate-events", np.flatnonzero(~are_new), rows)
        self._without_time += int(np.count_nonzero(times == UNKNOWN_TIME))
        self._clocks.add(batch, times, rows.example)
        devices, users = self._texts(batch, DEVICE), self._texts(batch, USER)
        has_both = self._mask(self._pc.and_(devices.is_valid(), users.is_valid()))
        self._note("simplified", np.flatnonzero(has_both & ~is_link), rows)
        for prefix in ("", DEVICE_PREFIX):
            self._devices.update(self._known(devices, prefix))
        self._users.update(self._known(users))

    def _are_links(self, rows: int) -> NDArray[np.bool_]:
        """Return whether each of the next ``rows`` events links."""
        start, end = np.searchsorted(self._linking, (self._events, self._events + rows))
        are_links = np.zeros(rows, np.bool_)
        are_links[self._linking[start:end] - self._events] = True
        return are_links

    def _known(self, column: Any, prefix: str = "") -> list[int]:
        """Return those values of ``column`` that are IDs already, behind the ``prefix``."""
        texts = [f"{prefix}{text}" for text in column.unique().to_pylist() if text is not None]
        known = self._ids.known(texts)
        found: list[int] = known[known >= 0].tolist()
        return found

    def _named(self, numbers: set[int]) -> NDArray[np.bool_]:
        named = np.zeros(len(self._ids), np.bool_)
        named[list(numbers)] = True
        return named

    def finish(self, limit: int) -> Traffic:
        """Return the sums; days with more than ``limit`` events of one ID are busy."""
        self._compact()
        keys, counts = self._keys[0], self._counts[0]
        numbers, days = keys // DAYS, keys % DAYS
        events_of = np.bincount(numbers, counts, len(self._ids)).astype(np.int64)
        busy = np.flatnonzero((counts > limit) & (days > 0))
        busy = busy[np.argsort(-counts[busy], kind="stable")]
        return Traffic(
            events=self._events,
            events_of=events_of,
            busy=tuple(
                (int(numbers[row]), int(days[row]) - DAYS // 2, int(counts[row]))
                for row in busy
                if self._ids.texts[numbers[row]] != ""
            ),
            link_times=np.concatenate([np.empty(0, np.int64), *self._times]),
            verbs=self._verbs,
            duplicates=self._totals["duplicate-events"],
            without_insert_id=self._totals["no-insert-id"],
            without_distinct_id=self._totals["no-distinct-id"],
            without_time=self._without_time,
            with_device_and_user=self._totals["simplified"],
            as_device=self._named(self._devices),
            as_user=self._named(self._users),
            clocks=self._clocks.finish(),
            examples=self._examples,
        )

    def _texts(self, batch: pa.RecordBatch, name: str) -> Any:
        """Return a column as one of text; all null if it is not there."""
        if name not in batch.schema.names:
            return self._pa.nulls(batch.num_rows, self._pa.large_string())
        return batch.column(name).cast(self._pa.large_string())

    def _microseconds(self, batch: pa.RecordBatch) -> NDArray[np.int64]:
        if TIME not in batch.schema.names:
            return np.full(batch.num_rows, UNKNOWN_TIME)
        time = batch.column(TIME).cast(self._pa.timestamp("us", "UTC"), safe=False)
        whole = time.cast(self._pa.int64()).fill_null(UNKNOWN_TIME)
        numbers: NDArray[np.int64] = whole.to_numpy(zero_copy_only=False)
        return numbers

    def _numbers(self, sent: Any) -> NDArray[np.int64]:
        encoded = sent.dictionary_encode()
        known = np.append(self._ids.numbers(encoded.dictionary.to_pylist()), NOBODY)
        places = encoded.indices.fill_null(len(known) - 1).to_numpy(zero_copy_only=False)
        numbers: NDArray[np.int64] = known[places]
        return numbers

    @staticmethod
    def _mask(column: Any) -> NDArray[np.bool_]:
        mask: NDArray[np.bool_] = column.to_numpy(zero_copy_only=False)
        return mask.astype(np.bool_)

    def _count(self, numbers: NDArray[np.int64], times: NDArray[np.int64]) -> None:
        days = np.where(times == UNKNOWN_TIME, 0, np.clip(times // DAY + DAYS // 2, 1, DAYS - 1))
        keys, counts = np.unique((numbers * DAYS + days)[numbers >= 0], return_counts=True)
        self._keys.append(keys)
        self._counts.append(counts)
        self._waiting += len(keys)
        if self._waiting > max(PAIRS_AT_ONCE, len(self._keys[0])):
            self._compact()

    def _compact(self) -> None:
        """Sum up the pairs of ID and day that wait behind the first ones."""
        keys = np.concatenate([np.empty(0, np.int64), *self._keys])
        counts = np.concatenate([np.empty(0, np.int64), *self._counts])
        unique, place = np.unique(keys, return_inverse=True)
        self._keys = [unique]
        self._counts = [np.bincount(place, counts, len(unique)).astype(np.int64)]
        self._waiting = 0

    def _note(self, code: str, rows: NDArray[np.int64], of: _Rows) -> None:
        self._totals[code] += len(rows)
        examples = self._examples[code]
        examples += [of.example(int(row)) for row in rows[: EXAMPLES - len(examples)]]


class _Rows:
    """The columns of a batch, a row at a time."""

    def __init__(self, names: Any, sent: Any, inserts: Any, times: NDArray[np.int64]) -> None:
        self._names, self._sent, self._inserts, self._times = names, sent, inserts, times

    def example(self, row: int, note: str = "") -> Example:
        sent, insert = self._sent[row].as_py(), self._inserts[row].as_py()
        parts = [beginning(self._names[row].as_py()), _time(int(self._times[row]))]
        parts += [f"$insert_id {beginning(insert)}"] if insert is not None else []
        return Example(ids=() if sent is None else (sent,), note=", ".join(filter(None, [*parts, note])))


def _time(microseconds: int) -> str:
    try:
        time = EPOCH + timedelta(microseconds=microseconds)
    except OverflowError:
        return ""
    return time.strftime("%Y-%m-%d %H:%M:%SZ")


def day_of(day: int) -> str:
    """Return the day that is ``day`` days after 1970-01-01."""
    try:
        return (EPOCH + timedelta(days=day)).strftime("%Y-%m-%d")
    except OverflowError:
        return f"day {day} since 1970"


def tallied(batches: Any, tally: Tally, limit: int) -> Traffic:
    """Return the sums over ``batches``, which ``tally`` takes."""
    for batch in chain(batches):
        tally.add(batch)
    return tally.finish(limit)
