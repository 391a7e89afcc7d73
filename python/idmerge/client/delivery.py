"""Delivery of batches by HTTP: what an answer means, what is tried again and when.

A refused or broken connection, a time-out, 408, 425, 429 and 5xx are tried again, after the time
that ``Retry-After`` names, else after a random one whose limit doubles ("full jitter"). 413 halves
the batch. Every other answer is final, and what it refuses is lost. Events have an ``$insert_id``,
by which a copy that comes by a second try counts once; profile updates have none. So a batch of
events that is refused for some of them, while the server keeps the others, is halved too until
those are found, or too many are.
"""

from __future__ import annotations

import base64
import gzip
import http.client
import json
import random
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from idmerge.client.connection import Answer, Connection
from idmerge.client.sending import log

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from idmerge.client.sending import Route

_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 60.0
_LONGEST_RETRY_AFTER = 600.0
_WORTH_COMPRESSING = 1024
_AGAIN = {408, 425, 429}
_TOO_LARGE = 413
_OK = range(200, 300)
_REDIRECTS = range(300, 400)
_ERRORS = 500
_BAD_REQUEST = 400
_MAX_REASON = 200
_MAX_SOUGHT = 8
"""Events of a batch that are refused each by itself; then all that is left of it is lost."""


class Abandoned(Exception):  # noqa: N818 - no error: what is not delivered is told of
    """The end has come before a batch was delivered; ``rest`` is what is left of it."""

    def __init__(self, rest: Sequence[bytes]) -> None:
        super().__init__(len(rest))
        self.rest = rest


