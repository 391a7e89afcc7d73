"""The core in Rust: the reference manual of its calls.

`idmerge.Resolver` extends `Resolver` here and passes these calls on as they are, and so do the
classes of `idmerge.compat`. Names with an underscore are their own business. `SPEC n` is section n of
docs/SPEC.md.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from typing import Any, Final, Literal, Self, TypeAlias, final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from typing_extensions import disjoint_base

from idmerge._columns import ArrowArray, ArrowStream, ElementColumn, IdColumn, KindColumn
from idmerge._ids import AnyId
from idmerge.canonical import Chooser, Strategy
from idmerge.outcome import Outcome
from idmerge.policy import Policy

__all__ = [
    "Admission", "Beginning", "Column", "DisjointSet", "DistinctEvents", "DistinctRows", "EncodedEvents",
    "EncodedFile", "EventReader", "Flat", "Flattener", "Items", "Partition", "ProfileUpdater", "Resolver",
    "RowReader", "Scan", "Scanner", "SentIds", "Spool", "Table", "Transcoder", "UnionFind", "UpdateRows",
    "WaitingEvents", "__version__", "_connected_components", "_utf8_of_ids", "float_text", "frame_front",
    "frame_front_length", "frame_length", "frame_of_parts", "inflated_body", "milliseconds_of",
    "stored_columns", "waiting_events", "whole_frames",
]  # fmt: skip

__version__: Final[str]

_FrameRow: TypeAlias = tuple[str, int, int, int, bytes, int, int, bool]
"""A frame of a log: project, codes of stream and source, the time received, the lines, the offset behind
it, that at which its group begins, and whether the group ends here."""

@disjoint_base
class Resolver:
    """Joins IDs, of any type that SPEC 3 allows, into clusters, and resolves each to its canonical one."""

    def __new__(
        cls,
        policy: Policy,
        canonical: Strategy | Chooser,
        capacity: int = 0,
        threads: int = 1,
        id_limit: int | None = None,
        history: bool = False,
        record: bool = False,
    ) -> Self: ...
    def identify(self, anon_id: AnyId, identified_id: AnyId) -> Outcome:
        """Judge a ``$identify``: an anonymous ID, then the user's own (SPEC 2).

        Args:
            anon_id: What the SDK made for the device before login.
            identified_id: The ID that the user got from you.

        Returns:
            What became of the link; a rejection is an answer, not an exception.

        Raises:
            TypeError: A value can be no ID (SPEC 3).
            CapacityError: The resolver is full; nothing is changed.

        Examples:
            >>> from idmerge import Resolver
            >>> r = Resolver()
            >>> phone = "5c3c0e5d-9a1f-4c39-8f8e-3e7a9d2d6a11"
            >>> r.identify(phone, "ana"), r.identify(phone, "ben")
            (<Outcome.MERGED: 0>, <Outcome.ANON_CLAIMED: 4>)
        """

    def alias(self, alias: AnyId, distinct_id: AnyId) -> Outcome:
        """Judge a ``$create_alias``: another name, then the ID that it stands for (SPEC 2).

        Args:
            alias: The new name; may look like anything, and can be used once.
            distinct_id: The ID that it stands for.

        Raises:
            TypeError: A value can be no ID (SPEC 3).
            CapacityError: The resolver is full; nothing is changed.

        Examples:
            >>> from idmerge import Resolver
            >>> r = Resolver()
            >>> r.alias("crm-17", "ana"), r.alias("crm-17", "ben")
            (<Outcome.MERGED: 0>, <Outcome.ALIAS_TAKEN: 5>)
        """

    def merge(self, first: AnyId, second: AnyId) -> Outcome:
        """Judge a ``$merge``: two IDs of one person (SPEC 2).

        Raises:
            TypeError: A value can be no ID (SPEC 3).
            CapacityError: The resolver is full; nothing is changed.

        Examples:
            >>> from idmerge import Resolver
            >>> r = Resolver()
            >>> r.merge("ana", "ana@example.com"), r.merge("ana@example.com", "ana"), r.merge("ana", "null")
            (<Outcome.MERGED: 0>, <Outcome.UNCHANGED: 1>, <Outcome.INVALID_ID: 7>)
        """

    def observe(self, distinct_id: AnyId) -> None:
        """Make an ID known, if it is valid, so that its cluster of one is counted (SPEC 3).

        Raises:
            TypeError: ``distinct_id`` can be no ID (SPEC 3).
            CapacityError: The resolver is full; nothing is changed.

        Examples:
            >>> from idmerge import Resolver
            >>> r = Resolver()
            >>> r.observe("ana")
            >>> "ana" in r, "ben" in r
            (True, False)
        """

    def observe_many(self, ids: IdColumn) -> None:
        """Make many IDs known, in order; invalid ones and missing values stay unknown.

        Raises:
            TypeError: ``ids`` is no column, or has a value that can be no ID.
            CapacityError: The resolver is full; the message names the row, and those before it are known.

        Examples:
            >>> from idmerge import Resolver
            >>> r = Resolver()
            >>> r.observe_many(["ana", None, "undefined", 17])
            >>> r.mapping().to_pydict()["distinct_id"]
            ['ana', '17']
        """

    def resolve(self, distinct_id: AnyId) -> str:
        """Return the canonical ID of an ID's cluster; an unknown ID resolves to itself (SPEC 5).

        Raises:
            TypeError: ``distinct_id`` can be no ID (SPEC 3).
            CanonicalError: A callable strategy chose an ID outside the cluster.

        Examples:
            >>> from idmerge import Resolver
            >>> r = Resolver()
            >>> if r.merge("ana", "crm-17"):
            ...     print(r.resolve("crm-17"), r.resolve("ben"))
            ana ben
        """

    def same(self, a: AnyId, b: AnyId) -> bool:
        """Return whether two IDs are the same person as far as is known; an ID is the same as itself.

        Raises:
            TypeError: A value can be no ID (SPEC 3).

        Examples:
            >>> from idmerge import Resolver
            >>> r = Resolver()
            >>> r.merge("ana", "crm-17")
            <Outcome.MERGED: 0>
            >>> r.same("crm-17", "ana"), r.same("ana", "ben"), r.same("ben", "ben")
            (True, False, True)
        """

    def members(self, distinct_id: AnyId) -> list[str]:
        """Return the IDs of an ID's cluster in the order in which they became known.

        Raises:
            TypeError: ``distinct_id`` can be no ID (SPEC 3).
            UnknownIdError: ``distinct_id`` is not known.

        Examples:
            >>> from idmerge import Kind, Resolver
            >>> r = Resolver()
            >>> r.link_many(Kind.MERGE, ["ana", "crm-17"], ["crm-17", "ana@example.com"])
            Report(2 links: 2 MERGED)
            >>> r.members("crm-17")
            ['ana', 'crm-17', 'ana@example.com']
        """

    def size(self, distinct_id: AnyId) -> int:
        """Return how many IDs an ID's cluster has.

        Raises:
            TypeError: ``distinct_id`` can be no ID (SPEC 3).
            UnknownIdError: ``distinct_id`` is not known.

        Examples:
            >>> from idmerge import Resolver
            >>> r = Resolver()
            >>> r.merge("ana", "crm-17")
            <Outcome.MERGED: 0>
            >>> r.size("ana"), len(r)
            (2, 2)
        """

    def __contains__(self, distinct_id: AnyId, /) -> bool:
        """Return whether an ID is known."""

    def __len__(self) -> int:
        """Return how many IDs are known."""

    @property
    def cluster_count(self) -> int:
        """The number of clusters, those of one ID included.

        Examples:
            >>> from idmerge import Resolver
            >>> r = Resolver()
            >>> r.merge("ana", "crm-17")
            <Outcome.MERGED: 0>
            >>> r.observe("ben")
            >>> r.cluster_count
            2
        """

    def mapping(self) -> Table:
        """Return every known ID with its canonical ID and the size of its cluster.

        Returns:
            A table of ``distinct_id`` (utf8), ``canonical_id`` (utf8) and ``cluster_size`` (int32), one row a
            known ID, in the order in which they became known. It is a snapshot.

        Raises:
            CanonicalError: A callable strategy chose an ID outside the cluster.

        Examples:
            >>> from idmerge import Resolver
            >>> r = Resolver()
            >>> r.merge("ana", "crm-17")
            <Outcome.MERGED: 0>
            >>> r.mapping().to_pydict()
            {'distinct_id': ['ana', 'crm-17'], 'canonical_id': ['ana', 'ana'], 'cluster_size':
            [2, 2]}
        """

    @property
    def position(self) -> int:
        """The number of links and acts so far: the position that the next one gets.

        Links are counted whatever became of them; acts are `keep_apart`, `forget` and retractions.

        Examples:
            >>> from idmerge import Resolver
            >>> r = Resolver()
            >>> r.merge("ana", "null")
            <Outcome.INVALID_ID: 7>
            >>> r.keep_apart("ana", "ben")
            >>> r.position
            2
        """

    def keep_apart(self, a: AnyId, b: AnyId) -> None:
        """Keep two IDs apart from now on: no link can bring them into one cluster (`Outcome.KEPT_APART`).

        Both become known. The act has a position.

        Raises:
            KeptApartError: They are together; take back the links that joined them first.
            ValueError: One of them can be no ID.
            CapacityError: The resolver is full; nothing is changed.

        Examples:
            >>> from idmerge import Resolver
            >>> r = Resolver()
            >>> r.keep_apart("ana", "ben")
            >>> r.merge("ana", "ben")
            <Outcome.KEPT_APART: 10>
        """

    def forget(self, distinct_id: AnyId) -> None:
        """Forget an ID, for good: its text is wiped, and with a journal from its file at the next `compact`.

        What it joined stays joined, and it still counts towards `Policy.max_cluster_size`; but it is no
        longer known, is listed nowhere and names nobody. If it comes again, it is a new ID. The act has a
        position and cannot be taken back.

        Raises:
            UnknownIdError: ``distinct_id`` is not known.

        Examples:
            >>> from idmerge import Resolver
            >>> r = Resolver()
            >>> r.merge("ana", "ana@example.com")
            <Outcome.MERGED: 0>
            >>> r.forget("ana@example.com")
            >>> r.members("ana"), "ana@example.com" in r
            (['ana'], False)
        """

    def _forget_changing(self, distinct_id: AnyId) -> Table: ...
    def _link_coded(self, code: int, first: AnyId, second: AnyId) -> Outcome: ...
    def _link_columns(self, kind: KindColumn, first: IdColumn, second: IdColumn) -> NDArray[np.uint8]: ...
    def _take_steps(
        self, codes: bytes, first: IdColumn, second: IdColumn, first_row: int
    ) -> NDArray[np.uint8]: ...
    def _take_events(
        self,
        reader: EventReader,
        events: Iterator[object],
        most: int,
        first_row: int,
        origin: tuple[str, int | Sequence[int]] | None = None,
    ) -> tuple[tuple[NDArray[np.uint8], NDArray[np.int64]], int, BaseException | None]: ...
    def _take_body(
        self,
        reader: EventReader,
        body: bytes,
        kind: str | None,
        most: int,
        origin: tuple[str, int | Sequence[int]] | None = None,
    ) -> tuple[NDArray[np.uint8], NDArray[np.int64]]: ...
    def _take_scan(
        self,
        scan: Scan,
        rows: tuple[int, int],
        codes: bytes,
        first: list[str | None],
        second: list[str | None],
        first_row: int = 0,
        *,
        follows: bool = False,
        origin: tuple[str, int] | None = None,
        times: Sequence[int | None] = ...,
    ) -> tuple[NDArray[np.uint8], NDArray[np.int64]]: ...
    def _follow_scan(
        self,
        ids: ArrowArray | ArrowStream,
        scan: Scan,
        rows: tuple[int, int],
        codes: bytes,
        first: list[str | None],
        second: list[str | None],
    ) -> Column: ...
    def _resolve_sent(self, sent: SentIds) -> Column: ...
    def _resolve_known(self, sent: SentIds) -> Column: ...
    def _era(self) -> int: ...
    def _standing(self) -> tuple[int, int, int]: ...
    def _resolve_list(self, ids: list[Any]) -> list[Any]: ...
    def _resolve_column(self, ids: ArrowArray | ArrowStream) -> Column: ...
    def _counts(self) -> tuple[list[int], dict[int, int], int]: ...
    def _pending(self) -> tuple[int, int]: ...
    def _pending_blocks(
        self, steps: tuple[int, int], ids: tuple[int, int], position: int, room: int
    ) -> tuple[bytes, bytes, int, int, int, list[tuple[int, int]]]: ...
    def _pending_count(self) -> int: ...
    def _written(self, batch: int, steps: int, next: int) -> None: ...  # noqa: A002
    def _pending_origins(self, positions: list[int]) -> list[tuple[int | None, str | None, int] | None]: ...
    @staticmethod
    def _block_origins(
        block: bytes, start: int, positions: list[int]
    ) -> list[tuple[int | None, str | None, int] | None]: ...
    @staticmethod
    def _later_than(block: bytes, start: int, latest: int, late: bool) -> set[int]: ...
    def _leave_out(self, positions: set[int]) -> None: ...
    def _texts_block(self, start: int, end: int) -> bytes: ...
    def _restore(
        self, texts: bytes, steps: bytes, retracted: set[int], until: int | None, is_checked: bool
    ) -> tuple[bool, int, int]: ...
    def _swap(self, other: Resolver) -> None: ...
    def _wipe_forgotten(self, blocks: list[bytes]) -> None: ...
    def _end_restoring(self) -> None: ...
    def _feed_start(self, since: int) -> int: ...
    def _changes(self, blocks: list[bytes]) -> Table: ...
    def _canonical_ids(self, first: int, blocks: list[bytes] | None) -> Table: ...
    def _census(self, since: int) -> tuple[int, int, int, bool]: ...
    def _retract(self, blocks: list[bytes], positions: list[int], dry_run: bool) -> Table: ...
    def _explain(
        self, a: AnyId, b: AnyId | None = None, blocks: list[bytes] | None = None
    ) -> list[tuple[int, str | None, str | None, int, int]] | None: ...
    def _why_not(
        self, a: AnyId, b: AnyId, blocks: list[bytes]
    ) -> list[tuple[int, str | None, str | None, int, int]]: ...
    def _statements(
        self, a: AnyId, b: AnyId, blocks: list[bytes]
    ) -> list[tuple[int, str | None, str | None, int | None, int, list[int], list[int]]]: ...
    def _recorded_links(
        self, block: bytes, position: int
    ) -> list[tuple[int, str | None, str | None, int, int]]: ...
    def _save(self, path: str, moment: Sequence[int]) -> bool: ...
    def _load(self, path: str, moment: Sequence[int]) -> None: ...
    def _seal(self, reason: str) -> None: ...
    def _orphan(self, reason: str) -> None: ...

@final
class Column:
    """A column of text that any library that speaks Arrow can open, as often as it likes.

    Examples:
        >>> import pyarrow as pa
        >>> from idmerge import connected_components
        >>> found = connected_components(["ana", "ben"], ["crm-17", "crm-18"])
        >>> found.ids, len(found.ids)
        (Column(4 rows), 4)
        >>> found.ids.to_pylist()
        ['ana', 'crm-17', 'ben', 'crm-18']
        >>> pa.chunked_array(found.ids).type
        DataType(string)
    """

    def __len__(self) -> int:
        """Return the number of rows."""

    def to_pylist(self) -> list[str | None]:
        """Return the texts as a list, None for a null."""

    def __arrow_c_schema__(self) -> object: ...
    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object: ...
    def _to_numpy(self, dtype: np.dtype[Any]) -> NDArray[Any]: ...
    def _with_texts(self, texts: list[Any]) -> Column: ...

@final
class Table:
    """The mapping from every known ID to its canonical ID; any library that speaks Arrow opens it.

    Examples:
        >>> from idmerge import Resolver
        >>> r = Resolver()
        >>> r.merge("ana", "crm-17")
        <Outcome.MERGED: 0>
        >>> table = r.mapping()
        >>> table, table.num_rows, table.column_names[0]
        (Table(2 rows: distinct_id, canonical_id, cluster_size), 2, 'distinct_id')
        >>> table.head(1).to_pydict()
        {'distinct_id': ['ana'], 'canonical_id': ['ana'], 'cluster_size': [2]}
    """

    @property
    def num_rows(self) -> int:
        """The number of rows: one a known ID."""

    @property
    def column_names(self) -> Sequence[str]:
        """The names of the columns."""

    def __len__(self) -> int:
        """Return the number of rows."""

    def head(self, rows: int = 10) -> Table:
        """Return the first rows.

        Raises:
            OverflowError: ``rows`` is negative.
        """

    def to_arrow(self) -> pa.Table:
        """Return a table of pyarrow that shares the memory.

        Raises:
            MissingExtraError: pyarrow is not installed.

        Examples:
            >>> from idmerge import Resolver
            >>> r = Resolver()
            >>> r.merge("ana", "crm-17")
            <Outcome.MERGED: 0>
            >>> r.mapping().to_arrow().column("canonical_id").to_pylist()
            ['ana', 'ana']
        """

    def to_pandas(self) -> Any:
        """Return a frame of pandas.

        Raises:
            MissingExtraError: pandas or pyarrow is not installed.

        Examples:
            >>> from idmerge import Resolver
            >>> r = Resolver()
            >>> r.merge("ana", "crm-17")
            <Outcome.MERGED: 0>
            >>> r.mapping().to_pandas()
              distinct_id canonical_id  cluster_size
            0         ana          ana             2
            1      crm-17          ana             2
        """

    def to_polars(self) -> Any:
        """Return a frame of polars that shares the memory.

        Raises:
            MissingExtraError: polars is not installed.

        Examples:
            >>> from idmerge import Resolver
            >>> r = Resolver()
            >>> r.merge("ana", "crm-17")
            <Outcome.MERGED: 0>
            >>> r.mapping().to_polars().filter(distinct_id="crm-17").item(0, "canonical_id")
            'ana'
        """

    def to_pydict(self) -> dict[str, list[Any]]:
        """Return the columns as a dict of lists."""

    def __arrow_c_schema__(self) -> object: ...
    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object: ...
    def _repr_html_(self) -> str: ...
    def _with_canonical_ids(self, canonical_ids: list[str]) -> Table: ...

@final
class Beginning:
    """Finds out the form of a JSON text that begins with an object."""

    def __new__(cls) -> Self:
        """Begin with the object's bracket."""

    def take(self, text: bytes) -> str | None:
        """Look at the next piece of text, an empty one for the end; return the form once known.

        It is ``"lines"`` or ``"objects"``.
        """

    def page(self) -> str | None:
        """Return the keys of the list that the first object has, ``"results.events"``, if a page has such."""

    def first_keys(self) -> list[str]:
        """Return the keys of the first object, as far as it was looked at."""

