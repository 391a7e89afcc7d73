"""The store of profiles: loading gives what was saved, or an error that says what to do."""

from __future__ import annotations

import json
import os
import sys
import tracemalloc
from hashlib import blake2b
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benches.campaigns.store import content, damage, kill, profiles
from idmerge import Profiles, Resolver
from idmerge.errors import FileFormatError, StoreError
from idmerge.profiles.store import read_store, sole_writer, write_store

_texts = st.text(st.one_of(st.characters(), st.characters(categories=["Cs"]), st.just("\0")), max_size=6)
_numbers = st.one_of(st.integers(-(2**1000), 2**1000), st.floats(allow_nan=False, allow_infinity=False))
_values = st.recursive(
    st.one_of(st.none(), st.booleans(), _numbers, _texts),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(_texts, inner, max_size=3)),
    max_leaves=8,
)


def sealed(value: Any) -> str:
    """A line as a store has it."""
    text = json.dumps(value)
    return f'{text[:-1]}, "$crc32": "{crc32(text.encode()):08x}"}}\n'


def store_of(*lines: Any) -> str:
    """A store of these lines, whose end belongs to them."""
    text = "".join(map(sealed, [{"idmerge_profiles": 1}, *lines]))
    digest = blake2b(text.encode(), digest_size=16).hexdigest()
    return text + sealed({"profiles": len(lines), "$blake2b": digest})


def line_of(own: str, **properties: Any) -> dict[str, Any]:
    return {"$distinct_id": own, "$ignore_alias": True, "$set": properties}


# The laws


@given(st.lists(st.dictionaries(_texts, _values, max_size=4), max_size=4))
def test_every_json_value_is_loaded_as_it_was_saved(
    tmp_path_factory: pytest.TempPathFactory, stored: list[dict[str, Any]]
) -> None:
    path = tmp_path_factory.mktemp("store") / "p"
    saved = Profiles(Resolver())
    for number, properties in enumerate(stored):
        saved.update({"$distinct_id": f"{number}\0", "$set": properties})
    saved.save(path)
    loaded = Profiles.load(path, Resolver())
    assert content(loaded) == content(saved)
    again = path.with_name("again")
    loaded.save(again)
    assert again.read_bytes() == path.read_bytes()