class Delivery:
    """Posts batches until each is delivered or refused.

    Args:
        url: The server's address.
        token: The project's token.
        credentials: User and password for ``/import``; by default the token is the user.
        project_id: The project's number, which a service account has to name.
        timeout: Seconds for an answer.
    """

    def __init__(
        self,
        url: str,
        token: str,
        credentials: tuple[str, str] | None,
        project_id: str | int | None,
        timeout: float,
    ) -> None:
        user, password = credentials or (token, "")
        self._connection = Connection(url, timeout)
        basic = base64.b64encode(f"{user}:{password}".encode()).decode()
        self._secrets = [secret for secret in (basic, token, user, password) if secret]
        self._import_headers = {"Authorization": f"Basic {basic}"}
        self._import_path = "/import?strict=1"
        if project_id is not None:
            self._import_path += f"&project_id={int(project_id)}"
        self._timeout = timeout
        self._failures = 0

    def __repr__(self) -> str:
        """Name the server, and no secret."""
        return f"Delivery({self._connection.address!r})"

    def renewed(self) -> None:
        """Leave the connection to the parent of a fork."""
        connection = self._connection
        self._connection = Connection(connection.address, self._timeout)

    def limit(self, timeout: float) -> None:
        """Give the answers to come less time than they have."""
        self._connection.timeout = min(self._connection.timeout, timeout)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def deliver(
        self,
        route: Route,
        batch: Sequence[bytes],
        lost: Callable[[Route, Sequence[bytes], str], None],
        wait: Callable[[float, bool], bool],
    ) -> None:
        """Post a batch until every item is delivered, or was refused.

        Args:
            route: The endpoint.
            batch: Items, each as JSON.
            lost: What is called with items that are refused.
            wait: Sleeps for some seconds, or less unless the server asked for them; returns False
                if it is time to give up.

        Raises:
            Abandoned: It is time to give up.
        """
        parts = [batch]
        sought = _MAX_SOUGHT
        while parts:
            part = parts.pop()
            answer = self._tried(route, part)
            if (pause := self._pause(answer)) is not None:
                parts.append(part)
                if not wait(*pause):
                    raise Abandoned([item for part in reversed(parts) for item in part])
            elif isinstance(answer, Answer):
                self._failures = 0
                is_too_large = answer.status == _TOO_LARGE
                is_sought = sought > 0 and route == "track" and _is_of_items(answer)
                if len(part) > 1 and (is_too_large or is_sought):
                    middle = len(part) // 2
                    parts += [part[middle:], part[:middle]]
                else:
                    sought -= is_sought
                    self._settle(route, part, answer, lost)

    def _tried(self, route: Route, batch: Sequence[bytes]) -> Answer | Exception:
        body = b"[" + b",".join(batch) + b"]"
        headers = {"Content-Type": "application/json", "User-Agent": "idmerge"}
        path = f"/{route}?verbose=1&ip=0"
        if route == "import":
            path = self._import_path
            headers |= self._import_headers
        if len(body) >= _WORTH_COMPRESSING:
            body = gzip.compress(body, compresslevel=6, mtime=0)
            headers["Content-Encoding"] = "gzip"
        try:
            return self._connection.post(path, body, headers)
        except (OSError, http.client.HTTPException) as error:
            return error

    def _pause(self, answer: Answer | Exception) -> tuple[float, bool] | None:
        """Return the seconds until the next try, and whether the server asks for them.

        None is that of an answer which is final.
        """
        if isinstance(answer, Answer) and answer.status not in _AGAIN and answer.status < _ERRORS:
            return None
        self._failures += 1
        if self._failures in {1, 10, 100} or self._failures % 1000 == 0:
            said = f"{answer.status}" if isinstance(answer, Answer) else type(answer).__name__
            address = self._connection.address
            log.warning("%s does not take events (%s, try %d); they wait", address, said, self._failures)
        asked = _seconds(answer.retry_after) if isinstance(answer, Answer) else None
        if asked is not None:
            return min(asked, _LONGEST_RETRY_AFTER) + random.uniform(0, 1), True  # noqa: S311 - no secret
        limit = min(_FIRST_PAUSE * 2 ** min(self._failures, 16), _LONGEST_PAUSE)
        return random.uniform(0, limit), False  # noqa: S311 - no secret

    def _settle(
        self,
        route: Route,
        batch: Sequence[bytes],
        answer: Answer,
        lost: Callable[[Route, Sequence[bytes], str], None],
    ) -> None:
        """Tell of what a final answer refuses."""
        said = _decoded(answer.body)
        failed = said.get("failed_records")
        if route == "import" and answer.status == _BAD_REQUEST and isinstance(failed, list) and failed:
            for index, reason in _refused(failed, len(batch)):
                lost(route, [batch[index]], self._reason(answer, reason))
        elif answer.status not in _OK or _is_of_items(answer):
            lost(route, batch, self._reason(answer, said.get("error") or said.get("message")))

    def _reason(self, answer: Answer, said: object) -> str:
        """Return why a server refused items, in its words but for what is secret."""
        text = said if isinstance(said, str) else "no reason is given"
        for secret in self._secrets:
            text = text.replace(secret, "…")
        text = "".join(character if character.isprintable() else " " for character in text[:_MAX_REASON])
        if answer.status in _REDIRECTS:
            text = "it redirects, which is not followed: correct the client's address"
        return f"the server answered {answer.status}: {text}"


def _is_of_items(answer: Answer) -> bool:
    """Return whether an answer refuses what a request holds, or some of it."""
    is_refusal = answer.body.strip() == b"0" or _decoded(answer.body).get("status") == 0
    return is_refusal and (answer.status in _OK or answer.status == _BAD_REQUEST)


def _decoded(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _refused(failed: list[Any], count: int) -> list[tuple[int, object]]:
    """Return the place in a batch, and the message, of each record that was refused."""
    found: dict[int, object] = {}
    for record in failed:
        index = record.get("index") if isinstance(record, dict) else None
        if isinstance(index, int) and 0 <= index < count:
            found[index] = record.get("message")
    return [*found.items()]


def _seconds(text: str | None) -> float | None:
    """Return the seconds that a ``Retry-After`` names; None if it names none."""
    if not text:
        return None
    text = text.strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max((moment - datetime.now(UTC)).total_seconds(), 0.0)