@final
class Transcoder:
    """Turns lines of a dialect into lines of the raw shape (SPEC 11)."""

    def __new__(
        cls,
        events: Sequence[str],
        properties: Sequence[str],
        is_flat: bool,
        record: str | None,
        names: Sequence[tuple[str, str]],
        prefix: str,
        longest: int,
        vendor: tuple[
            Sequence[tuple[str, Sequence[str]]],
            Sequence[str],
            Sequence[str],
            tuple[str, Sequence[str]],
            tuple[str, str, str] | None,
        ]
        | None = None,
    ) -> Self:
        """Take a dialect's keys, other spellings of properties, and the longest line.

        Of another product's rows take the ``vendor``'s fields with their keys, those of an event's
        ID, the names of events that are left to Python, the key of a call with the values that are
        left, and the value that links two fields, with these.
        """

    def cut(self, text: bytes) -> bytes:
        """Transcode the lines that end in the next piece of text; an empty one ends the last line.

        A line that Python has to read is passed on behind a byte 1; a byte 2 stands for a line
        beyond the longest.
        """

@final
class Items:
    """Turns the text of a JSON array, behind its opening bracket, into lines, an item each.

    Objects that stand one after another, and the lists in pages of them, are read as well.
    """

    def __new__(cls, form: str | None = None) -> Self:
        """Take the form of the text, or the page's list, as `Beginning` knows it.

        An array has none, and one behind a comma between its items "rest".
        """

    def cut(self, text: bytes) -> tuple[bytes, str | None]:
        """Return the next piece of text as lines, and the fault behind them or None; an empty one ends it."""

