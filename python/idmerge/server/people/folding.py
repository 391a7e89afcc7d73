"""A new store of profiles, made of the last one and the updates since, from the files alone.

Profiles that no update names are copied as they are. Memory: the updates' IDs and the profiles that
they name.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from idmerge._json_decoding import decoded
from idmerge.files import replacing
from idmerge.profiles import Profiles
from idmerge.profiles.store import read_texts, text_of, write_texts
from idmerge.server.people import updatefile
from idmerge.server.people.resolving import Unlinked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

_ID, _BEHIND_ID = b'{"$distinct_id": ', b', "$ignore_alias": true'
"""What stands before and behind the ID; within the ID a quotation mark has a backslash."""


def fold(store: Path | None, updates: Iterable[Path], into: Path, check: Callable[[], None]) -> None:
    """Write the store ``into``, whole or not at all.

    Args:
        store: The store before the updates; None for no profiles.
        updates: Files of which every group counts.
        into: The new store.
        check: Is called often, and may raise to end the work.

    Raises:
        FileFormatError: A file is damaged.
        OSError: A file cannot be read or written.
    """
    lines = [line for path in updates for group in updatefile.read(path)[1] for line in group.updates]
    named = {_id_in(line) for line in lines}
    profiles = Profiles(Unlinked())
    for text in _texts(store, check):
        if _id_in(text) in named:
            profiles.update(text)
    for line in lines:
        check()
        profiles.update(line)
    del lines

    def texts() -> Iterator[bytes]:
        written = set()
        for text in _texts(store, check):
            own = _id_in(text)
            if own not in named:
                yield text
            elif (profile := profiles.get(own)) is not None:
                written.add(own)
                yield text_of(own, profile)
        for own in profiles:
            if own not in written:
                yield text_of(own, profiles.get(own) or {})

    with replacing(os.fspath(into)) as stream:
        write_texts(stream, texts())


def _texts(store: Path | None, check: Callable[[], None]) -> Iterator[bytes]:
    """Yield the text of each profile in a store."""
    if store is None:
        return
    with store.open("rb") as stream:
        for text in read_texts(os.fspath(store), stream):
            check()
            if text.startswith(_ID):
                yield text


def _id_in(text: bytes) -> str:
    """Return the ID in the text of an update."""
    own = text[len(_ID) : text.index(_BEHIND_ID)]
    if b"\\" not in own:  # Nearly every ID. Decoding each took 3.5 s of a fold, this 1.9.
        return own[1:-1].decode("utf-8", "surrogatepass")
    escaped: str = decoded(own)
    return escaped
