"""The links that the benchmarks resolve: what a large site's identity events look like.

About N distinct IDs and 1.5 N links in random order: users with one to four devices each and a tail
up to 400, every device linked by `$identify`, half of the links sent again by a later login, 2 % of
the IDs aliases, 0.5 % of the later links a device that another user has claimed. Seeded: the same N
gives the same links everywhere.

They are made as numbers first and become text last, so that ten million IDs take seconds, and so
that peers which know no text can have the numbers.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from idmerge import Kind

if TYPE_CHECKING:
    from numpy.typing import NDArray

MILLION_LINKS = 666_667
"""Distinct IDs, of which a million links are made."""
SMALL = 10_000
"""Distinct IDs where nothing is timed."""
_CONFLICTS = 0.005
_ALIASES = 0.02
_LINKS_AN_ID = 1.5
_SIZES = (2, 2, 2, 3, 3, 3, 4, 4, 5)
_TAIL = 0.001
_LONGEST_TAIL = 400
_FORM = 1
"""Counts up when the same N and seed come to mean other links."""


class Links(NamedTuple):
    """Links as three columns of Python objects."""

    kinds: list[Kind]
    left: list[str]
    right: list[str]


class Columns(NamedTuple):
    """Links as columns, the same IDs as numbers, and what each number means."""

    kinds: NDArray[np.uint8]
    left: pa.Array
    right: pa.Array
    left_numbers: NDArray[np.uint32]
    right_numbers: NDArray[np.uint32]
    ids: pa.Array
    """Every distinct ID once, at its number."""

    def links(self) -> Links:
        """Return the same links as Python objects, a str of its own for each operand."""
        of_code = {int(kind): kind for kind in Kind}
        kinds = [of_code[code] for code in self.kinds.tolist()]
        return Links(kinds, self.left.to_pylist(), self.right.to_pylist())


def links(distinct_ids: int, seed: int = 0) -> Links:
    """Return about ``1.5 * distinct_ids`` links between about ``distinct_ids`` IDs."""
    return columns(distinct_ids, seed).links()


def columns(distinct_ids: int, seed: int = 0) -> Columns:
    """Return about ``1.5 * distinct_ids`` links between about ``distinct_ids`` IDs, as columns."""
    rng = np.random.default_rng(seed)
    sizes = _sizes(rng, distinct_ids)
    users, known = len(sizes), int(sizes.sum())
    owners = np.repeat(np.arange(users, dtype=np.uint32), sizes - 1)
    others = np.arange(users, known, dtype=np.uint32)  # A number for each device and alias.
    is_alias = rng.random(len(others)) < _ALIASES
    ids = _texts(rng, users, owners, is_alias)

    again = int(_LINKS_AN_ID * known) - len(others)
    repeated = rng.integers(0, len(others), int(again * (1 - _CONFLICTS)))
    conflicting = rng.choice(np.flatnonzero(~is_alias), int(again * _CONFLICTS))
    stated = np.concatenate([np.arange(len(others)), repeated, conflicting])
    right = owners[stated]
    right[len(stated) - len(conflicting) :] = rng.integers(0, users, len(conflicting))
    order = rng.permutation(len(stated))
    stated, right = stated[order], right[order]
    kinds = np.where(is_alias[stated], Kind.ALIAS, Kind.IDENTIFY).astype(np.uint8)
    left = others[stated]
    return Columns(kinds, ids.take(pa.array(left)), ids.take(pa.array(right)), left, right, ids)


def _sizes(rng: np.random.Generator, distinct_ids: int) -> NDArray[np.int64]:
    """Draw each user's number of IDs until there are ``distinct_ids``."""
    most_users = distinct_ids // min(_SIZES) + 1
    sizes = rng.choice(_SIZES, most_users)
    in_tail = rng.random(most_users) < _TAIL
    sizes[in_tail] = rng.integers(6, _LONGEST_TAIL, int(in_tail.sum()), endpoint=True)
    return sizes[: int(np.searchsorted(np.cumsum(sizes), distinct_ids)) + 1]


