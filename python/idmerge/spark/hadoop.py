"""Small files in a directory wherever Spark can write: Hadoop's file systems, reached through the JVM."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from py4j.protocol import Py4JJavaError

from idmerge.errors import FileFormatError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_PATTERN = frozenset("{}[]*?")
"""Characters that make a path a pattern to Spark's readers."""


class Directory:
    """A directory at ``path``, which may be missing, under the session's settings for file systems."""

    def __init__(self, spark: SparkSession, path: str) -> None:
        """Find the file system.

        Raises:
            ValueError: ``path`` is a pattern: Spark would write to it and find nothing there to read.
        """
        if found := _PATTERN.intersection(path):
            raise ValueError(f"a path may hold none of {''.join(sorted(found))}, got {path!r}")
        context: Any = spark.sparkContext
        session: Any = spark._jsparkSession  # noqa: SLF001 - pyspark has no public door to file systems
        self._new_path: Any = context._jvm.org.apache.hadoop.fs.Path  # noqa: SLF001
        self._root = self._new_path(path)
        self._files = self._root.getFileSystem(session.sessionState().newHadoopConf())
        self.path = path

    def exists(self, name: str = "") -> bool:
        """Return whether the directory, or the file called ``name`` in it, is there."""
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
                raise FileFormatError(f"{self.path}/{name} has {size} bytes, expected at most {limit}")
            stream = self._files.open(place)
            try:
                return bytes(stream.readAllBytes())
            finally:
                stream.close()
        except Py4JJavaError as error:
            raise FileFormatError(f"{self.path}/{name} cannot be read: {_reason(error)}") from error

    def create(self, name: str, content: bytes) -> None:
        """Write a new file, and the directories above it.

        Raises:
            FileExistsError: There is a file of this name.
        """
        try:
            stream = self._files.create(self._at(name), False)  # noqa: FBT003 - Java knows no names
            try:
                stream.write(bytearray(content))
            finally:
                stream.close()
        except Py4JJavaError as error:
            if "FileAlreadyExistsException" in _reason(error):
                raise FileExistsError(f"{self.path}/{name} is there already") from error
            raise

    def rename(self, name: str, to: str) -> None:
        """Give the file called ``name`` the name ``to``, in one step where the file system can.

        Raises:
            FileExistsError: The file system refuses.
        """
        if not self._files.rename(self._at(name), self._at(to)):
            raise FileExistsError(f"{self.path}/{name} cannot be renamed to {to}")

    def delete(self, name: str = "") -> None:
        """Delete the file called ``name``, or the whole directory."""
        self._files.delete(self._at(name), not name)

    def _at(self, name: str) -> Any:
        return self._new_path(self._root, name) if name else self._root


def _reason(error: Py4JJavaError) -> str:
    return str(error.java_exception).splitlines()[0]
