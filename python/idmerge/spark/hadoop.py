"""Small files in a directory of any Hadoop file system, reached through the JVM."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException

from idmerge._naming import named, visible, without_secrets
from idmerge.errors import FileFormatError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyspark.sql import SparkSession

_PATTERN = frozenset("{}[]*?")
"""Characters that make a path a pattern to Spark's readers."""
FAILURES = (Py4JJavaError, PySparkException)
"""Errors of the JVM as they arrive."""
_URL = re.compile(r"[a-z][a-z0-9+.-]*:/[^\s,;]*", re.IGNORECASE)


class Directory:
    """A directory at ``path``, which may be missing, under the session's settings for files."""

    def __init__(self, spark: SparkSession, path: str) -> None:
        """Find the file system.

        Raises:
            ValueError: ``path`` is a pattern: Spark would write to it and find nothing there to
                read.
            OSError: There is no such file system.
        """
        if _PATTERN.intersection(path):
            raise ValueError(f"a path may hold none of {''.join(sorted(_PATTERN))}, got {named(path)!r}")
        context: Any = spark.sparkContext
        session: Any = spark._jsparkSession  # noqa: SLF001 - pyspark has no public door to file systems
        self._new_path: Any = context._jvm.org.apache.hadoop.fs.Path  # noqa: SLF001
        self.path = path
        with self._reached():
            self._root = self._new_path(path)
            self._files = self._root.getFileSystem(session.sessionState().newHadoopConf())

    def exists(self, name: str = "") -> bool:
        """Return whether the directory, or the file called ``name`` in it, is there."""
        with self._reached():
            return bool(self._files.exists(self._at(name)))

    def read(self, name: str, limit: int) -> bytes:
        """Return the content of a file of at most ``limit`` bytes.

        Raises:
            FileFormatError: The file is longer, or cannot be read.
        """
        place = self._at(name)
        try:
            size = self._files.getFileStatus(place).getLen()
            if size > limit:
                raise FileFormatError(f"{named(self.path)}/{name} has {size} bytes, expected at most {limit}")
            stream = self._files.open(place)
            try:
                return bytes(stream.readAllBytes())
            finally:
                stream.close()
        except FAILURES as error:
            reason, cause = failure(error, self.path)
            raise FileFormatError(f"{named(self.path)}/{name} cannot be read: {reason}") from cause

    def create(self, name: str, content: bytes) -> None:
        """Write a new file, and the directories above it.

        Raises:
            FileExistsError: There is a file of this name.
        """
        with self._reached(name):
            stream = self._files.create(self._at(name), False)  # noqa: FBT003 - Java knows no names
            try:
                stream.write(bytearray(content))
            finally:
                stream.close()

    def rename(self, name: str, to: str) -> None:
        """Give the file called ``name`` the name ``to``, in one step where the file system can.

        Raises:
            FileExistsError: The file system refuses.
        """
        with self._reached():
            if not self._files.rename(self._at(name), self._at(to)):
                raise FileExistsError(f"{named(self.path)}/{name} cannot be renamed to {to}")

    def delete(self, name: str = "") -> None:
        """Delete the file called ``name``, or the whole directory."""
        with self._reached():
            self._files.delete(self._at(name), not name)

    @contextmanager
    def _reached(self, name: str = "") -> Iterator[None]:
        """Turn errors of Java into `FileExistsError`, where a file is there, or else `OSError`."""
        try:
            yield
        except FAILURES as error:
            reason, cause = failure(error, self.path)
            if "FileAlreadyExistsException" in reason:
                raise FileExistsError(f"{named(self.path)}/{name} is there already") from cause
            raise OSError(f"{named(self.path)} cannot be reached: {reason}") from cause

    def _at(self, name: str) -> Any:
        return self._new_path(self._root, name) if name else self._root


def failure(error: Exception, path: str) -> tuple[str, Exception | None]:
    """Return the reason of a Spark error in one line, and the error unless it has secrets."""
    reason, whole = str(error.java_exception if isinstance(error, Py4JJavaError) else error), str(error)
    first = _without_secrets(reason, path).partition("\n")[0]
    return visible(first), error if _without_secrets(whole, path) == whole else None


def _without_secrets(text: str, path: str) -> str:
    return _URL.sub(lambda url: named(url[0]), without_secrets(text, [path]))
