"""Names of files and journals for messages, without secrets and control characters.

A journal's URL holds a password, and it may stand wherever a path is expected: by mistake, or
because a command takes both. `named` is how such a path gets into a message. Where a library or the
system wrote the message, and paths stand in it as they are, `without_secrets` hides what `named`
would have hidden.

1. Of a URL the scheme is named, and user, hosts, ports and database only if the whole of it can be
   read in one way. An ``@``, ``/`` or ``:`` that is not percent-encoded may belong to a password,
   and then nothing but the scheme is named. Options behind ``?`` never are.
2. Of a connection string of keywords and values, nothing from the first password on is named.
3. Every character that is not printed is shown as an escape: controls, also C1, and marks that
   change the direction of text.
"""

from __future__ import annotations

import errno
import os
import re
from typing import TYPE_CHECKING
from urllib.parse import unquote

if TYPE_CHECKING:
    from collections.abc import Iterable

SCHEMES = ("postgresql://", "postgres://")
"""The beginning of a journal's URL, in upper or lower case."""
HIDDEN = "…"

# Each repetition has a bound or begins at one place of a word, or a search in a long ID would take
# hours.
_POSTGRES = r"postgres(?:ql)?(?:[+.-][a-z0-9+.-]{0,40})?"
# One slash is what is left of two in a `Path`; a single letter is a drive of Windows.
_URL = re.compile(
    rf"(?:(?<![a-z0-9+.-])[a-z0-9+.-]{{2,}}://|{_POSTGRES}:|{_POSTGRES}//(?=.{{0,1000}}@))",
    re.IGNORECASE | re.DOTALL,
)
_SECRET = re.compile(r"pass(?:word|wd|phrase)?\s{0,40}=", re.IGNORECASE)
_KEYWORDS = (
    "host|hostaddr|port|dbname|user|password|passfile|service|options|application_name|connect_timeout|"
    "target_session_attrs|ssl(?:mode|cert|key|password|rootcert)"
)
# What no file is called by chance, whereas `mapping-postgres-12:30.csv` and `bypass=1.parquet` are
# files.
_NO_FILE = re.compile(
    rf"(?:^|[/\\])(?:[a-z][a-z0-9+.:-]+://|(?:[a-z]+:)?{_POSTGRES}:(?:/|[^/@]{{0,1000}}@)|{_POSTGRES}//(?=.{{0,1000}}@))"
    rf"|(?:^|[/\s])(?:{_KEYWORDS})\s{{0,40}}=",
    re.IGNORECASE | re.DOTALL,
)
_WORD = r"(?:[\w.~!$'()*+;-]|%[0-9a-f]{2})"
_HOST = rf"(?:{_WORD}*|\[[0-9a-f:.]*\])(?::[0-9]{{0,5}})?"
_UNTIL_BLANK = re.compile(r"[^\s'\"]*")
_READABLE = re.compile(
    rf"(?P<scheme>[a-z][a-z0-9+.-]+://)(?:(?P<user>{_WORD}*)(?::(?:{_WORD}|[,=&])*)?@)?"
    rf"(?P<hosts>{_HOST}(?:,{_HOST})*)(?P<path>(?:/{_WORD}*)*)(?:\?[^#\s]*)?",
    re.IGNORECASE | re.ASCII,
)
_IN_TEXT = re.compile(rf"{_POSTGRES}:/(?:[^\n]{{0,1000}}@)?[^\s'\"]*", re.IGNORECASE)


def is_journal_url(path: object) -> bool:
    """Return whether ``path`` is the URL of a journal, rather than a file's path."""
    return isinstance(path, str) and path.lower().startswith(SCHEMES)


def named(path: str | bytes | os.PathLike[str]) -> str:
    """Return how messages name the file or the journal at ``path``, on one line."""
    return visible(_redacted(os.fsdecode(path)))


def visible(text: str) -> str:
    """Return ``text`` with an escape in place of each character that is not printed as itself."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)


def without_secrets(text: str, given: Iterable[str]) -> str:
    """Return ``text``, which others wrote, with those of the paths ``given`` replaced by names."""
    for path in sorted(given, key=len, reverse=True):
        for spelling in _spellings(path):
            text = text.replace(spelling, _redacted(spelling))
    return _IN_TEXT.sub(_redacted_in_text, text)


def check_local(path: object, wanted: str = "a file's path is needed") -> None:
    """Make sure that ``path`` is not a URL or a connection string.

    Either would be taken for a file's path.

    Raises:
        FileNotFoundError: It is, and there is no such file.
    """
    if not isinstance(path, (str, os.PathLike)):
        return
    text = os.fsdecode(path)
    if _NO_FILE.search(text) and not os.path.lexists(text):
        raise FileNotFoundError(
            errno.ENOENT, f"this is a URL or a connection string, and {wanted}", named(text)
        )


def _redacted(text: str) -> str:
    url, secret = _URL.search(text), _SECRET.search(text)
    if url is None or (secret is not None and secret.start() < url.start()):
        return text if secret is None else f"{text[: secret.end()]}{HIDDEN}"
    before, found = text[: url.start()], text[url.start() :]
    read = _READABLE.fullmatch(found)
    if read is None or not _is_certain(read):
        return f"{before}{url[0]}{HIDDEN}"
    user = f"{read['user']}@" if read["user"] else ""
    return f"{before}{read['scheme']}{user}{read['hosts']}{read['path']}"


def _is_certain(read: re.Match[str]) -> bool:
    """Return whether no part of a URL can be a password in the wrong place."""
    user, hosts, path = (unquote(read[part] or "") for part in ("user", "hosts", "path"))
    has_one_path = not is_journal_url(read["scheme"]) or path.count("/") <= 1
    return has_one_path and ":" not in user and not any(mark in hosts + path for mark in "@=&")


def _spellings(path: str) -> Iterable[str]:
    """Yield the forms that ``path``, an argument of a command, may have in a message."""
    forms = [path]
    if path.startswith("-") and "=" in path:  # An option and its value, of which messages name one.
        forms += path.split("=", 1)
    url = _URL.search(path)
    if url is not None:
        forms += [path[url.start() :], os.path.normpath(path[url.start() :])]
    for form in forms:
        if _redacted(form) != form:
            yield from dict.fromkeys((form, repr(form)[1:-1], ascii(form)[1:-1], visible(form)))


def _redacted_in_text(found: re.Match[str]) -> str:
    text = found[0]
    first = _UNTIL_BLANK.match(text)
    assert first is not None  # noqa: S101
    url = first[0].rstrip(":,;.)")
    read = _READABLE.fullmatch(url)
    if read is not None and _is_certain(read) and (read["user"] or "@" not in text):
        # Another URL may stand behind this one.
        return f"{_redacted(url)}{_IN_TEXT.sub(_redacted_in_text, text[len(url) :])}"
    whole = text.rstrip(":,;.)")
    return f"{text.partition(':')[0]}://{HIDDEN}{text[len(whole) :]}"