def _texts(
    rng: np.random.Generator, users: int, owners: NDArray[np.uint32], is_alias: NDArray[np.bool_]
) -> pa.Array:
    """Return the text of every user, then of every device or alias, in the order of numbers."""
    devices = uuids4(rng, int((~is_alias).sum()))
    of_user = pc.cast(pa.array(owners[is_alias]), pa.string())
    drawn = pc.cast(pa.array(rng.integers(0, 2**32, len(of_user), dtype=np.uint32)), pa.string())
    aliases = joined("alias_", of_user, "_", drawn, "@example.com")
    names = joined("user_", pc.cast(pa.array(np.arange(users)), pa.string()))
    place = np.where(is_alias, len(devices) + np.cumsum(is_alias), np.cumsum(~is_alias)) - 1
    others = pa.concat_arrays([devices, aliases]).take(pa.array(place))
    return pa.concat_arrays([names, others])


def joined(*parts: str | pa.Array) -> pa.Array:
    """Return the parts of each row as one text."""
    return pc.binary_join_element_wise(*parts, "")


def uuids4(rng: np.random.Generator, count: int) -> pa.Array:
    """Return ``count`` random UUIDs of version 4, in lower case, as a column of text."""
    return texts_of_uuids4(rng.integers(0, 256, (count, 16), dtype=np.uint8))


def texts_of_uuids4(drawn: NDArray[np.uint8]) -> pa.Array:
    """Return UUIDs of version 4, of sixteen drawn bytes each with some bits overwritten."""
    count = len(drawn)
    drawn[:, 6] = drawn[:, 6] & 0x0F | 0x40
    drawn[:, 8] = drawn[:, 8] & 0x3F | 0x80
    digits = np.frombuffer(b"0123456789abcdef", np.uint8)
    text = np.full((count, 36), ord("-"), np.uint8)
    places = [place for place in range(36) if place not in (8, 13, 18, 23)]
    text[:, places[::2]] = digits[drawn >> 4]
    text[:, places[1::2]] = digits[drawn & 15]
    offsets = np.arange(0, 36 * count + 1, 36, dtype=np.int32)
    return pa.Array.from_buffers(pa.string(), count, [None, pa.py_buffer(offsets), pa.py_buffer(text)])


def cached_columns(distinct_ids: int, seed: int = 0) -> Columns:
    """Return `columns` from a file in the temporary folder, which is made if it is not there.

    What is returned lies in memory, read and touched: no peer pays for the reading.
    """
    folder = Path(tempfile.gettempdir()) / "idmerge-benches"
    links_file, ids_file = (
        folder / f"{what}-{_FORM}-{distinct_ids}-{seed}.arrow" for what in ("links", "ids")
    )
    if not links_file.exists():
        folder.mkdir(exist_ok=True)
        made = columns(distinct_ids, seed)
        _write(ids_file, [made.ids])
        _write(links_file, [pa.array(column) for column in made[:-1]])
    kinds, left, right, left_numbers, right_numbers = _read(links_file)
    (ids,) = _read(ids_file)
    numbers = left_numbers.to_numpy(), right_numbers.to_numpy()
    return Columns(kinds.to_numpy(), left, right, *numbers, ids)


def _write(path: Path, made: list[pa.Array]) -> None:
    """Write columns as one batch, whole or not at all."""
    batch = pa.record_batch(made, names=[str(number) for number in range(len(made))])
    beside = path.with_suffix(f".{os.getpid()}.tmp")
    with pa.OSFile(str(beside), "wb") as file, pa.ipc.new_file(file, batch.schema) as writer:
        writer.write_batch(batch)
    beside.replace(path)


def _read(path: Path) -> list[pa.Array]:
    with pa.OSFile(str(path)) as file, pa.ipc.open_file(file) as reader:
        return list(reader.get_batch(0).columns)