@final
class EventReader:
    """Reads events as objects; the business of `idmerge.Resolver.apply_events`."""

    def __new__(
        cls,
        events: list[tuple[str, int, list[Sequence[str]]]],
        step_of: Callable[[Any], tuple[int, str | None, str | None]],
        simplified: bool,
        malformed: int,
        time_of: Callable[[Any], int | None] | None = None,
    ) -> Self:
        """Take each identity event's name, code and operands' keys, and a function for other events.

        ``step_of`` is called with each event that is no exact dict of plain values, and so is ``time_of``,
        if the times of links are wanted, in milliseconds since 1970.

        Raises:
            ValueError: An event has neither one nor two groups of keys, or there are too many keys.
        """

@final
class Scanner:
    """Reads lines of events; the business of `idmerge.files`."""

    def __new__(
        cls,
        events: list[tuple[str, int, list[Sequence[str]]]],
        longest: int,
        shape: bool = False,
        columns: bool = False,
        chosen: set[str] | None = None,
        simplified: bool = False,
        times: bool = False,
    ) -> Self:
        """Take each identity event's name, kind and operands' keys, and the longest line in bytes.

        With ``shape`` the scans say which properties the events have. With ``columns`` they do too, and have
        the events as columns: one for each property, or for the ``chosen`` ones. In ``simplified`` ID Merge
        ordinary events state links. With ``times`` and without columns they have the times of the events that
        state links.

        Raises:
            ValueError: An event has neither one nor two groups of keys, or there are too many keys.
        """

    def expect(self, properties: list[tuple[str, int]]) -> None:
        """Take the kinds that the values of properties have, so that columns need not be guessed."""

    def end_columns(self) -> None:
        """Make no more columns."""

    def scan(self, head: bytes, text: bytes, end: int, filled: list[bytes | None] | None = None) -> Scan:
        """Read the lines of ``head`` and of the first ``end`` bytes of ``text`` behind it.

        ``head`` is the beginning of one line. If columns are wanted and some lines are unread, call again
        with an event's JSON for each of these, or None for what is no event.

        Raises:
            IndexError: ``end`` is behind the text.
            ValueError: There are 2 GiB or more, or an unread line is filled with no event.
        """

    def scan_items(self, text: bytes, to_end: bool) -> Scan | None:
        """Read items of an array, each as a line: up to the array's end, or to the comma behind an item.

        Returns:
            None if the text is not that, an item is neither an object nor a list or is longer than a line,
            many items are left to Python, or the text is no UTF-8.
        """

