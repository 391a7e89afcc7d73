"""A server's directory as an argument of commands, and the project of it that is meant."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from idmerge._formatting import counted, did_you_mean
from idmerge._naming import is_journal_url, named
from idmerge.cli.messages import tell_note
from idmerge.errors import SettingError

if TYPE_CHECKING:
    from idmerge.server.directory import Project

project_option = click.option(
    "--project",
    metavar="NAME",
    help="The project of the server's directory; by default the first one.",
)


def is_served(path: str) -> bool:
    """Return whether ``path`` is the directory of a server: one whose settings have projects.

    A file of the same name with other keys says how the events in a directory are spelt.
    """
    if is_journal_url(path) or not Path(path).is_dir():
        return False
    import tomllib  # noqa: PLC0415 - many runs have no server

    from idmerge.server.directory import SETTINGS  # noqa: PLC0415

    try:
        return "project" in tomllib.loads((Path(path) / SETTINGS).read_text("utf-8"))
    except (OSError, ValueError):
        return False


def project_of(directory: str, project: str | None) -> Project:
    """Return a project of the server whose files are in ``directory``, by its settings.

    The server may run meanwhile: the settings are read, and nothing is made. Where there are
    several projects and none is named, a note says which one was taken.

    Args:
        directory: The server's directory.
        project: The project's name; None for the first.

    Raises:
        SettingError: There is no such project, or the settings cannot be used.
        OSError: They cannot be read.
    """
    from idmerge.server.directory import Directory  # noqa: PLC0415

    found = Directory.read(directory)
    by_name = {one.name: one for one in found.projects}
    if project is None:
        first, *others = found.projects
        if others:
            tell_note(
                f"{named(found.settings)} has {counted(len(by_name), 'project')}; taken is {first.name}, and "
                "--project names another"
            )
        return first
    if project not in by_name:
        meant = did_you_mean(project, by_name) or f" There are {', '.join(by_name)}."
        raise SettingError(f"{named(found.settings)}: there is no project {project!r:.100}.{meant}")
    return by_name[project]


def check_project_has_directory(project: str | None, path: str) -> None:
    """Raise a usage error if a project is named for what is no server's directory."""
    if project is not None and not is_served(path):
        raise click.UsageError(f"--project is for a server's directory, and '{named(path)}' is none")
