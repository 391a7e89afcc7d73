"""Stitching of JSON files: the first and the second reading."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from idmerge.files import scan
from idmerge.files.flattening import Flattening, flattener_of
from idmerge.files.names import BEFORE, ID, INSERT_ID, TIME
from idmerge.files.reading import flatten
from idmerge.files.shape import ALWAYS, NULL, Shape
from idmerge.files.tables import record_batch
from idmerge.resolver import Resolver
from idmerge.stitching.columns import AS_KNOWN, import_pyarrow, resolved, with_column
from idmerge.stitching.encoding import Encoding
from idmerge.stitching.following import followed
from idmerge.stitching.once import Kept
from idmerge.stitching.partitioning import Partitioning
from idmerge.stitching.unchanged import Marks
from idmerge.stitching.writing import can_encode

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    import pyarrow as pa

    from idmerge._core import Table
    from idmerge.files import Piece, RereadableFile
    from idmerge.files.duplicates import Duplicates
    from idmerge.outcome import Report
    from idmerge.stitching.once import Once
    from idmerge.stitching.tables import Wanted


class Lines:
    """Files of events as JSON, and of links."""

    def __init__(
        self, files: Sequence[RereadableFile], wanted: Wanted, properties: Collection[str] | None
    ) -> None:
        self._files = files
        self._wanted = wanted
        self._marks = Marks()
        # Duplicates are found by their insert IDs, whether or not these become a column.
        self._hides_insert_id = wanted.dedupe and properties is not None and INSERT_ID not in properties
        chosen = (
            None if properties is None else [*properties, *([INSERT_ID] if self._hides_insert_id else [])]
        )
        self._shape = Shape(chosen, reserved=[AS_KNOWN] if wanted.as_known else [])

    def once(self, output: str, partition_by: str | None) -> Encoding | Partitioning | None:
        """Return what takes the events, while `learn` reads them, in a file beside ``output``.

        None if they have to be read again: for an output that is no Parquet, and for senders as
        known if the resolver has links already.

        Raises:
            OSError: No file can be made there.
        """
        wanted = self._wanted
        kept = Kept(
            wanted.resolver,
            wanted.apply,
            wanted.as_known,
            wanted.dedupe,
            self._hides_insert_id,
            wanted.timezone,
        )
        if kept.as_known and not kept.can_follow:
            return None
        if partition_by is not None:
            return Partitioning(output, self._shape, kept, partition_by)
        return Encoding(output, self._shape, kept) if can_encode(output) else None

    def learn(
        self, on_bytes: Callable[[int], object], once: Once | None = None
    ) -> Iterator[tuple[Piece, Report | None]]:
        """Read the files; yield each piece and the report on its links, None if they do not count.

        The events are taken meanwhile if they are to be read ``once``.

        Raises:
            FileFormatError: A file is damaged, has no line that is an event, or more properties
                than a table can have, or more partitions than there may be.
            OSError: There is no room.
        """
        apply = self._apply if once is None else once.apply
        for file in self._files:
            self._marks.take(file)
            for piece in scan(
                file.path,
                name=file.name,
                on_bytes=on_bytes,
                shape=self._shape,
                on_columns=once.take if once is not None and once.is_whole else None,
                on_dialect=self._wanted.on_dialect,
                **self._wanted.choice.arguments,
            ):
                yield piece, apply(piece) if self._wanted.apply else None
            self._marks.check(file)

    def _apply(self, piece: Piece) -> Report:
        return piece.apply_to(self._wanted.resolver)

    def column_names(self) -> list[str]:
        """Return the names of the columns of the events that were read."""
        names = [*ALWAYS, *(column for name, column, _ in self._shape.columns() if name not in ALWAYS[1:])]
        if self._hides_insert_id and INSERT_ID in names:
            names.remove(INSERT_ID)
        if self._wanted.as_known:
            names.insert(names.index(BEFORE) + 1, AS_KNOWN)
        return names

    @property
    def has_times(self) -> bool:
        """Whether an event has a time that is not null, be it one that cannot be read."""
        return dict(self._shape.kinds()).get(TIME, NULL) != NULL

    def renamed(self) -> dict[str, str]:
        """Return the column of each property whose name has a NUL, which no column's can have."""
        return {name: column for name, column, _ in self._shape.columns() if "\0" in name}

    def schema(self) -> pa.Schema:
        """Return the columns of the events that were read, with their types."""
        schema: pa.Schema = import_pyarrow().schema(flattener_of(self._shape, self._wanted.choice.api))
        if self._hides_insert_id and INSERT_ID in schema.names:
            schema = schema.remove(schema.get_field_index(INSERT_ID))
        if self._wanted.as_known:
            place = schema.get_field_index(BEFORE) + 1
            schema = schema.insert(place, schema.field(ID).with_name(AS_KNOWN))
        return schema

    def batches(
        self, on_bytes: Callable[[int], object], duplicates: Duplicates | None
    ) -> Iterator[pa.RecordBatch]:
        """Read the files once more and yield their events, stitched."""
        resolver = self._wanted.resolver
        follower = Resolver(resolver.policy, resolver.canonical) if self._wanted.as_known else None
        is_late = follower is not None or duplicates is not None
        finish: Callable[[Table], Any] = record_batch if is_late else partial(_resolved_batch, resolver)
        flattening = Flattening(
            flattener_of(self._shape, self._wanted.choice.api), finish, with_steps=follower is not None
        )
        flattening = flattening.of_zone(self._wanted.timezone, self._shape)
        for file in self._files:
            for piece in self._marks.checked(
                file,
                flatten(
                    file.path,
                    flattening,
                    name=file.name,
                    on_bytes=on_bytes,
                    **self._wanted.choice.arguments,
                ),
            ):
                batch = piece.table
                if batch is None:
                    if follower is not None and piece.links is not None:
                        piece.links.apply_to(follower)
                    continue
                if is_late:
                    sent = batch.column(ID)
                    if follower is not None:
                        known = followed(follower, sent, piece.steps)
                        batch = with_column(batch, AS_KNOWN, known, BEFORE)
                    if duplicates is not None:
                        batch = duplicates.dropped_from(batch)
                    if self._hides_insert_id and INSERT_ID in batch.schema.names:
                        batch = batch.drop_columns([INSERT_ID])
                    batch = resolved(resolver, batch)
                if batch.num_rows:
                    yield batch


def _resolved_batch(resolver: Resolver, table: Table) -> pa.RecordBatch:
    return resolved(resolver, record_batch(table))
