"""Every command of the command line with its parameters, by click, and a call of each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import click

from idmerge.cli.completion import FileName
from idmerge.cli.group import commands

VALID = {
    "TARGET": "ndjson:copy",
    "FILE...": "e.ndjson",
    "UPDATES...": "u.ndjson",
    "EVENTS...": "e.ndjson",
    "PATH": "ids.idmerge",
    "POSITION...": "0",
    "ID": "a",
    "A": "a",
    "B": "b",
    "OUT": "out.csv",
    "DIR": "served",
}
"""A value for each required parameter, by its metavar; a new one is added here."""
NO_PATHS = {
    *("ID", "A", "B", "EVENT", "PROPERTY", "NAME", "LENGTH", "N|none", "POSITION|TIME", "POSITION..."),
    *("EXPR", "DATE"),
}
"""The metavars of texts that are no paths; whatever else takes text is taken for one."""
BESIDE = {
    "bench": ["--ids", "100"],
    "forget": ["--confirm"],
    "init": ["--force"],
    "generate": ["--events", "3"],
    "migrate": ["--dry-run"],
    "profiles": ["--events", "e.ndjson"],
    "serve": ["--fd", "0"],  # Which is no socket: it ends before it listens.
}
"""Options without which a call means nothing, or takes long."""


class Parameter(NamedTuple):
    """A parameter of a command."""

    command: tuple[str, ...]
    beside: tuple[str, ...]
    """Arguments and options that make a whole call, but for this one."""
    place: int
    """Its position among these."""
    flag: str | None
    """The option's name; None for an argument."""
    takes_path: bool

    def calls(self, value: str) -> list[list[str]]:
        """Return the calls that give ``value`` to the parameter, in the ways that a shell has."""
        before, after = self.beside[: self.place], self.beside[self.place :]
        ways = [[value]] if self.flag is None else [[self.flag, value], [f"{self.flag}={value}"]]
        return [[*self.command, *before, *way, *after] for way in ways]

    def __str__(self) -> str:
        return f"{' '.join(self.command)} {self.flag or self.place}"


def leaves(
    group: click.Group = commands, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Yield every command with its name, those of groups within groups too."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None, name
        if isinstance(command, click.Group):
            yield from leaves(command, (*path, name))
        else:
            yield (*path, name), command


def parameters() -> Iterator[Parameter]:
    """Yield every parameter of every command."""
    for name, command in leaves():
        for chosen in command.params:
            beside = [] if {"--events", "--journal"} & {*chosen.opts} else BESIDE.get(name[0], [])
            given: list[str] = [] if {*beside} & {*chosen.opts} else [*beside]
            place = len(given)
            for other in command.params:
                if other is chosen:
                    place = len(given)
                elif other.required or other.nargs == -1:
                    given += [other.opts[0]] if isinstance(other, click.Option) else []
                    given.append(valid(other))
            is_option = isinstance(chosen, click.Option)
            takes_path = not metavars(chosen) & NO_PATHS and isinstance(
                chosen.type, (click.types.StringParamType, FileName)
            )
            flag = chosen.opts[-1] if is_option else None
            yield Parameter(
                name, tuple(given), place, flag, takes_path and not getattr(chosen, "is_flag", False)
            )


def metavars(parameter: click.Parameter) -> set[str | None]:
    """Return how the help calls the parameter's value."""
    return {parameter.metavar}


def valid(parameter: click.Parameter) -> str:
    """Return a value with which a call goes through."""
    if isinstance(parameter.type, click.IntRange):
        return "0"
    return VALID[str(parameter.metavar)]
