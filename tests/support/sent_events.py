"""Events as implementations send them, and what the doctor finds in them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from idmerge.doctor import Diagnosis, Finding, examine

if TYPE_CHECKING:
    from pathlib import Path

Event = dict[str, Any]


def device(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012d}"


D1, D2, D3 = device(1), device(2), device(3)


class Sender:
    """Events as an implementation sends them, a minute apart and each with an insert ID."""

    def __init__(self) -> None:
        self.made = 0

    def __call__(self, name: str, **properties: Any) -> Event:
        self.made += 1
        own = {"time": 1_704_067_200 + 60 * self.made, "$insert_id": f"insert-{self.made}"}
        told = {key.replace("__", "$"): value for key, value in properties.items()}
        return {"event": name, "properties": {**own, **told}}

    def view(self, sent: str) -> Event:
        return self("Page View", distinct_id=sent)

    def identify(self, anonymous: Any, user: Any) -> Event:
        return self("$identify", distinct_id=user, __anon_distinct_id=anonymous)

    def alias(self, alias: str, user: str) -> Event:
        return self("$create_alias", distinct_id=user, alias=alias)

    def merge(self, first: str, second: str) -> Event:
        return self("$merge", __distinct_ids=[first, second])


send = Sender()


def signup(anonymous: str, user: str) -> list[Event]:
    """Return what a sound implementation sends for a visitor who signs up."""
    return [send.view(anonymous), send.identify(anonymous, user), send.view(user)]


def examined(path: Path, stated: list[Event], **options: Any) -> Diagnosis:
    path.write_text("".join(json.dumps(event) + "\n" for event in stated), encoding="utf-8")
    return examine(path, **options)


def by_code(diagnosis: Diagnosis) -> dict[str, Finding]:
    return {finding.code: finding for finding in diagnosis.findings}
