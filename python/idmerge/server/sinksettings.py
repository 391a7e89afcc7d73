"""The sinks in a server's settings, each below a line ``[[sink]]``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from idmerge.errors import SettingError
from idmerge.server.keys import check_known
from idmerge.sinks.following import INTERVAL

if TYPE_CHECKING:
    import re
    from collections.abc import Collection
    from pathlib import Path

KEYS = ("name", "project", "target", "table", "interval")
MOST = 50
"""Sinks of a server at most: each has a thread."""
SHORTEST, LONGEST = 0.05, 86_400.0
"""Seconds from one delivery to the next."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SinkSettings:
    r"""A sink of a server.

    Examples:
        >>> from pathlib import Path
        >>> from idmerge.server.directory import Directory
        >>> _ = Directory.open("here")
        >>> settings = Path("here/idmerge.toml")
        >>> sink = '[[sink]]\nname = "copy"\ntarget = "parquet:copy"\n'
        >>> _ = settings.write_text(settings.read_text() + sink)
        >>> [(sink.name, sink.project, sink.interval) for sink in Directory.read("here").sinks]
        [('copy', 'main', 1.0)]
    """

    name: str
    project: str
    """The name of the project whose mapping is delivered."""
    target: str = field(repr=False)
    """The target, as `idmerge.sinks.open_sink` takes it; it may hold a secret."""
    table: str | None
    interval: float
    """Seconds from one delivery to the next."""
    state: Path
    """The path of the directory for what a target cannot keep."""


def sinks_of(
    name: str, stated: object, projects: Collection[str], directory: Path, allowed: re.Pattern[str]
) -> tuple[SinkSettings, ...]:
    """Return the sinks that the settings in the file ``name`` state.

    Args:
        name: The file, in messages.
        stated: What stands below ``sink``.
        projects: The names of the projects, the first one first.
        directory: The server's directory.
        allowed: Of names of sinks.

    Raises:
        SettingError: They cannot be used; no message shows a target.
    """
    if not isinstance(stated, list) or len(stated) > MOST:
        raise SettingError(f"{name}: up to {MOST} sinks are expected, each below a line [[sink]]")
    found = tuple(
        _sink(f"{name}: sink {number}", one, [*projects], directory, allowed)
        for number, one in enumerate(stated, 1)
    )
    for what, keys in (
        ("name", [one.name.casefold() for one in found]),
        ("target", [f"{one.target} {one.table}" for one in found]),
    ):
        if len({*keys}) < len(keys):
            raise SettingError(f"{name}: two sinks have one {what}")
    return found


def _sink(
    place: str, stated: Any, projects: list[str], directory: Path, allowed: re.Pattern[str]
) -> SinkSettings:
    if not isinstance(stated, dict):
        raise SettingError(f"{place}: keys are expected, below a line [[sink]]")
    check_known(place, stated, KEYS)
    name, project = stated.get("name"), stated.get("project", projects[0])
    if not isinstance(name, str) or not allowed.fullmatch(name):
        raise SettingError(
            f"{place}: name must be 1 to 64 ASCII letters, digits, dots, hyphens and underscores, "
            f"a letter or digit first, got {name!r:.100}"
        )
    place = f"{place} ({name})"
    if project not in projects:
        raise SettingError(f"{place}: there is no project {project!r:.100}; there are {', '.join(projects)}")
    target, table = stated.get("target"), stated.get("table")
    if not isinstance(target, str) or not target or not isinstance(table, str | None):
        raise SettingError(f"{place}: target must be a text, and table too if it is there")
    interval = stated.get("interval", INTERVAL)
    if type(interval) not in (int, float) or not SHORTEST <= interval <= LONGEST:
        raise SettingError(
            f"{place}: interval must be a number of seconds from {SHORTEST} to {LONGEST:.0f}, "
            f"got {interval!r:.100}"
        )
    return SinkSettings(
        name=name,
        project=project,
        target=target,
        table=table,
        interval=float(interval),
        state=directory / "sinks" / name,
    )
