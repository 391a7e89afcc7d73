"""Atomic and durable writing of files and directories.

Both are written under a temporary name beside their place (`TemporaryNames`), flushed, and renamed;
then the directory around them is flushed. What killed writers of the same output left is removed.

    with replacing("mapping.csv") as stream:
        stream.write(b"...")

    with replacing_directory("stitched", check) as directory:
        (directory / "part-00000.parquet").write_bytes(b"...")
"""

from __future__ import annotations

import errno
import io
import os
import stat
import warnings
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from idmerge._naming import check_local, named
from idmerge.files.exchanging import exchange
from idmerge.files.syncing import sync_directory, sync_file, sync_tree
from idmerge.files.temporary import ATTEMPTS, TAKEN, TemporaryNames, abandoned, discard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import BinaryIO

MOST_LINKS = 40
"""Symbolic links that lead to one another, as many as Linux follows."""
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def replacing(path: str) -> Iterator[BinaryIO]:
    r"""Open a new file that takes the place of ``path`` once the block ends without an error.

    An old file passes on its permissions, of a link the target is replaced. A pipe, a device or a
    descriptor (``/dev/stdout``) is written as it is. ``name`` of the stream is the path of the new
    file, which may also be opened by that.

    Raises:
        OSError: No file can be made there, or the disk is full; the error names ``path``.

    Examples:
        >>> from pathlib import Path
        >>> from idmerge.files import replacing
        >>> with replacing("mapping.csv") as stream:
        ...     _ = stream.write(b"distinct_id,canonical_id\ncrm-17,ana\n")
        >>> Path("mapping.csv").exists()
        True
    """
    status = _checked_status(path)
    if (descriptor := _descriptor(path)) is not None:
        with _naming(path):
            special = os.dup(descriptor)
        with io.BufferedWriter(_Output(special, "wb", path)) as stream:
            yield stream
        return
    if status is not None and not stat.S_ISREG(status.st_mode):
        with io.BufferedWriter(_Output(path, "wb", path)) as stream:
            yield stream
        return
    mode = None if status is None else stat.S_IMODE(status.st_mode)
    permissions = 0o666 if mode is None else mode
    with _names_for(path) as names:
        with io.BufferedWriter(_Output(os.fspath(names.new), "xb", path, permissions)) as stream:
            yield stream
            with _naming(path):
                _flush(stream, names.new)
        with _naming(path):
            if mode is not None:
                names.new.chmod(mode)
            names.new.replace(names.target)
            sync_directory(names.target.parent)


def check_replaceable(path: str) -> None:
    """Raise what `replacing` would raise at once, and leave what is at ``path`` as it is.

    Raises:
        OSError: No file can be made there; the error names ``path``.

    Examples:
        >>> from idmerge.files import check_replaceable
        >>> check_replaceable("mapping.csv")
        >>> try:
        ...     check_replaceable("examples")
        ... except IsADirectoryError as error:
        ...     print(error)
        [Errno 21] Is a directory: 'examples'
    """
    status = _checked_status(path)
    if _descriptor(path) is not None:
        return
    if status is None or stat.S_ISREG(status.st_mode):
        with _names_for(path):
            return
    if not os.access(path, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)


def check_replaceable_directory(path: str, check: Callable[[Path], None]) -> None:
    """Raise what `replacing_directory` would raise at once, and leave what is there as it is.

    Raises:
        OSError: It cannot be made; the error names ``path``.

    Examples:
        >>> from idmerge.files import check_replaceable_directory
        >>> check_replaceable_directory("stitched", lambda directory: None)
    """
    check_local(path)
    _status(path)
    with _names_for(path) as names:
        _checked_mode(names.target, check)


def _checked_status(path: str) -> os.stat_result | None:
    """Return what is at ``path``, which is no directory; None if there is nothing yet.

    Raises:
        OSError: It cannot be known, or is a directory.
    """
    check_local(path)
    status = _status(path)
    if status is not None and stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    return status


@contextmanager
def replacing_directory(path: str, check: Callable[[Path], None]) -> Iterator[Path]:
    r"""Make a new directory that takes the place of ``path`` once the block ends without an error.

    ``check`` is given the directory (or file) that would be replaced, if there is one, and raises
    if it must not be. If a writer was killed between the two renames, the old directory is put back
    first, and a warning says so.

    Raises:
        OSError: It cannot be made, or the disk is full; the error names ``path``.

    Examples:
        >>> from pathlib import Path
        >>> from idmerge.files import replacing_directory
        >>> with replacing_directory("stitched", lambda old: None) as directory:
        ...     _ = (directory / "part-00000.csv").write_bytes(b"distinct_id\nana\n")
        >>> [path.name for path in Path("stitched").iterdir()]
        ['part-00000.csv']
    """
    check_local(path)
    _status(path)
    with _names_for(path) as names:
        mode = _checked_mode(names.target, check)
        with _naming(path):
            names.new.mkdir(0o777 if mode is None else mode | stat.S_IRWXU)
        with _naming(path, names.new):
            yield names.new
            sync_tree(names.new)
        with _naming(path):
            _put_in_place(names, check)
            sync_directory(names.target.parent)


