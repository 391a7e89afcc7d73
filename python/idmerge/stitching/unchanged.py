"""Detection of files that change between two readings."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from idmerge.errors import FileFormatError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from idmerge.files import RereadableFile

T = TypeVar("T")


class Mark(NamedTuple):
    """The attributes of a file that change when it is written to or replaced."""

    inode: int
    size: int
    written: int
    """The time of the last change, in nanoseconds."""

    @classmethod
    def of(cls, path: str) -> Mark:
        """Return the mark of the file at ``path`` as it is now.

        Raises:
            OSError: It is not there.
        """
        status = os.stat(path)  # noqa: PTH116
        return cls(status.st_ino, status.st_size, status.st_mtime_ns)


class Marks:
    """The marks of files as they were when they were read for the first time."""

    def __init__(self) -> None:
        self._marks: dict[str, Mark] = {}

    def take(self, file: RereadableFile) -> None:
        """Note how ``file`` is now."""
        self._marks[file.path] = Mark.of(file.path)

    def check(self, file: RereadableFile) -> None:
        """Raise FileFormatError if ``file`` is not as it was noted."""
        if Mark.of(file.path) != self._marks.get(file.path):
            raise FileFormatError(f"{file.name}: the file was changed while it was read; stitch it again")

    def checked(self, file: RereadableFile, pieces: Iterable[T]) -> Iterator[T]:
        """Yield what is read of ``file``, which must be as it was before that and afterwards."""
        self.check(file)
        yield from pieces
        self.check(file)
