"""A request to a page: its subject, who asks, and its fields.

Fields have other bounds than those of SDKs' requests: an ID may have many bytes when it is percent-
encoded. A form's control cannot hold every text (a line's end is another one then, and NUL none),
so a form states an ID that has such characters as JSON, in the field `ID_AS_JSON`.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import parse_qsl

from idmerge._json_columns import unicode_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from idmerge.server.http.requests import Request
    from idmerge.server.inspector.examined import CheckUp
    from idmerge.server.inspector.sessions import Session
    from idmerge.server.inspector.subject import Subject

MOST_FIELDS = 200
MOST_BYTES = 256 << 10
"""Bytes of a query or of a form that are read; of more, nothing is."""
AS_JSON = ".json"
"""Ends the name of a field whose value is a JSON text."""


class Visit(NamedTuple):
    """A request to a page, by someone who may see its subject."""

    request: Request
    path: str
    """The path without slashes around it."""
    query: Mapping[str, str]
    """The fields of the URL."""
    form: Mapping[str, str]
    """The fields of the form that was posted; none of a GET."""
    subject: Subject
    session: Session
    check_up: CheckUp | None = None
    """What the doctor finds in the subject; None if nobody asks it."""

    @property
    def may_change(self) -> bool:
        """Whether the visitor may change the subject, and it can be changed."""
        return self.session.may_change and self.subject.is_changeable

    @property
    def is_of_htmx(self) -> bool:
        """Whether a part of the page is wanted, to take the place of the one that is shown."""
        return b"hx-request" in self.request.headers


def fields_of(text: bytes) -> dict[str, str]:
    r"""Return the fields of a query or a form, the first of each name.

    Examples:
        >>> from idmerge.server.inspector.visits import fields_of
        >>> fields_of(b"id=a%26b&id=c"), fields_of(b"id.json=%22a%5Cnb%22")
        ({'id': 'a&b'}, {'id': 'a\nb'})
    """
    found: dict[str, str] = {}
    if len(text) > MOST_BYTES:
        return found
    parts = text.split(b"&", MOST_FIELDS)[:MOST_FIELDS]
    for name, value in parse_qsl(b"&".join(parts).decode("utf-8", "replace"), keep_blank_values=True):
        if name.endswith(AS_JSON):
            try:
                stated = json.loads(value)
            except (ValueError, RecursionError):  # Which nested lists raise, however few bytes they have.
                continue
            if isinstance(stated, str):
                found.setdefault(name.removesuffix(AS_JSON), unicode_text(stated))
        else:
            found.setdefault(name, value)
    return found