def _checked_mode(target: Path, check: Callable[[Path], None]) -> int | None:
    """Return the permissions of a directory that may be replaced, None if there is none."""
    try:
        mode = stat.S_IMODE(target.lstat().st_mode)
        check(target)
    except FileNotFoundError:  # Another writer may be replacing it.
        return None
    return mode


def _put_in_place(names: TemporaryNames, check: Callable[[Path], None]) -> None:
    """Let the new directory and the old one change places, or rename both, the old one first."""
    for _ in range(ATTEMPTS):
        mode = _checked_mode(names.target, check)
        if mode is not None:
            names.new.chmod(mode)
            if exchange(names.new, names.target):
                return
            with suppress(FileNotFoundError):
                names.target.rename(names.old)
        try:
            names.new.rename(names.target)
        except OSError as error:
            if error.errno not in TAKEN:
                raise
            discard(names.old)  # Another writer was faster; its directory is the one to replace.
        else:
            return
    raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), os.fspath(names.target))


@contextmanager
def _names_for(path: str) -> Iterator[TemporaryNames]:
    """Hold temporary names beside ``path``; what was abandoned there is removed first."""
    target = Path(os.path.realpath(path))  # `Path.resolve` raises RuntimeError at links in a circle.
    for left in abandoned(target):
        with _naming(path):
            is_restored = left.restore()
        left.remove()
        if is_restored:
            warnings.warn(
                f"{named(path)}: a writer was killed while it replaced this directory, of which the old one "
                "was put back",
                stacklevel=5,
            )
    with _naming(path):
        names = TemporaryNames.beside(target)
    try:
        yield names
    finally:
        names.remove()


def _status(path: str) -> os.stat_result | None:
    """Return what is at ``path``, behind links; None if there is nothing yet.

    Raises:
        OSError: It cannot be known, or the directory is not there.
    """
    try:
        return os.stat(path)  # noqa: PTH116
    except FileNotFoundError:
        if not path:
            raise
        return None


def _descriptor(path: str) -> int | None:
    """Return the process's descriptor that ``path`` names, as ``/dev/stdout`` does, or None."""
    for _ in range(MOST_LINKS):
        directory = os.path.realpath(os.path.dirname(path))  # noqa: PTH120
        name = os.path.basename(path)  # noqa: PTH119
        if directory in ("/dev/fd", f"/proc/{os.getpid()}/fd") and name.isdecimal():
            return int(name)
        try:
            path = os.path.join(directory, os.readlink(path))  # noqa: PTH115, PTH118
        except OSError:
            return None
    return None


class _Output(io.FileIO):
    """A file whose errors name the output, not the temporary file."""

    def __init__(self, place: str | int, mode: str, output: str, permissions: int = 0o666) -> None:
        self._output = output

        def opener(path: str, flags: int) -> int:
            # The owner may write until the file is renamed; others never get more rights than at
            # the end.
            return os.open(path, flags, permissions | stat.S_IRUSR | stat.S_IWUSR)

        with _naming(output):
            super().__init__(place, mode, opener=None if isinstance(place, int) else opener)

    def write(self, content: Any, /) -> int:
        """Write some of ``content`` and return how much."""
        try:
            return super().write(content)
        except OSError as error:
            raise OSError(error.errno, error.strerror, self._output) from error

    def close(self) -> None:
        """Close the file."""
        with _naming(self._output):
            super().close()


def _flush(stream: io.BufferedWriter[Any], place: Path) -> None:
    if stream.closed:
        sync_file(place)
        return
    stream.flush()
    os.fsync(stream.fileno())


@contextmanager
def _naming(path: str, of: Path | None = None) -> Iterator[None]:
    """Let errors of the system name ``path``; given ``of``, only those that concern that directory.

    Libraries that write there may not say where the disk is full.
    """
    try:
        yield
    except OSError as error:
        if error.errno is None:
            raise
        place = os.fspath(error.filename) if isinstance(error.filename, (str, Path)) else None
        if of is not None:
            is_of = error.errno in _FULL if place is None else place.startswith(os.fspath(of))
            if not is_of:
                raise
        raise OSError(error.errno, os.strerror(error.errno), path) from error
