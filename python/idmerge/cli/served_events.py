"""The events of a server's project as a file for commands, while the server may run."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from idmerge._naming import named
from idmerge.cli.options import given_policy, is_given
from idmerge.cli.progress import working
from idmerge.cli.served import is_served, project_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from idmerge.doctor import Diagnosis
    from idmerge.server.directory import Project


class ServedEvents(NamedTuple):
    """The events of a project."""

    project: Project
    path: str
    """A file of its events in the order of the log, which is there until the command ends."""


def served_events(paths: Sequence[str], project: str | None, *, judged: bool = True) -> ServedEvents | None:
    """Return the events of the project that is meant; None if ``paths`` are no server's directory.

    Args:
        paths: The arguments of the command.
        project: The project's name; None for the first one.
        judged: Whether refused events have the reason (`idmerge.server.store.following.lines_of`).

    Raises:
        click.UsageError: The directory comes with other files, or with rules, which it has itself.
        LogError: Its files are damaged.
        SettingError: There is no such project.
        OSError: The files cannot be read, or there is no room for the events.
    """
    served = [path for path in paths if is_served(path)]
    if not served:
        if project is not None:
            raise click.UsageError("--project is for a server's directory, and none is named")
        return None
    if len(paths) > 1:
        raise click.UsageError(f"'{named(served[0])}' is a server's directory; name it alone")
    if given_policy() or is_given("canonical"):
        raise click.UsageError("a server's settings have the policy; leave the policy's options out")
    found = project_of(served[0], project)
    place = click.get_current_context().with_resource(tempfile.TemporaryDirectory())
    path = Path(place) / f"{found.name}.ndjson"
    with working("reading the server's events"):
        _write(path, Path(served[0]) / "log", found, judged=judged)
    return ServedEvents(found, str(path))


def _write(path: Path, log: Path, project: Project, *, judged: bool) -> None:
    from idmerge.server.store.following import lines_of  # noqa: PLC0415 - many runs have no server

    with path.open("wb") as file:
        file.writelines(lines_of(log, project, judged=judged))


def of_directory(diagnosis: Diagnosis, directory: str) -> Diagnosis:
    """Return the diagnosis of the events of a server's directory, which were in a passing file.

    Its examples name no places: the file is gone when somebody reads them.
    """
    findings = tuple(
        replace(
            finding, examples=tuple(replace(example, file=None, line=None) for example in finding.examples)
        )
        for finding in diagnosis.findings
    )
    overview = replace(diagnosis.overview, sources=(named(directory),))
    return replace(diagnosis, overview=overview, findings=findings)
