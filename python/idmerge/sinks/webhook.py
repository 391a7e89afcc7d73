"""A webhook: each delivery is posted in parts, from an outbox, until the receiver has taken all.

    STATE/cursor.json     the cursor behind the last delivery that was taken
    STATE/outbox.ndjson   the delivery that is being posted; its first line is its head

A delivery is written to the outbox whole before its first part is posted, and the same parts are
posted again after whatever interrupts it, each with the ``Idempotency-Key`` that it had. Only then
comes the next delivery, which goes on from the end of this one.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import urllib.error
import urllib.request
from contextlib import suppress
from http.client import HTTPException
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from idmerge._naming import named, visible
from idmerge.errors import SettingError, SinkError
from idmerge.files import replacing
from idmerge.journal.lock import WriterLock
from idmerge.sinks.protocol import batches, stated_cursor, url_parts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from idmerge.journal import Cursor, MappingUpdate

ROWS = 10_000
"""Rows of a part at most."""
SECONDS = 30.0
"""Seconds of silence after which a receiver is given up."""
TOKEN = "IDMERGE_SINK_TOKEN"  # noqa: S105 - a name
"""The environment variable with the token that each request bears, if it is set."""
UNFIT = "it has a line break, or another character that no header can have"


class WebhookSink:
    """The receiver at ``url``; the cursor and what waits are in the directory ``state``.

    Raises:
        JournalError: Another sink writes there.
        OSError: The directory cannot be made.
    """

    def __init__(self, url: str, state: str) -> None:
        self.needs_whole = False
        parts = url_parts(url, "https://HOST/PATH")
        self.name = f"{parts.scheme}://{parts.hostname}"  # A path may be a secret.
        if "@" in parts.netloc:
            raise SinkError(f"{self.name}: a webhook has no user and password; {TOKEN} holds its token")
        self._url = url
        # Behind `?` may be a key that is renewed.
        self._receiver = hashlib.sha256(url.partition("?")[0].encode()).hexdigest()
        self._state = Path(state)
        self._state.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = WriterLock(self._state / "cursor.json", "a sink's state")
        self._opener = urllib.request.build_opener(_NoRedirect)

    @property
    def _outbox(self) -> Path:
        return self._state / "outbox.ndjson"

    def cursor(self, *, restart: bool) -> Cursor | None:
        """Post what waits in the outbox, and return the cursor behind it."""
        if restart:
            self._stated()
            return None
        waiting, stated = self._waiting(), self._stated()
        if waiting is not None and waiting["receiver"] == self._receiver:
            self._post_outbox()
            stated = self._stated()
        receivers = {one["receiver"] for one in (waiting, stated) if one is not None}
        self.needs_whole = not receivers <= {self._receiver}
        return stated_cursor(self.name, None if stated is None else json.dumps(stated["cursor"]))

    def apply(self, update: MappingUpdate) -> int:
        """Write the outbox, and post it."""
        # A delivery that is given up may have been taken in part: its number is not used again.
        before = [one["delivery"] for one in (self._stated(), self._waiting()) if one is not None]
        head = {
            "id": secrets.token_hex(8),
            "receiver": self._receiver,
            "delivery": 1 + max(before, default=0),
            "kind": "mapping" if update.is_whole else "changes",
            "position": update.cursor.position,
            "rows": len(update.rows),
            "cursor": json.loads(update.cursor.to_json()),
        }
        with replacing(str(self._outbox)) as stream:
            stream.write(f"{json.dumps(head)}\n".encode())
            for batch in batches(update):
                columns = (column.to_pylist() for column in batch.columns)
                stream.write("".join(f"{json.dumps(row)}\n" for row in zip(*columns, strict=True)).encode())
        self._post_outbox()
        self.needs_whole = False
        return 0

    def close(self) -> None:
        """Let others deliver."""
        self._lock.release()

    def _stated(self) -> dict[str, Any] | None:
        """Return what is known of the last delivery."""
        try:
            found = json.loads((self._state / "cursor.json").read_text("utf-8"))
            return {
                "delivery": int(found["delivery"]),
                "receiver": str(found["receiver"]),
                "cursor": found["cursor"],
            }
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError) as error:
            raise self._damaged("cursor", error) from error

    def _waiting(self) -> dict[str, Any] | None:
        """Return the head of the outbox, if there is one."""
        try:
            with self._outbox.open("rb") as stream:
                head = json.loads(stream.readline())
            return {**head, "delivery": int(head["delivery"]), "receiver": str(head["receiver"])}
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError) as error:
            raise self._damaged("outbox", error) from error

    def _damaged(self, what: str, error: Exception) -> SinkError:
        return SinkError(
            f"{named(self._state)}: the {what} is damaged: {error!r:.200}; delete the directory to begin anew"
        )

    def _post_outbox(self) -> None:
        """Post the outbox, if there is one, and move the cursor behind it."""
        try:
            stream = self._outbox.open(encoding="utf-8", newline="\n")
        except FileNotFoundError:
            return
        with stream:
            head = json.loads(next(stream))
            before = self._stated()
            if before is None or before["delivery"] < head["delivery"]:
                parts = max(1, -(-head["rows"] // ROWS))
                for part, rows in enumerate(_parts(stream, parts), 1):
                    self._post(head, part, parts, rows)
                with replacing(str(self._state / "cursor.json")) as cursor:
                    stated = {key: head[key] for key in ("delivery", "receiver", "cursor")}
                    cursor.write(json.dumps(stated).encode())
        self._outbox.unlink()

    def _post(self, head: Mapping[str, Any], part: int, parts: int, rows: Sequence[Any]) -> None:
        body = {
            **{key: head[key] for key in ("delivery", "kind", "position")},
            "part": part,
            "parts": parts,
            "rows": [{"distinct_id": own, "canonical_id": name} for own, name in rows],
        }
        headers = {
            "Content-Type": "application/json",
            "Idempotency-Key": f"{head['id']}-{part}",
            "User-Agent": "idmerge",
        }
        if token := os.environ.get(TOKEN):
            if not (token.isascii() and token.isprintable()):
                raise SettingError(f"the environment variable {TOKEN} is no token: {UNFIT}")
            headers["Authorization"] = f"Bearer {token}"
        request = urllib.request.Request(self._url, json.dumps(body).encode(), headers)  # noqa: S310 - checked
        try:
            with self._opener.open(request, timeout=SECONDS) as answer:
                answer.read(1)
        except urllib.error.HTTPError as error:
            with suppress(OSError):
                error.close()
            raise OSError(f"{self.name}: the receiver answered with {error.code}") from None
        except (OSError, HTTPException, ValueError) as error:  # Of which `URLError` is one.
            reason = getattr(error, "reason", error)
            raise OSError(f"{self.name}: {visible(str(reason)) or type(error).__name__}") from None


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Follows no redirect, which would post rows and the token to another host."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        """Return None, so that the redirect is an error."""


def _parts(lines: Iterator[str], parts: int) -> Iterator[list[Any]]:
    """Yield the rows of each part."""
    for _ in range(parts):
        yield [json.loads(line) for line in islice(lines, ROWS)]
