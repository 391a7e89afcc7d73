"""The file of stored profiles: a line with a checksum each, between a header and an end.

    {"idmerge_profiles": 1, "$crc32": "…"}
    {"$distinct_id": "ana", "$ignore_alias": true, "$set": {"plan": "pro"}, "$crc32": "…"}
    {"profiles": 1, "$blake2b": "…", "$crc32": "…"}

1. Each line ends with the CRC-32 of what stands before it, so a damaged line is found and has a
   number.
2. The end has the number of profiles and the BLAKE2b digest of all lines before it, so a file that
   was cut off, or put together from others, is no store.
3. Equal profiles in the same order are the same bytes.
4. A line is an update that makes its profile under that very ID, so a store is a file of updates,
   too.

Reading and writing take one line at a time. A profile, and so its line, is held whole, of whatever
length.
"""

from __future__ import annotations

import json
import os
import re
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO
from zlib import crc32

from idmerge._naming import check_local
from idmerge.errors import FileFormatError, JournalError, MalformedUpdateError, StoreError
from idmerge.journal.lock import WriterLock
from idmerge.profiles.updates import Profile, stated_update

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

FORM = 1
"""The version of the form; a reader refuses a later one."""

_SEAL = b', "$crc32": "%08x"}\n'
_SEAL_LENGTH = len(_SEAL % 0)
_HEADER, _END = b'{"idmerge_profiles": ', b'{"profiles": '
_LONGEST_HEADER = 1024
_DIGEST_BYTES = 16

_SURROGATES = re.compile(r"\\ud[89ab][0-9a-f]{2}\\ud[c-f]")
"""Two escapes that stand for one character, or for two halves that must stay apart."""
_WHOLE_COPY = "get a whole copy of the file, or name another store and apply all updates to that"


def write_store(stream: BinaryIO, profiles: Iterable[tuple[str, Profile]]) -> bytes:
    """Write a store of ``profiles``, by ID, and return its last line.

    Raises:
        ValueError: A value is no JSON; it cannot have come through an update.
    """
    return write_texts(stream, (text_of(distinct_id, profile) for distinct_id, profile in profiles))


def text_of(distinct_id: str, profile: Profile) -> bytes:
    """Return the text of a profile's line: an update that makes it.

    Raises:
        ValueError: A value is no JSON.
    """
    return json_text({"$distinct_id": distinct_id, "$ignore_alias": True, "$set": profile})


def write_texts(stream: BinaryIO, texts: Iterable[bytes]) -> bytes:
    """Write a store of profiles, each of which is the ``text_of`` one, and return its last line."""
    digest = blake2b(digest_size=_DIGEST_BYTES)
    count = 0

    def write(text: bytes) -> None:
        line = sealed(text)
        digest.update(line)
        stream.write(line)

    write(b"%b%d}" % (_HEADER, FORM))
    for text in texts:
        count += 1
        write(text)
    end = sealed(b'%b%d, "$blake2b": "%b"}' % (_END, count, digest.hexdigest().encode()))
    stream.write(end)
    return end


def read_store(name: str, stream: BinaryIO, add: Callable[[str, Profile], None]) -> bytes:
    """Hand each profile of the store ``name`` to ``add``, and return its last line.

    Whatever was added counts for nothing if this raises.

    Raises:
        FileFormatError: It is no store, damaged, cut off, or of a later form; the message names the
            file, the line, and the way out.
    """
    seen: set[str] = set()
    text = b""
    for number, text in enumerate(read_texts(name, stream), 2):
        if text.startswith(_END):
            break
        place = f"{name}:{number}"
        distinct_id, profile = _profile(place, text)
        if distinct_id in seen:
            raise FileFormatError(f"{place}: {distinct_id!r:.100} has a profile above already; {_WHOLE_COPY}")
        seen.add(distinct_id)
        add(distinct_id, profile)
    return sealed(text)


def read_texts(name: str, stream: BinaryIO) -> Iterator[bytes]:
    """Yield the text of each line of the store ``name`` behind its header, the end's too.

    That an ID has one line is not checked.

    Raises:
        FileFormatError: As `read_store`; whatever was yielded counts for nothing then.
    """
    line = stream.readline(_LONGEST_HEADER)
    _check_header(name, line)
    digest = blake2b(line, digest_size=_DIGEST_BYTES)
    count = 0
    for number, line in enumerate(stream, 2):
        place = f"{name}:{number}"
        text = unsealed(place, line)
        if text.startswith(_END):
            stated = b'%b%d, "$blake2b": "%b"}' % (_END, count, digest.hexdigest().encode())
            if text != stated:
                raise FileFormatError(
                    f"{place}: the lines above are not those that were saved; {_WHOLE_COPY}"
                )
            if stream.read(1):
                raise FileFormatError(f"{name}:{number + 1}: the file goes on behind its end; {_WHOLE_COPY}")
            yield text
            return
        count += 1
        digest.update(line)
        yield text
    raise FileFormatError(f"{name}: the file is cut off after {count} profiles; {_WHOLE_COPY}")