@final
class RowReader:
    """Reads rows of a table whose properties are JSON text; the business of `idmerge.files`."""

    def __new__(
        cls,
        events: list[tuple[str, int, list[Sequence[str]]]],
        longest: int,
        columns: list[str],
        values: list[str],
        simplified: bool = False,
    ) -> Self:
        """Take each identity event's name, kind and operands' keys, and the longest text in bytes.

        ``columns`` are the properties that have columns of their own, ``values`` those that are wanted as
        columns. Events may be those of Simplified ID Merge.

        Raises:
            ValueError: An event has neither one nor two groups of keys, there are too many keys, or a column
                is of none of them.
        """

    def read(
        self, names: ArrowArray, properties: ArrowArray, columns: list[ArrowArray]
    ) -> tuple[Scan, Table, list[str], list[int], list[int]]:
        """Read rows: the names of their events, their properties as JSON text, and their own columns.

        All are arrays of large binary. Returns the steps; ``distinct_id``,
        ``$distinct_id_before_identity`` and the values, as far as these have one type; the names of the
        other values; the rows whose steps Python must read, and those that are null in the columns too.

        Raises:
            TypeError: A column is of another type, or has several chunks.
            ValueError: A column is damaged, or they differ in length or number.
        """

@final
class Scan:
    """The steps that some lines state: a row for each line that is not blank."""

    @property
    def lines(self) -> int:
        """The number of lines read, blank ones included."""

    def __len__(self) -> int:
        """Return the number of rows."""

    def line(self, row: int) -> int:
        """Return the line of a row, counted from 0."""

    def link(self, row: int) -> tuple[int, str, str] | None:
        """Return the code and the operands of a row that states a link, else None."""

    def reason(self, row: int) -> str | None:
        """Return Mixpanel's reason for refusing the link of a row itself, if it did."""

    def observed(self, row: int) -> str | None:
        """Return the ID that a row observes, else None."""

    def odd_ids(self, start: int, stop: int) -> list[int]:
        """Return the rows from ``start`` to ``stop`` of ordinary events whose value for an ID can be none."""

    def properties(self) -> list[tuple[str, int, int]]:
        """Return each property's name, the sum of its values' kinds, and the row where it came first.

        Kinds are 1 for a null, 2 for a truth value, 4 for an integer, and 64 for one beyond 53 bits, 8 for
        another number, 16 for a text, or an integer beyond 63 bits, 32 for a list or an object. Rows that
        Python must read have none here.
        """

    def unread(self) -> list[tuple[int, bytes]]:
        """Return the lines, counted from 0, that Python must read before there are columns."""

    def columns_size(self) -> tuple[int, int] | None:
        """Return how many rows the columns have, and how many bytes.

        None without columns: where none were wanted, they have too many cells, or they were taken.
        """

    def rows_without_properties(self) -> list[int]:
        """Return the rows that Python must read and whose properties `properties` lacks."""

    def times(self) -> Table | None:
        """Return the times of the columns as a table of one column; None without columns."""

    def set_times(self, times: ArrowArray) -> None:
        """Replace the times of the columns; a ValueError if they are no times of UTC, or not as many."""

    def holes(self) -> list[tuple[int, bytes]]:
        """Return the rows that Python must read, with their bytes."""

