"""Temporary files beside an output, and removal of those of killed writers.

An output ``out`` is written under names of its own, where X is random:

    .out.idmerge-X.lock   says which output it belongs to; made first, removed last
    .out.idmerge-X.new    the output while it is written: a file or a directory
    .out.idmerge-X.old    the directory that is replaced, between two renames

# Invariants

1. The writer holds a lock (``flock``) on ``.lock`` as long as the other two may exist. The system
   releases it when the writer dies, so names whose lock can be taken are abandoned.
2. Only names whose ``.lock`` names the output are removed. Its lock is held meanwhile.
3. ``.old`` is never removed while there is nothing at ``out``: it is put back there.
4. Without ``flock`` (Windows, some network file systems) nothing is taken for abandoned.

On a network file system that keeps locks to each machine (NFS with ``local_lock``) a writer is
protected from those on its own machine only.
"""

from __future__ import annotations

import errno
import io
import json
import os
import re
import shutil
import stat
import weakref
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

try:
    import fcntl
except ImportError:  # pragma: no cover - Windows
    fcntl = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import Self

ATTEMPTS = 100
TAKEN = (errno.ENOTEMPTY, errno.EEXIST)
"""Errors of a rename to where a directory is."""
LONGEST_NAME = 255
"""Bytes of a file's name."""
_RANDOM = 8
_REST = re.compile(rf"\.idmerge-[0-9a-f]{{{2 * _RANDOM}}}\.lock")
_ADDED = len("..idmerge-.lock") + 2 * _RANDOM
_HELD = (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES)
_FLAGS = os.O_RDWR | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)


class _Paths(NamedTuple):
    target: Path
    lock: Path
    new: Path
    old: Path


class TemporaryNames:
    """The names beside an output that belong to one writer, until `remove` or until it is gone."""

    def __init__(self, target: Path, lock: Path, held: io.FileIO | None = None) -> None:
        self._paths = _Paths(target, lock, lock.with_suffix(".new"), lock.with_suffix(".old"))
        self._held = [] if held is None else [held]
        self._process = os.getpid()
        # Cleans up after an interrupt at a moment that no `finally` covers, too.
        self._finalizer = weakref.finalize(self, _finish, self._paths, self._held, self._process)

    @classmethod
    def beside(cls, target: Path) -> Self:
        """Return new names beside ``target``.

        Raises:
            OSError: No file can be made there.
        """
        prefix = _prefix(target)
        for _ in range(ATTEMPTS):
            names = cls(target, target.with_name(f"{prefix}.idmerge-{os.urandom(_RANDOM).hex()}.lock"))
            try:
                if names._is_made():
                    return names
            except BaseException as error:
                if isinstance(error, FileExistsError):
                    names._finalizer.detach()
                    continue
                names.remove()
                raise
            names.remove()
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), os.fspath(target))

    def _is_made(self) -> bool:
        """Make the lock and return whether it is held."""
        self._held.append(_opened(self._paths.lock, os.O_CREAT | os.O_EXCL))
        # A writer that takes the empty lock for abandoned holds it by now, or has removed it.
        if _try_lock(self._held[0]) is False or not _has_name(self._held[0], self._paths.lock):
            return False
        self._held[0].write(_label(self._paths.target))
        return True

    @property
    def target(self) -> Path:
        """The place of the output."""
        return self._paths.target

    @property
    def new(self) -> Path:
        """The output while it is written."""
        return self._paths.new

    @property
    def old(self) -> Path:
        """The directory that is replaced, between two renames."""
        return self._paths.old

    def restore(self) -> bool:
        """Put back an old directory that nothing has replaced; return whether there was one.

        Raises:
            OSError: The system does not allow it.
        """
        return _restore(self._paths)

    def remove(self) -> None:
        """Remove what is there of the three names, and let go of the lock.

        An old directory that nothing has replaced is put back. What cannot be removed is left to
        the next writer.
        """
        _finish(self._paths, self._held, self._process)
        self._finalizer.detach()


def abandoned(target: Path) -> Iterator[TemporaryNames]:
    """Yield the names that dead writers to ``target`` left; they are the caller's to remove."""
    if fcntl is None:
        return
    prefix = _prefix(target)
    try:
        with os.scandir(target.parent) as entries:
            locks = [
                target.with_name(entry.name)
                for entry in entries
                if entry.name.startswith(prefix) and _REST.fullmatch(entry.name, len(prefix))
            ]
    except OSError:
        return  # A directory that may be written, and not read.
    for lock in locks:
        held = None
        with suppress(OSError):  # Another writer was faster, or the file is another user's.
            held = _adopted(lock, _label(target))
        if held is not None:
            yield TemporaryNames(target, lock, held)


def discard(path: Path) -> None:
    """Remove the file, link or whole directory at ``path``, if there is one.

    Raises:
        OSError: The system does not let go of it.
    """
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _prefix(target: Path) -> str:
    """Return the beginning of the names: that of the output, cut if they would be too long."""
    name = target.name
    while len(os.fsencode(name)) > LONGEST_NAME - _ADDED:
        name = name[:-1]
    return f".{name}"


def _label(target: Path) -> bytes:
    return json.dumps({"temporary names of": target.name}).encode() + b"\n"


def _adopted(lock: Path, label: bytes) -> io.FileIO | None:
    """Return the stream that holds an abandoned lock, or None if it is another's.

    A writer that was killed at once has written less than the whole label, and nothing else.
    """
    held = _opened(lock, 0)
    try:
        status = os.fstat(held.fileno())
        is_own = status.st_uid == os.geteuid() and status.st_size <= len(label)
        if is_own and _try_lock(held) and _has_name(held, lock) and label.startswith(held.readall()):
            return held
    except BaseException:
        held.close()
        raise
    held.close()
    return None


def _opened(lock: Path, flags: int) -> io.FileIO:
    return io.FileIO(os.open(lock, _FLAGS | flags, 0o600), "r+b")


def _try_lock(held: io.FileIO) -> bool | None:
    """Return whether the lock was taken: False if another has it, None without locks."""
    if fcntl is None:
        return None
    try:
        fcntl.flock(held.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return False if error.errno in _HELD else None
    return True


def _has_name(held: io.FileIO, lock: Path) -> bool:
    """Return whether the file that is held is a regular one, and still has its name."""
    try:
        status = os.lstat(lock)
    except FileNotFoundError:
        return False
    return stat.S_ISREG(status.st_mode) and os.path.samestat(status, os.fstat(held.fileno()))


def _restore(paths: _Paths) -> bool:
    if not os.path.lexists(paths.old) or os.path.lexists(paths.target):
        return False
    try:
        paths.old.rename(paths.target)
    except OSError as error:
        if error.errno in TAKEN:  # Another writer's directory is there by now.
            return False
        raise
    return True


def _finish(paths: _Paths, held: list[io.FileIO], process: int) -> None:
    if fcntl is None:  # Windows removes no file that is open.
        _close(held)
    if os.getpid() == process:  # A fork has the names of its parent, not its own.
        with suppress(OSError):
            _restore(paths)
            discard(paths.new)
            discard(paths.old)
            paths.lock.unlink(missing_ok=True)
    _close(held)


def _close(held: list[io.FileIO]) -> None:
    for stream in held:
        stream.close()