def last_line(path: str) -> bytes | None:
    """Return the last line of the store at ``path``, unique to its state; None without one.

    What is no regular file has none.
    """
    try:
        if not Path(path).is_file():
            return None
        with open(path, "rb") as stream:  # noqa: PTH123
            stream.seek(0, os.SEEK_END)
            stream.seek(max(0, stream.tell() - _LONGEST_HEADER))
            return _END + stream.read().rpartition(_END)[2]
    except FileNotFoundError:
        return None


@contextmanager
def sole_writer(path: str | os.PathLike[str]) -> Iterator[None]:
    """Hold the lock of the store ``path``, to load it, change it and save it.

    It ends with the block, or with the process. The lock is a file beside the store, which stays.

    Raises:
        StoreError: Another process has it; the message says which.
        OSError: No file can be made there; the error names ``path``.
    """
    check_local(path)
    try:
        lock = WriterLock(Path(path).resolve(), "a store of profiles")
    except JournalError as error:
        raise StoreError(f"{error}; wait for its end, or name another store") from error
    except OSError as error:
        raise OSError(error.errno, error.strerror, os.fspath(path)) from error
    try:
        yield
    finally:
        lock.release()


def json_text(value: Any) -> bytes:
    """Return ``value`` as JSON: ASCII, unless that would join two surrogates into one character."""
    text = json.dumps(value, allow_nan=False)
    if _SURROGATES.search(text) and json.loads(text) != value:
        return json.dumps(value, allow_nan=False, ensure_ascii=False).encode("utf-8", "surrogatepass")
    return text.encode()


def sealed(text: bytes, before: int = 0) -> bytes:
    """Return the line of a JSON object: its text and a checksum as the last member.

    The checksum is also over what has the checksum ``before``.
    """
    return text[:-1] + _SEAL % crc32(text, before)


def unsealed(place: str, line: bytes, before: int = 0) -> bytes:
    """Return the text of a line, after checking its checksum.

    Raises:
        FileFormatError: It is wrong.
    """
    if not line.endswith(b"\n"):
        raise FileFormatError(f"{place}: the file is cut off here; {_WHOLE_COPY}")
    text = line[:-_SEAL_LENGTH] + b"}"
    if line[-_SEAL_LENGTH:] != _SEAL % crc32(text, before):
        raise FileFormatError(f"{place}: the line is damaged: its checksum is wrong; {_WHOLE_COPY}")
    return text


def _check_header(name: str, line: bytes) -> None:
    """Raise the error that says what a file is, unless ``line`` begins a store that can be read."""
    if not line:
        raise FileFormatError(
            f"{name}: the file is empty, and so no store of profiles; remove it to begin a new store"
        )
    if line.startswith(b'{"$distinct_id"'):
        raise FileFormatError(
            f"{name}: the file holds updates, or profiles saved without checksums, where nothing shows "
            "whether some are missing; if it is whole, apply it to a new store: "
            f"idmerge profiles {name} --journal PATH --store NEW"
        )
    if not line.startswith(_HEADER):
        raise FileFormatError(
            f"{name}: the file is no store of profiles; name one that Profiles.save or "
            "idmerge profiles --store wrote, or a new file"
        )
    form = unsealed(f"{name}:1", line)[len(_HEADER) : -1]
    if form != b"%d" % FORM:
        raise FileFormatError(
            f"{name}: the store has form {form.decode('ascii', 'replace')}, and this version of idmerge "
            f"reads form {FORM}; install a later one"
        )


def _profile(place: str, text: bytes) -> tuple[str, Profile]:
    """Return the ID and the profile of a line."""
    try:
        stated = stated_update(text)
    except MalformedUpdateError as error:
        raise FileFormatError(f"{place}: {error}") from error
    if not stated.exactly or list(stated.operations) != ["$set"]:
        raise FileFormatError(f"{place}: the line is an update, and no profile that was saved")
    return stated.distinct_id, stated.operations["$set"]
