"""Opening of files, with decompression and a count of the bytes read.

The first bytes of a stream name its compression, not the file's name: exports are renamed more
often than they are repacked.
"""

from __future__ import annotations

import gzip
import io
import sys
import zlib
from contextlib import suppress
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from idmerge.errors import FileFormatError, MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from typing_extensions import Buffer

GZIP = b"\x1f\x8b"
ZSTD = b"\x28\xb5\x2f\xfd"
ZSTD_SKIPPABLE = b"\x2a\x4d\x18"
"""Bytes 1 to 3 of a frame without content, with which parallel compressors begin a file."""
PARQUET = b"PAR1"
ARROW = b"ARROW1"
MAGIC_LENGTH = 6
BUFFER = 128 * 2**10


class CountedBytes(io.RawIOBase):
    """The bytes of ``stream`` in their order, each counted by ``on_bytes`` as it is read.

    The first `MAGIC_LENGTH` bytes are read at once and can be looked at as ``magic``; it works on
    pipes, which cannot be rewound.
    """

    def __init__(self, stream: BinaryIO, on_bytes: Callable[[int], object]) -> None:
        super().__init__()
        self._stream = stream
        self._on_bytes = on_bytes
        self._head = b""
        while len(self._head) < MAGIC_LENGTH and (piece := stream.read(MAGIC_LENGTH - len(self._head))):
            self._head += piece
        self.magic = self._head

    def readable(self) -> bool:
        """Return that bytes can be read."""
        return True

    def readinto(self, buffer: Buffer) -> int:
        """Fill ``buffer`` as far as one read goes and return the number of bytes."""
        view = memoryview(buffer).cast("B")
        if self._head:
            count = min(len(view), len(self._head))
            view[:count] = self._head[:count]
            self._head = self._head[count:]
        else:
            count = _read_once(self._stream, view)
        self._on_bytes(count)
        return count


class UnpackedBytes(io.RawIOBase):
    """The bytes to which the compressed ``stream`` unpacks; damage in it is a `FileFormatError`."""

    def __init__(self, stream: Any, codec: str) -> None:
        super().__init__()
        self._stream = stream
        self._codec = codec

    def readable(self) -> bool:
        """Return that bytes can be read."""
        return True

    def readinto(self, buffer: Buffer) -> int:
        """Fill ``buffer`` as far as one read goes and return the number of bytes."""
        try:
            return _read_once(self._stream, memoryview(buffer).cast("B"))
        except (EOFError, OSError, zlib.error) as error:
            raise FileFormatError(
                f"here or a little later the {self._codec} stream is cut off or damaged ({error}); "
                "get a whole copy of the file"
            ) from error


def unpacked(stream: CountedBytes) -> io.BufferedReader:
    """Return the bytes of ``stream``, decompressed if they are gzip or zstd.

    Raises:
        MissingExtraError: They are zstd, and pyarrow is not installed.
    """
    if stream.magic.startswith(GZIP):
        packed = gzip.GzipFile(fileobj=io.BufferedReader(stream, BUFFER), mode="rb")
        return io.BufferedReader(UnpackedBytes(packed, "gzip"), BUFFER)
    if stream.magic.startswith(ZSTD) or stream.magic[1:4] == ZSTD_SKIPPABLE:
        pyarrow = import_pyarrow("reading zstd")
        frames = pyarrow.CompressedInputStream(pyarrow.PythonFile(stream, "r"), "zstd")
        return io.BufferedReader(UnpackedBytes(frames, "zstd"), BUFFER)
    return io.BufferedReader(stream, BUFFER)


def check_pyarrow(purpose: str) -> None:
    """Look whether pyarrow is there, before work is done that ends with it; it is not imported.

    Raises:
        MissingExtraError: It is not installed.
    """
    with suppress(ValueError):  # Its import is blocked.
        if "pyarrow" in sys.modules or find_spec("pyarrow") is not None:
            return
    import_pyarrow(purpose)


def import_pyarrow(purpose: str) -> ModuleType:
    """Return pyarrow, which is imported only once a file asks for it.

    Raises:
        MissingExtraError: It is not installed.
    """
    try:
        import pyarrow as pa  # noqa: PLC0415
    except ImportError as error:
        raise MissingExtraError(f"{purpose} needs pyarrow: pip install pyarrow") from error
    return pa


def _read_once(stream: BinaryIO, view: memoryview) -> int:
    """Read into ``view`` without waiting for more than the stream has now."""
    read = getattr(stream, "readinto1", None) or stream.readinto  # type: ignore[attr-defined]
    return cast("int", read(view)) or 0