@final
class Spool:
    """A file without a name where encoded columns wait; the business of `idmerge.stitching`."""

    def __new__(cls, directory: str, without_dictionary: list[str], statistics: list[str]) -> Self:
        """Make it in a directory.

        The columns named are encoded without a dictionary (integers and times as differences, texts with
        their lengths apart), and with the least and greatest value of each row group.

        Raises:
            OSError: No file can be made there.
        """

    def encode(
        self,
        scans: list[Scan],
        properties: list[tuple[str, str, int]],
        era: int | None,
        *,
        follows: bool = False,
        duplicates: DistinctEvents | None = None,
    ) -> EncodedEvents | None:
        """Encode the columns of scans as a row group, but for the canonical IDs; the scans have them no more.

        ``properties`` are each property's name, the name of its column, and its kinds. None is returned if a
        column cannot be of the type that these ask for. IDs that a resolver has taken with their scans, in
        the ``era`` given, are kept as its numbers; if it ``follows`` the events, so are the canonical IDs
        that their senders had before, and None is returned if these were not noted. Events that are
        duplicates of earlier ones, by what ``duplicates`` has seen, are left out.

        Raises:
            OSError: There is no room.
            ValueError: A scan has no columns, or they were taken.
        """

    def sent(self, events: EncodedEvents) -> SentIds:
        """Return the IDs that were sent with encoded events."""

    def name(
        self,
        ids: ArrowArray | ArrowStream,
        events: EncodedEvents,
        known: ArrowArray | ArrowStream | None = None,
    ) -> None:
        """Encode the canonical IDs of encoded events, and those that were known when these came.

        Raises:
            OSError: There is no room.
            TypeError: ``ids`` or ``known`` is no column of utf8.
            ValueError: It has another length.
        """

