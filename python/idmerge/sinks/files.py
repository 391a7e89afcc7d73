"""A directory of files, Parquet or NDJSON: a mapping, changes to it, and a manifest.

    manifest.json                  the cursor, and the files that count, in their order
    mapping-00000007.parquet       the whole mapping
    changes-00000008.parquet       rows that take the place of earlier ones with the same ID

Each file is written whole under another name and renamed; then the manifest, by which it begins to
count. What the manifest does not name is left of a writer that was killed, and is removed.
"""

from __future__ import annotations

import json
import re
from json.encoder import encode_basestring
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

from idmerge._naming import check_local, named
from idmerge.errors import SinkError
from idmerge.files import replacing
from idmerge.journal import Cursor
from idmerge.journal.lock import WriterLock
from idmerge.sinks.protocol import batches, check_unchanged, not_ours, reader

if TYPE_CHECKING:
    from collections.abc import Sequence

    from idmerge.journal import MappingUpdate

Suffix = Literal["parquet", "ndjson"]

MANIFEST = "manifest.json"
LOCK = "manifest.json-writer"
MOST_FILES = 200
"""Files of changes from which on the next delivery writes the whole mapping."""
FEWEST_ROWS = 10_000
"""Rows of changes below which their number alone calls for no whole mapping."""
_OURS = re.compile(r"(?:mapping|changes)-\d{8}\.(?:parquet|ndjson)")


class FilesSink:
    """The directory at ``path``.

    Raises:
        JournalError: Another sink writes there.
        OSError: The directory cannot be made.

    Examples:
        >>> import json
        >>> from pathlib import Path
        >>> from idmerge import DurableResolver
        >>> from idmerge.sinks import Delivery, open_sink
        >>> with DurableResolver.open(":memory:") as r:
        ...     _ = r.merge("ana", "crm-17"), r.commit()
        ...     _ = Delivery(r, open_sink("ndjson:copy")).run()
        >>> manifest = json.loads(Path("copy/manifest.json").read_text())
        >>> manifest["files"], manifest["position"]
        ([{'name': 'mapping-00000001.ndjson', 'rows': 2}], 1)
    """

    def __init__(self, path: str, suffix: Suffix) -> None:
        check_local(path, "a directory's path is needed")
        self.name = f"{suffix}:{named(path)}"
        self._directory = Path(path)
        self._suffix = suffix
        self._directory.mkdir(parents=True, exist_ok=True)
        self._lock = WriterLock(self._directory / MANIFEST, "a directory of a sink")
        self._seen: dict[str, Any] = {}

    @property
    def needs_whole(self) -> bool:
        """Whether there are so many changes that a whole mapping is due, or files are gone."""
        if not self._seen:
            return False
        whole, *changes = self._seen["files"]
        if not all((self._directory / one["name"]).is_file() for one in self._seen["files"]):
            return True
        rows = sum(one["rows"] for one in changes)
        return len(changes) >= MOST_FILES or rows >= max(FEWEST_ROWS, whole["rows"])

    def cursor(self, *, restart: bool) -> Cursor | None:
        """Return the cursor of the manifest."""
        self._seen = self._manifest(is_damage_passed_over=restart)
        if restart:
            return None
        if not self._seen:
            if any(one.name != LOCK and not _is_left(one) for one in self._directory.iterdir()):
                raise not_ours(self.name, "the directory has files")
            return None
        if not self._seen["files"][0]["name"].endswith(self._suffix):
            raise SinkError(f"{self.name}: its files are of another format; name another directory")
        return Cursor.of(self._seen["cursor"])

    def apply(self, update: MappingUpdate) -> int:
        """Write one file, and the manifest."""
        check_unchanged(
            self.name, json.dumps(self._seen), json.dumps(self._manifest(is_damage_passed_over=True))
        )
        number = self._seen.get("delivery", 0) + 1
        kind = "mapping" if update.is_whole else "changes"
        name = f"{kind}-{number:08}.{self._suffix}"
        with replacing(str(self._directory / name)) as stream:
            (_write_parquet if self._suffix == "parquet" else _write_ndjson)(update, stream)
        before = [] if update.is_whole else self._seen["files"]
        manifest = {
            "format": 1,
            "delivery": number,
            "position": update.cursor.position,
            "files": [*before, {"name": name, "rows": len(update.rows)}],
            "cursor": json.loads(update.cursor.to_json()),
        }
        with replacing(str(self._directory / MANIFEST)) as stream:
            stream.write(json.dumps(manifest, indent=1).encode())
        self._seen = manifest
        self._remove_others(manifest["files"])
        return 0

    def close(self) -> None:
        """Let others write."""
        self._lock.release()

    def _manifest(self, *, is_damage_passed_over: bool) -> dict[str, Any]:
        """Return the manifest; an empty one if there is none."""
        try:
            stated = json.loads((self._directory / MANIFEST).read_text("utf-8"))
            _check(stated)
        except FileNotFoundError:
            return {}
        except (ValueError, KeyError, TypeError) as error:
            if is_damage_passed_over:
                return {}
            raise SinkError(
                f"{self.name}: the manifest is damaged: {error!r:.200}; begin anew by --restart"
            ) from error
        manifest: dict[str, Any] = stated
        return manifest

    def _remove_others(self, files: Sequence[dict[str, Any]]) -> None:
        """Remove the files of earlier deliveries, and those of writers that were killed."""
        kept = {one["name"] for one in files}
        for one in self._directory.iterdir():
            if _OURS.fullmatch(one.name) and one.name not in kept:
                one.unlink(missing_ok=True)


def _check(stated: Any) -> None:
    """Raise ValueError, KeyError or TypeError unless this is a manifest of format 1."""
    if stated["format"] != 1:
        raise ValueError(f"its format is {stated['format']!r}, not 1")
    if not stated["files"] or type(stated["delivery"]) is not int:
        raise ValueError("it names no file")
    Cursor.of(stated["cursor"])
    for one in stated["files"]:
        if not _OURS.fullmatch(one["name"]) or type(one["rows"]) is not int:
            raise ValueError(f"a file is {one!r:.100}")


def _is_left(path: Path) -> bool:
    """Return whether a file is of a writer that was killed before its first manifest."""
    return _OURS.fullmatch(path.name) is not None or path.name.startswith(".")


def _write_parquet(update: MappingUpdate, stream: BinaryIO) -> None:
    from pyarrow import parquet  # noqa: PLC0415

    rows = reader(update)
    with parquet.ParquetWriter(stream, rows.schema) as writer:
        for batch in rows:
            writer.write_batch(batch)


def _write_ndjson(update: MappingUpdate, stream: BinaryIO) -> None:
    for batch in batches(update):
        texts: list[list[Any]] = [column.to_pylist() for column in batch.columns]
        columns = [map(encode_basestring, column) for column in texts]
        stream.write(
            "".join(
                f'{{"distinct_id": {own}, "canonical_id": {name}}}\n'
                for own, name in zip(*columns, strict=True)
            ).encode()
        )
