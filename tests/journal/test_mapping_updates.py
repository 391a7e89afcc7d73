"""Updates of a mapping since a cursor: applied in order, they give the mapping itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from benches.support.sink_rows import mapping, once
from idmerge import DurableResolver
from idmerge.errors import PositionError, SealedError
from idmerge.journal import Cursor
from sink_copies import histories, take
from strategies import strategies


def rows(update: Any) -> dict[str, str]:
    columns = update.rows.to_pydict()
    return once([*zip(columns["distinct_id"], columns["canonical_id"], strict=True)])


@given(strategies, histories)
def test_updates_in_order_give_the_mapping(canonical: Any, history: list[Any]) -> None:
    resolver = DurableResolver.open(":memory:", canonical=canonical)
    copy: dict[str, str] = {}
    cursor: Cursor | None = None
    for name, *arguments in [*history, ("deliver",)]:
        if name == "deliver":
            resolver.commit()
            update = resolver.mapping_since(cursor)
            copy = rows(update) if update.is_whole else copy | rows(update)
            assert copy == mapping(resolver)
            cursor = Cursor.from_json(update.cursor.to_json())
        elif name != "reopen":
            take(resolver, name, arguments)


def test_without_acts_an_update_has_what_is_new_and_nothing_else() -> None:
    resolver = DurableResolver.open(":memory:")
    resolver.merge("a", "b")
    resolver.commit()
    cursor = resolver.mapping_since(None).cursor
    resolver.observe("c")
    resolver.merge("d", "a")
    resolver.commit()
    update = resolver.mapping_since(cursor)
    assert (update.is_whole, rows(update)) == (False, {"c": "c", "d": "a"})


def test_a_reader_gives_the_updates_that_its_writer_would_give(tmp_path: Path) -> None:
    with (
        DurableResolver.open(tmp_path / "journal") as writer,
        DurableResolver.open(tmp_path / "journal", read_only=True) as reader,
    ):
        cursor = reader.mapping_since(None).cursor
        assert cursor.batch == -1
        writer.merge("a", "b")
        writer.commit()
        assert rows(reader.mapping_since(cursor)) == {}
        reader.refresh()
        found = reader.mapping_since(cursor)
        assert (found.is_whole, rows(found)) == (False, {"a": "a", "b": "a"})
        assert found.cursor == writer.mapping_since(cursor).cursor
    with pytest.raises(SealedError, match="is closed"):
        reader.mapping_since(None)


def test_a_cursor_of_another_journal_is_refused() -> None:
    one, other = DurableResolver.open(":memory:"), DurableResolver.open(":memory:")
    for resolver in (one, other):
        resolver.merge("a", "b")
        resolver.commit()
    with pytest.raises(PositionError, match="another journal, or was put back"):
        other.mapping_since(one.mapping_since(None).cursor)


def test_a_cursor_that_lies_ahead_is_refused() -> None:
    resolver = DurableResolver.open(":memory:")
    resolver.merge("a", "b")
    resolver.commit()
    cursor = Cursor(batch=7, written_at=1, position=9, ids=9, unknown=0, forgotten=0)
    with pytest.raises(PositionError, match="no commit 7 that ends at position 9"):
        resolver.mapping_since(cursor)


def test_steps_that_are_not_committed_are_no_part_of_an_update() -> None:
    resolver = DurableResolver.open(":memory:")
    resolver.observe("a")
    with pytest.raises(ValueError, match=r"call commit\(\) first"):
        resolver.mapping_since(None)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"batch": 1}', "null", '{"batch": "x"}'])
def test_what_is_no_cursor_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"a cursor has the fields|Expecting value"):
        Cursor.from_json(text)
