"""Settings of the tests of the command line."""

from __future__ import annotations

import pytest

from idmerge.server.http import serving


@pytest.fixture(autouse=True)
def nothing_is_served_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a command that serves end once it has said so, where it runs in the test's own process."""
    monkeypatch.setattr(serving, "serve", lambda *_, on_started, **__: on_started() or True)