def test_the_same_profiles_are_the_same_bytes_however_they_came(tmp_path: Path) -> None:
    at_once, one_by_one = Profiles(Resolver()), Profiles(Resolver())
    values = ["😀", "\ud83d\ude00", *range(40)]
    at_once.update({"$distinct_id": "u", "$set": {"list": values}})
    for value in [0, *values, 0]:
        one_by_one.update({"$distinct_id": "u", "$union": {"list": [value]}})
    one_by_one.update({"$distinct_id": "u", "$remove": {"list": 0}})
    at_once.update({"$distinct_id": "u", "$remove": {"list": 0}})
    for name, held in (("a", at_once), ("b", one_by_one)):
        held.save(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert len((Profiles.load(tmp_path / "a", Resolver()).get("u") or {})["list"]) == 41


def test_a_damaged_store_is_an_error_or_exactly_what_was_saved(tmp_path: Path) -> None:
    counts, wrong = damage(300, tmp_path, seed=1)
    assert wrong == []
    assert counts["flip: refused"] == 300
    assert counts["cut: refused"] > 1000
    assert counts["line: refused"] > 200


@pytest.mark.skipif(sys.platform == "win32", reason="nobody can be killed by a signal there")
def test_after_a_kill_or_beside_another_run_a_store_holds_whole_runs(tmp_path: Path) -> None:
    counts, wrong = kill(4, tmp_path, seed=2)
    assert wrong == []
    assert (counts["kills"], counts["pairs"]) == (4, 1)


# Files that are no stores, each with its way out


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", ": the file is empty, and so no store of profiles; remove it to begin a new store"),
        ("\n", ": the file is no store of profiles; name one that Profiles.save or"),
        ("SQLite format 3\0", ": the file is no store of profiles"),
        ("x" * 10_000, ": the file is no store of profiles"),
        (json.dumps(line_of("u")) + "\n", ": the file holds updates, or profiles saved without checksums"),
        (sealed({"idmerge_profiles": 2}), ": the store has form 2, and this version of idmerge reads form 1"),
        (sealed({"idmerge_profiles": 1})[:-1], ":1: the file is cut off here; get a whole copy"),
        ('{"idmerge_profiles": ' + "1" * 5000, ":1: the file is cut off here"),
        (sealed({"idmerge_profiles": 1}).replace("1", "3", 1), ":1: the line is damaged"),
        (sealed({"idmerge_profiles": 1}), ": the file is cut off after 0 profiles; get a whole copy"),
        (store_of(line_of("u"))[:-1], ":3: the file is cut off here"),
        (store_of() + "\n", ":3: the file goes on behind its end"),
        (store_of() + store_of(), ":3: the file goes on behind its end"),
        (store_of(line_of("u"), line_of("v", a=1), line_of("u")), ":4: 'u' has a profile above already"),
        (store_of({"$distinct_id": "u", "$set": {}}), ":2: the line is an update, and no profile"),
        (store_of({**line_of("u"), "$add": {}}), ":2: the line is an update, and no profile"),
        (store_of({"$distinct_id": "u", "$ignore_alias": True, "$set": 5}), ":2: $set must be an object"),
        (store_of(line_of("u", a=float("nan"))), ":2: a number must be finite"),
        (store_of(line_of("u", a=1)).replace('"a": 1', '"a": 2'), ":2: the line is damaged: its checksum is"),
        (
            store_of(line_of("u")).replace('"profiles": 1', '"profiles": 2'),
            ":3: the line is damaged: its checksum is",
        ),
        (
            store_of(line_of("u"), line_of("v")).replace(sealed(line_of("u")), ""),
            ":3: the lines above are not those that were saved",
        ),
    ],
)
def test_a_file_that_is_damaged_or_no_store_is_not_loaded(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "profiles"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(FileFormatError) as caught:
        Profiles.load(path, Resolver())
    assert str(caught.value).startswith(f"{path}{message}")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < len(str(path)) + 500


def test_a_store_written_by_hand_is_loaded_as_the_form_says(tmp_path: Path) -> None:
    path = tmp_path / "profiles"
    path.write_text(store_of(line_of("u", a=[1, 1.0, True])), encoding="utf-8")
    loaded = Profiles.load(path, Resolver())
    assert repr(loaded.get("u")) == "{'a': [1, 1.0, True]}"
    loaded.save(path)
    assert path.read_text(encoding="utf-8") == store_of(line_of("u", a=[1, 1.0, True]))


def test_what_is_no_json_is_not_saved(tmp_path: Path) -> None:
    with (tmp_path / "p").open("wb") as stream, pytest.raises(ValueError, match="not JSON compliant"):
        write_store(stream, [("u", {"a": float("nan")})])


# Writers


def test_who_has_loaded_a_store_that_was_changed_since_does_not_save_over_it(tmp_path: Path) -> None:
    path = tmp_path / "kept"
    first = Profiles.load(path, Resolver(), missing_ok=True)
    first.update({"$distinct_id": "u", "$add": {"n": 1}})
    first.save(path)
    first.save(path)
    second = Profiles.load(path, Resolver())
    first.update({"$distinct_id": "u", "$add": {"n": 1}})
    first.save(path)
    second.update({"$distinct_id": "u", "$add": {"n": 1}})
    with pytest.raises(StoreError, match="was changed by somebody else since it was loaded; load it again"):
        second.save(path)
    second.save(tmp_path / "other")
    assert Profiles.load(path, Resolver()).get("u") == {"n": 2}
    path.unlink()
    with pytest.raises(StoreError):
        first.save(path)
    with pytest.raises(FileNotFoundError):
        Profiles.load(path, Resolver())


def test_a_store_has_one_writer_until_the_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "kept"
    with sole_writer(path), pytest.raises(StoreError, match=f"process {os.getpid()} .*; wait for its end"):  # noqa: SIM117
        with sole_writer(path):
            pass
    with sole_writer(path):
        pass
    with pytest.raises(FileNotFoundError) as caught, sole_writer(tmp_path / "no" / "kept"):
        pass
    assert caught.value.filename == str(tmp_path / "no" / "kept")


@pytest.mark.skipif(sys.platform == "win32", reason="links and permissions are of another kind there")
def test_a_link_and_permissions_stay(tmp_path: Path) -> None:
    path, link = tmp_path / "kept", tmp_path / "link"
    profiles(2).save(path)
    path.chmod(0o600)
    link.symlink_to(path)
    loaded = Profiles.load(link, Resolver())
    loaded.update({"$distinct_id": "new", "$set": {}})
    loaded.save(link)
    assert link.is_symlink()
    assert path.stat().st_mode & 0o777 == 0o600
    assert "new" in Profiles.load(path, Resolver())


def test_reading_and_writing_hold_one_line_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "kept"
    made = ((f"{number}", {"text": "x" * 10_000}) for number in range(2000))
    tracemalloc.start()
    with path.open("wb") as stream:
        write_store(stream, made)
    with path.open("rb") as stream:
        read_store("kept", stream, lambda _own, _profile: None)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert path.stat().st_size > 20_000_000
    assert peak < 2_000_000
