"""The memory of a client of one visitor, and the places where it is kept.

A state is a mapping from a name to a dict of JSON, as a browser's storage is: a dict, the session
of a web framework, a shelf, or a `FileState`. The name is that of the browser's SDK,
``mp_TOKEN_mixpanel``, and so are the keys in the dict: ``distinct_id``, ``$device_id``,
``$user_id``, the super properties, and the updates that wait for `identify`.
"""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any, Protocol


class State(Protocol):
    """A place for what a client remembers: two methods of a mapping.

    Examples:
        >>> from idmerge import Resolver
        >>> from idmerge.client import Client
        >>> session = {}
        >>> Client(Resolver(), "shop", state=session).identify("ana")
        True
        >>> Client(Resolver(), "shop", state=session).distinct_id
        'ana'
        >>> session.get("mp_shop_mixpanel")["$user_id"]
        'ana'
    """

    def get(self, name: str, /) -> Any:
        """Return what was stored under ``name``; None if there is nothing."""

    def __setitem__(self, name: str, stored: dict[str, Any], /) -> None:
        """Store a dict of JSON under ``name``."""


class FileState:
    """A state in a JSON file, which is written whole or not at all, and read at each call.

    A file that is missing or cannot be read as JSON is an empty state. It suits a program of one
    user on one machine; two processes that write at once keep what the last one wrote.

    Args:
        path: The file. Only its owner may read what is written.

    Examples:
        >>> from idmerge import Resolver
        >>> from idmerge.client import Client, FileState
        >>> device = Client(Resolver(), "shop", state=FileState("visitor.json")).device_id
        >>> Client(Resolver(), "shop", state=FileState("visitor.json")).device_id == device
        True
        >>> FileState("visitor.json").get("mp_shop_mixpanel")["$device_id"] == device
        True
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)

    def get(self, name: str, /) -> Any:
        """Return what was stored under ``name``; None if there is nothing."""
        return self._read().get(name)

    def __setitem__(self, name: str, stored: dict[str, Any], /) -> None:
        """Store a dict of JSON under ``name``."""
        text = json.dumps({**self._read(), name: stored})
        descriptor, written = tempfile.mkstemp(dir=self.path.parent, prefix=f".{self.path.name}.")
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
            Path(written).replace(self.path)
        except BaseException:
            Path(written).unlink(missing_ok=True)
            raise

    def _read(self) -> dict[str, Any]:
        try:
            found = json.loads(self.path.read_text("utf-8"))
        except (FileNotFoundError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}
