"""Calls of the command line within the process, and events as the lines that it reads."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from click.testing import CliRunner

from idmerge.cli.group import commands

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from click.testing import Result


def run(*arguments: object, stdin: bytes = b"", code: int = 0) -> Result:
    """Return the result of ``idmerge ARGUMENTS``, which must exit with ``code``."""
    result = CliRunner().invoke(commands, [*map(str, arguments)], input=stdin, prog_name="idmerge")
    assert result.exit_code == code, result.output
    return result


def error_of(*arguments: object, code: int = 1) -> str:
    """Run a command that fails without a word on standard output; return its last line."""
    result = run(*arguments, code=code)
    assert result.stdout == ""
    return result.stderr.splitlines()[-1].removeprefix("idmerge: error: ").removeprefix("Error: ")


def ndjson(events: Iterable[Mapping[str, Any]]) -> bytes:
    """Return the events as JSON, one a line."""
    return "".join(json.dumps(event) + "\n" for event in events).encode()
