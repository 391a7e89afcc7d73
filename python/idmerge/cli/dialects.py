"""Options of a command for the spelling of events, and the lines of its summary about that.

An ``idmerge.toml`` beside the data, or the file that ``--config`` names, may have the keys
``dialect`` and ``columns``, a table of roles (`idmerge.cli.settings`); the options count before
them.
"""

from __future__ import annotations

from collections import Counter
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from idmerge._formatting import counted
from idmerge._naming import named
from idmerge.cli.completion import FILE
from idmerge.cli.messages import note_line, print_lines, shown
from idmerge.cli.served import is_served
from idmerge.cli.settings import CONFIG, NO_SETTINGS, Settings, read_settings
from idmerge.errors import DialectError
from idmerge.files import BUILT_IN, MIXPANEL, STDIN, Dialect, choice_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from idmerge.policy import Api

_NAMED = 3
"""Files that one line names, at most."""


class Spelling:
    """The dialect that a command was told, and those that its files turned out to have."""

    def __init__(
        self,
        dialect: str | None = None,
        columns: Mapping[str, str] | None = None,
        settings: Settings = NO_SETTINGS,
    ) -> None:
        self.dialect = dialect
        self.columns = dict(columns or {})
        self.settings = settings
        """The settings beside the data, or those that --config names."""
        self._titles: dict[str, str | None] = {}

    @property
    def choice(self) -> dict[str, Any]:
        """The arguments ``dialect=`` and ``columns=`` of readers."""
        return {"dialect": self.dialect, "columns": self.columns or None}

    @property
    def arguments(self) -> dict[str, Any]:
        """The arguments of `idmerge.files.scan`, which tell this which dialects were read."""
        return {**self.choice, "on_dialect": self.note}

    def with_api(self, api: Api) -> dict[str, Any]:
        """Return `arguments` and the API whose links the events state."""
        return {**self.arguments, "api": api}

    def note(self, path: str, dialect: Dialect | None) -> None:
        """Keep the dialect of a file; None is an empty file's."""
        self._titles[path] = None if dialect is None else dialect.title

    @property
    def told_empty(self) -> bool:
        """True if `lines` name an empty file."""
        return None in self._titles.values()

    def lines(self) -> Iterator[str]:
        """Yield the lines of a summary: the dialects but for the raw shape, and the empty files."""
        counts = Counter(title for title in self._titles.values() if title is not None)
        if set(counts) - {MIXPANEL.title}:
            titles = (f"{title}{self._files(title, several=len(counts) > 1)}" for title in counts)
            yield shown(f"read as: {', '.join(titles)}")
        empty = [path for path, title in self._titles.items() if title is None]
        for path in empty[:_NAMED]:
            yield note_line(f"{path} is empty: there is no event in it")
        if len(empty) > _NAMED:
            yield note_line(f"{counted(len(empty) - _NAMED, 'more file')} likewise")

    def _files(self, title: str, *, several: bool) -> str:
        """Return the files that were read as ``title``, by name if the caller gives columns.

        Args:
            title: The title of a dialect.
            several: Whether there are other dialects.
        """
        paths = [path for path, read_as in self._titles.items() if read_as == title]
        if self.columns and 1 < len(paths) <= _NAMED:
            return f" ({', '.join(paths)})"
        return f" ({counted(len(paths), 'file')})" if several or (self.columns and len(paths) > 1) else ""

    def tell(self) -> None:
        """Print `lines` to standard error."""
        print_lines(self.lines(), err=True)


OPTIONS = (
    click.option(
        "--dialect",
        metavar="NAME",
        help=f"How events are spelt: {', '.join(BUILT_IN)}; by default their first rows say.",
    ),
    click.option(
        "--column",
        "columns",
        metavar="ROLE=NAME",
        multiple=True,
        help="The key or column of a role, such as event=action or distinct_id=uid; can be given again.",
    ),
    click.option(
        "--config",
        type=FILE,
        metavar="FILE",
        help=f"A file with the keys dialect, columns and questions; by default {CONFIG} beside the data, if "
        "any.",
    ),
)


def dialect_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give ``command`` the options of a dialect, and in their place the argument ``spelling``."""

    @wraps(command)
    def with_spelling(
        *, dialect: str | None, columns: Sequence[str], config: str | None, **options: Any
    ) -> Any:
        paths = [
            path
            for name in ("files", "events", "updates")
            for path in options.get(name) or ()
            if path != STDIN
        ]
        spelling = _spelling(dialect, columns, config, paths)
        return command(spelling=spelling, **options)

    decorated: Callable[..., Any] = with_spelling
    for option in reversed(OPTIONS):
        decorated = option(decorated)
    return decorated


def _spelling(
    dialect: str | None, columns: Sequence[str], config: str | None, paths: Sequence[str]
) -> Spelling:
    found = config if config is not None else _config_beside(paths)
    settings = NO_SETTINGS if found is None else read_settings(found)
    given: dict[str, str] = {}
    for column in columns:
        role, equals, name = column.partition("=")
        if not (role and equals and name):
            raise click.UsageError(f"--column must be ROLE=NAME, got {column!r}")
        given[role] = name
    spelling = Spelling(dialect or settings.dialect, {**settings.columns, **given}, settings)
    try:
        choice_of(**spelling.choice)
    except DialectError as error:
        raise click.UsageError(str(error)) from error
    return spelling


def _config_beside(paths: Sequence[str]) -> str | None:
    """Return the file `CONFIG` beside the data, if there is one that is no server's settings.

    Raises:
        click.UsageError: There are several.
    """
    places = dict.fromkeys(place for path in paths for place in _places(Path(path)))
    found = [
        str(place / CONFIG) for place in places if (place / CONFIG).is_file() and not is_served(str(place))
    ]
    if len(found) > 1:
        raise click.UsageError(f"there are {' and '.join(map(named, found[:3]))}; name one by --config")
    return found[0] if found else None


def _places(path: Path) -> list[Path]:
    """Return the directories in which the configuration of a file or a directory may be."""
    return [path] if path.is_dir() else [path.parent]