@final
class DistinctEvents:
    """The distinct events so far, by name, time, ID as sent and insert ID: 16 bytes an event."""

    def __new__(cls) -> Self: ...
    def is_exact(self, properties: list[tuple[str, str, int]]) -> bool:
        """Return whether insert IDs were compared as a column of values of all these kinds has them."""

    @property
    def dropped(self) -> int:
        """The number of events that were dropped."""

def waiting_events(
    scan: Scan,
    properties: list[tuple[str, str, int]],
    era: int | None,
    *,
    follows: bool = False,
    duplicates: DistinctEvents | None = None,
) -> WaitingEvents | None:
    """Return the events of a scan as tables of one batch each, in which they wait for their canonical IDs.

    The arguments are those of `Spool.encode`, and so are its errors and its None. Instead of IDs there is a
    column that `SentIds` takes; of each table columns without a value are missing.
    """

@final
class WaitingEvents:
    """Events that wait as tables for their canonical IDs, each made when it is asked for."""

    def __iter__(self) -> Self: ...
    def __next__(self) -> Table: ...

@final
class EncodedEvents:
    """The events of a row group of a Parquet file, encoded."""

    def __len__(self) -> int: ...
    def fits(self, properties: list[tuple[str, str, int]]) -> bool:
        """Return whether all columns have the types that the kinds of their properties ask for."""

@final
class SentIds:
    """The IDs that were sent with encoded events, as a resolver's numbers or as texts."""

    def __new__(cls, ids: ArrowArray | ArrowStream, era: int | None) -> Self:
        """Take a column of `waiting_events`, with numbers of the ``era``; any other is a ValueError."""

    def texts(self) -> Column:
        """Return the IDs as texts, null where an event has none, or a number."""

@final
class EncodedFile:
    """A Parquet file into which encoded events are copied."""

    def __new__(
        cls, spool: Spool, path: str, properties: list[tuple[str, str, int]], is_known: bool = False
    ) -> Self:
        """Begin a file at ``path``; one that cannot be made is an `OSError`.

        If ``is_known``, it has a column of the canonical IDs that were known when the events came.
        """

    def append(self, events: EncodedEvents) -> None:
        """Copy encoded events, which are named, to the end of the file.

        Raises:
            OSError: There is no room.
            ValueError: The file is closed, or the events were copied before.
        """

    def close(self) -> None:
        """Write the end of the file; raises as `append` does."""

@final
class Flattener:
    """Turns lines of events into tables with a column a property; the business of `idmerge.files`."""

    def __new__(cls, properties: list[tuple[str, str, int]], longest: int, simplified: bool = False) -> Self:
        """Take each property's name, the name of its column, and its kinds, and the longest line in bytes.

        In ``simplified`` ID Merge an event's ID is that of its user or device.
        """

    def __arrow_c_schema__(self) -> object: ...
    def flatten(self, head: bytes, text: bytes, end: int, filled: list[bytes | None] | None = None) -> Flat:
        """Turn the lines of ``head`` and of the first ``end`` bytes of ``text`` behind it into a table.

        Lines that Python must read are its holes. Called again with an event's JSON for each of them, or None
        for what is no event, it puts these in their places.

        Raises:
            IndexError: ``end`` is behind the text.
            ValueError: There are 2 GiB or more, values of other kinds, or a hole is filled with no event.
        """

