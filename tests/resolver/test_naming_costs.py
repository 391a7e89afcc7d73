"""Names of long texts: a message that quotes an ID takes time in proportion to it."""

from __future__ import annotations

from time import process_time

import pytest

from idmerge._naming import named, without_secrets

PIECES = [
    "x",
    "x.",
    "pass",
    "postgres//",
    "postgresql+x",
    "a:",
    "a@",
    "a/",
    "%41",
    "password ",
    "://",
    "u:p@h,",
]


@pytest.mark.parametrize("piece", PIECES)
def test_a_long_text_is_named_in_linear_time(piece: str) -> None:
    text = piece * (300_000 // len(piece))
    started = process_time()
    named(text)
    without_secrets(f"no such ID: {text}", [text])
    assert process_time() - started < 10, f"{piece!r} repeated"
