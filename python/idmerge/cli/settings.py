"""``idmerge.toml``: how events are spelt, and which of them questions are about.

It lies beside the data, or ``--config`` names it. ``idmerge init`` writes one; options of a command
count before what it states.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import click

from idmerge._formatting import printable
from idmerge._naming import named
from idmerge.cli.options import is_given
from idmerge.files import check_zone, listed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

CONFIG = "idmerge.toml"
"""The name of the file beside the data."""
KEYS = ("dialect", "columns", "questions")
QUESTIONS = {
    "signup": "the event of signing up",
    "purchase": "the event of buying",
    "amount": "the property of a purchase that holds what was paid",
    "currency": "the property of a purchase that names the currency of the amount",
    "campaign": "the property that names a campaign",
    "content_event": "the event of reading or viewing something",
    "content": "the property of that event that says what",
    "by_path": "whether that property holds URLs, of which the paths count",
    "within": "the longest time from content to a sign-up: a number and w, d, h, m or s",
    "timezone": "the zone of days, weeks and months",
}
"""The keys of the table ``questions``, and what each is."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What a file states."""

    path: str | None = None
    dialect: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    questions: Mapping[str, Any] = field(default_factory=dict)
    """By the keys of `QUESTIONS`."""


NO_SETTINGS = Settings()


def read_settings(path: str) -> Settings:
    """Return what a file states.

    Raises:
        click.UsageError: It is no TOML, or states something else.
    """
    import tomllib  # noqa: PLC0415 - few runs have a configuration

    try:
        with open(path, "rb") as file:  # noqa: PTH123
            stated = tomllib.load(file)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise click.UsageError(f"{named(path)}: the text is no TOML: {error}") from error
    _check_keys(path, stated, KEYS)
    dialect, columns, questions = (
        stated.get("dialect"),
        stated.get("columns", {}),
        stated.get("questions", {}),
    )
    if not isinstance(dialect, str | None):
        raise click.UsageError(f"{named(path)}: dialect must be a text, got {dialect!r:.100}")
    if not isinstance(columns, dict) or not all(isinstance(name, str) for name in columns.values()):
        raise click.UsageError(f"{named(path)}: columns must be a table of texts, got {columns!r:.100}")
    if not isinstance(questions, dict):
        raise click.UsageError(f"{named(path)}: questions must be a table, got {questions!r:.100}")
    _check_keys(path, questions, tuple(QUESTIONS))
    for key, value in questions.items():
        try:
            _check(key, value)
        except ValueError as error:
            raise click.UsageError(f"{named(path)}: questions.{key}: {error}") from error
    return Settings(path=path, dialect=dialect, columns=columns, questions=questions)


def _check_keys(path: str, stated: Mapping[str, Any], known: Sequence[str]) -> None:
    unknown = [key for key in stated if key not in known]
    if unknown:
        raise click.UsageError(f"{named(path)}: unknown: {listed(unknown)}; known are {', '.join(known)}")


def _check(key: str, value: object) -> None:
    """Raise ValueError if a key of ``questions`` cannot have such a value."""
    if key == "by_path":
        if not isinstance(value, bool):
            raise ValueError(f"expected true or false, got {value!r:.100}")
    elif not isinstance(value, str) or not value:
        raise ValueError(f"expected a text, got {value!r:.100}")
    elif key == "within":
        from idmerge.questions import length_of  # noqa: PLC0415 - most commands ask nothing

        length_of(value)
    elif key == "timezone":
        check_zone(value)


def with_settings(options: Mapping[str, Any], settings: Settings, keys: Mapping[str, str]) -> dict[str, Any]:
    """Return the ``options`` of the running command, those that were not given from settings.

    ``keys`` are the keys of `QUESTIONS` by the option.
    """
    stated = {
        option: settings.questions[key]
        for option, key in keys.items()
        if key in settings.questions and not is_given(option)
    }
    if any(key == "content" and is_given(option) for option, key in keys.items()):
        stated.pop("by_path", None)  # It is about the property that the settings name.
    return {**options, **stated}


def settings_text(settings: Settings, why: Mapping[str, str], *, read_as: Sequence[str] = ()) -> str:
    """Return the text of a file that states ``settings``, with the reasons ``why``, by key.

    A key of `QUESTIONS` without a value stands in a comment; ``read_as`` are the dialects found.
    """
    return "\n".join(_lines(settings, why, read_as)) + "\n"


def _lines(settings: Settings, why: Mapping[str, str], read_as: Sequence[str]) -> Iterator[str]:
    yield "# Made by idmerge init. Every command that reads events beside this file takes it; options of a"
    yield "# command count before it."
    yield ""
    if read_as:
        yield f"# The events were read as {printable(', '.join(read_as))}."
    if settings.dialect is None:
        yield '# dialect = "flat"  # how the events are spelt; by default their first rows say'
    else:
        yield f"dialect = {_quoted(settings.dialect)}"
    if settings.columns:
        yield ""
        yield "[columns]  # the key or column of each role that has another name"
        yield from (f"{_quoted(role)} = {_quoted(name)}" for role, name in settings.columns.items())
    yield ""
    yield "[questions]  # for idmerge report and idmerge ask"
    for key, meaning in QUESTIONS.items():
        value = settings.questions.get(key)
        yield ""
        yield f"# {meaning}{f'; {printable(why[key])}' if key in why else ''}"
        yield f'# {key} = ""' if value is None else f"{key} = {_written(value)}"


def _written(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else _quoted(str(value))


def _quoted(text: str) -> str:
    """Return a basic string of TOML."""
    escaped = "".join(
        f"\\{character}"
        if character in '"\\'
        else f"\\U{ord(character):08x}"
        if not character.isprintable()
        else character
        for character in text
    )
    return f'"{escaped}"'
