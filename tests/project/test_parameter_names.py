"""Names of parametrised tests: short, and the same in each process."""

from __future__ import annotations

import pytest

from parameter_names import is_stable, stable


@pytest.mark.parametrize(
    "value", [object(), iter([]), [object()], "x" * 10_000], ids=["object", "iterator", "list", "text"]
)
def test_a_value_has_a_short_name_without_an_address(value: object) -> None:
    assert is_stable(stable(value))
    assert not is_stable(repr(value))


def test_values_that_differ_in_text_have_different_names() -> None:
    assert len({stable(value) for value in (1, 1.0, "1", b"1", None, [1])}) == 6


def test_a_set_has_its_members_in_order_whatever_their_hashes() -> None:
    assert stable(set("hgfedcba")) == "{'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'}"
    assert stable(frozenset("hgfedcba")) == "frozenset({'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'})"