@final
class Flat:
    """Some lines as a table, or the lines that Python must read first."""

    @property
    def table(self) -> Table | None:
        """Columns event, time, distinct_id, $distinct_id_before_identity and properties; None with holes."""

    @property
    def lines(self) -> int:
        """The number of lines, blank ones included."""

    def holes(self) -> list[tuple[int, bytes]]:
        """Return the lines that Python must read: their numbers, counted from 0, and their bytes."""

@final
class DistinctRows:
    """The distinct rows of text so far: 16 bytes a row, whatever stands in it."""

    def __new__(cls) -> Self: ...
    def add(self, columns: list[ArrowArray]) -> NDArray[np.bool_]:
        """Add the rows of utf8 ``columns``, and return for each whether no row before it was equal.

        A row that is null in the last of them equals no other.

        Raises:
            TypeError: A column is no utf8.
            ValueError: Columns differ in length, or there are none.
        """

    def __len__(self) -> int:
        """Return the number of distinct rows."""

@disjoint_base
class Partition:
    """Hashable elements in disjoint sets: what `DisjointSet` and `UnionFind` have in common."""

    def __new__(cls, *args: Any, **kwargs: Any) -> Self: ...
    def __iter__(self) -> Iterator[Any]:
        """Go through the elements in the order in which they were added.

        Raises:
            RuntimeError: An element was added meanwhile.
        """

    def _add_many(self, elements: Iterable[Hashable]) -> None: ...
    def _count(self) -> int: ...
    def _state(self) -> tuple[list[Any], bytes, bytes, bytes]: ...
    def _restore(self, elements: list[Any], parents: bytes, weights: bytes, next: bytes) -> None: ...  # noqa: A002

class DisjointSet(Partition):
    """Disjoint sets with the interface of SciPy's."""

    @property
    def n_subsets(self) -> int:
        """The number of subsets."""

    def __len__(self) -> int:
        """Return how many elements there are."""

    def __contains__(self, x: Hashable, /) -> bool:
        """Return whether an element is there."""

    def __getitem__(self, x: Hashable, /) -> Any:
        """Return the root of an element's subset.

        Raises:
            KeyError: ``x`` is not there.
        """

    def add(self, x: Hashable) -> None:
        """Add an element as a subset of its own, unless it is there."""

    def merge(self, x: Hashable, y: Hashable) -> bool:
        """Merge the subsets of two elements and return whether they were two.

        The root of the larger subset stays one; of equally large ones, the one added first.

        Raises:
            KeyError: An element is not there.
        """

    def merge_many(self, first: ElementColumn, second: ElementColumn) -> NDArray[np.bool_]:
        """Merge the subsets of the two elements in each row, as `merge` would one row after another.

        Returns:
            For each row whether they were two; shape (rows,).

        Raises:
            KeyError: An element is not there; nothing is merged.
            TypeError: A column holds neither text nor integers, or only one of them holds text.
            ValueError: Lengths differ, or a row is null.
        """

    def connected(self, x: Hashable, y: Hashable) -> bool:
        """Return whether two elements are in one subset.

        Raises:
            KeyError: An element is not there.
        """

    def subset(self, x: Hashable) -> set[Any]:
        """Return the subset of an element.

        Raises:
            KeyError: ``x`` is not there.
        """

    def subset_size(self, x: Hashable) -> int:
        """Return how many elements the subset of an element has, without making it.

        Raises:
            KeyError: ``x`` is not there.
        """

    def subsets(self) -> list[set[Any]]:
        """Return every subset, in the order of their first elements."""

class UnionFind(Partition):
    """Disjoint sets with the interface of NetworkX's."""

    def __getitem__(self, element: Hashable, /) -> Any:
        """Return the root of an element's set; an unknown element is added as a set of its own."""

    def union(self, *objects: Hashable) -> None:
        """Join the sets of all these elements; unknown ones are added.

        The root of the largest set stays one; of equally large ones, the first in the order of a Python set.
        """

    def merge_many(self, first: ElementColumn, second: ElementColumn) -> NDArray[np.bool_]:
        """Join the sets of the two elements in each row as `union` would; return whether they were two.

        Raises:
            TypeError: A column holds neither text nor integers, or only one of them holds text.
            ValueError: Lengths differ, or a row is null; nothing is joined.
        """

    def _parent(self, element: Hashable) -> Any: ...
    def _weight(self, element: Hashable) -> int: ...
    def _sets(self) -> list[set[Any]]: ...

@final
class Admission:
    """Decides which items of a request are taken."""

    def __new__(
        cls,
        route: Literal["track", "import", "strict", "engage", "groups"],
        identity_events: Sequence[str],
        *,
        max_bytes: int,
        max_items: int,
        max_item: int,
        max_properties: int,
        max_name: int,
    ) -> Self:
        """Take a route, the names of identity events, and the limits of requests and items."""

    def admit(
        self,
        body: bytes,
        kind: str | None,
        received: int,
        tokens: Sequence[str] | None = None,
        fallback: str = "",
    ) -> tuple[list[tuple[int, bytes]], int, int, list[tuple[int, str, str, str]]]:
        """Return the items of a body that are taken.

        They are the lines of each project by its place among the tokens, the number of items in them and of
        those whose token is unknown, and the place, field, message and insert ID of each failure.

        Raises:
            MalformedEventError: The body holds no items.
            OverflowError: It has too many bytes, or items.
        """

