"""The completion of names of files in a shell; click completes commands, options and choices."""

from __future__ import annotations

from typing import Any

import click
from click.shell_completion import CompletionItem


class FileName(click.ParamType):  # type: ignore[type-arg]  # Generic since click 8.4.
    """A text that names a file, or what may stand in its place: a journal's URL, ``-``."""

    name = "file"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:  # noqa: ARG002
        """Return the value."""
        return value

    def shell_complete(
        self,
        ctx: click.Context,  # noqa: ARG002 - click's
        param: click.Parameter,  # noqa: ARG002
        incomplete: str,
    ) -> list[CompletionItem[Any]]:
        """Ask the shell for the files whose names begin so."""
        return [CompletionItem(incomplete, type="file")]


FILE = FileName()
