"""Files that are there whole or not at all."""

from __future__ import annotations

import errno
import os
import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO


@contextmanager
def replacing(path: str) -> Iterator[BinaryIO]:
    """Open a new file beside ``path`` that takes its place once the block ends without an error.

    An old file passes on its permissions; a pipe or a device is written as it is.

    Raises:
        OSError: No file can be made there; the error names ``path``.
    """
    target = Path(path).resolve()
    if target.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    if target.exists() and not target.is_file():
        with target.open("wb") as special:
            yield special
        return
    beside = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        stream = beside.open("xb")
    except OSError as error:
        raise OSError(error.errno, error.strerror, path) from error
    if target.exists():
        shutil.copymode(target, beside)
    try:
        with stream:
            yield stream
        beside.replace(target)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