def inflated_body(body: bytes, most: int) -> bytes:
    """Return the body of a request without its gzip, if it has any.

    Raises:
        MalformedEventError: The gzip is damaged.
        OverflowError: There are more than ``most`` bytes.
    """

def frame_length(data: bytes, place: int) -> int | None:
    """Return the length that the frame at a place of some bytes states; None where none begins."""

def frame_front_length(data: bytes) -> int | None:
    """Return the length of what stands before the lines of the frame that begins there."""

def whole_frames(data: bytes, place: int, offset: int, end: int) -> list[_FrameRow]:
    """Return the frames that follow each other whole from a place of some bytes on.

    Args:
        data: Bytes of a log.
        place: The place where to begin.
        offset: The offset of that place in the log.
        end: The offset at which to stop: frames that end behind it are left out.
    """

def frame_of_parts(front: bytes, lines: bytes, offset: int) -> _FrameRow | None:
    """Return the frame of such lines behind their front; None if it is none, or damaged."""

def frame_front(
    project: str,
    stream: int,
    source: int,
    received: int,
    lines: bytes,
    *,
    offset: int,
    group: int,
    ends_group: bool,
) -> bytes:
    """Return what stands before the lines of a frame at an offset whose group begins at another one.

    Raises:
        ValueError: A frame cannot hold so long a name, or so many bytes.
    """

def stored_columns(lines: bytes, longest: int, *, simplified: bool) -> tuple[Table, list[int]]:
    """Return lines of events as columns, a row for each that is not blank, and the rows that are declined.

    The columns are ``line`` (the line, counted from 0), ``event``, ``distinct_id`` (as it was sent),
    ``time`` (milliseconds), ``insert_id`` and ``properties`` (their JSON text, null for what is no event).
    A row that is declined is null in all but the first, and Python must read it.

    Raises:
        ValueError: There are 2 GiB or more.
    """

def milliseconds_of(value: object) -> int | None:
    """Return the time that a value of JSON states, in milliseconds since 1970; None for no time (SPEC 9)."""

def float_text(number: float) -> str:
    """Return a number in the shortest form that is read as the same one."""

def _connected_components(
    first: ElementColumn, second: ElementColumn
) -> tuple[int, Column | NDArray[Any], NDArray[np.int32], NDArray[np.int32]]: ...
def _utf8_of_ids(
    column: ArrowArray | ArrowStream, name: str, lines: Sequence[int] | None = None
) -> Column: ...

@final
class UpdateRows:
    """The profile updates of some lines: a row for each line that is not blank."""

    def __new__(cls, head: bytes, text: bytes, end: int, longest: int, rows: bool) -> Self:
        """Read the lines of ``head`` and of ``text`` behind it, up to its ``end``.

        Lines longer than ``longest`` bytes are left to Python, and rows of exports unless ``rows``.

        Raises:
            IndexError: ``end`` is behind the text.
            ValueError: There are 2 GiB or more.
        """

    @property
    def lines(self) -> int:
        """The number of lines read, blank ones included."""

    def __len__(self) -> int:
        """Return the number of rows."""

    def line(self, row: int) -> int:
        """Return the line of a row, counted from 0."""

    def numbers(self, first: int) -> list[int]:
        """Return the line of each row, counted from ``first``."""

    def holes(self) -> list[tuple[int, bytes]]:
        """Return the rows that Python must read, with their bytes."""

@final
class ProfileUpdater:
    """Applies profile updates to stored profiles; the business of `idmerge.Profiles`."""

    def __new__(
        cls,
        resolver: Resolver,
        stored: dict[str, dict[str, Any]],
        operations: Sequence[tuple[str, Callable[[dict[str, Any], str, Any], bool]]],
    ) -> Self:
        """Take what routes the updates, the profiles by ID, and a function for each operation.

        A function is called with a profile, a property and a value where these are not plain.

        Raises:
            ValueError: These are not all operations, in the order in which they are applied.
        """

    def take(
        self,
        updates: Iterator[Any],
        most: int,
        lock: Any = None,
        export: Callable[[str, str, dict[str, Any]], dict[str, Any]] | None = None,
    ) -> tuple[_UpdateCounts, int, tuple[Any] | None]:
        """Apply up to ``most`` updates, each as soon as it comes, in ``lock`` if there is one.

        ``export`` takes a row of an export as its ID, the canonical one, and properties, and returns
        its operations; without it rows are left to Python.

        Returns:
            The counts, the number of updates, and that behind them which is left to Python; None
            for the last if there are no more, or ``most`` are applied.
        """

    def take_rows(
        self,
        rows: UpdateRows,
        start: int,
        stop: int,
        export: Callable[[str, str, dict[str, Any]], dict[str, Any]],
    ) -> _UpdateCounts:
        """Apply the updates of rows, none of which is left to Python.

        Raises:
            ValueError: A row is left to Python.
        """

_UpdateCounts: TypeAlias = tuple[list[tuple[int, int]], list[tuple[str, int]], list[str]]
"""Numbers of outcomes and of operations, and the canonical IDs of rows that are under others."""
