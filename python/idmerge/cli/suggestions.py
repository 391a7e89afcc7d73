"""A group of commands that answers a typo with the commands that are spelt like it."""

from __future__ import annotations

import click

from idmerge._formatting import did_you_mean
from idmerge.cli.sections import FittingContext


class SuggestingGroup(click.Group):
    """A group whose error for an unknown command suggests others; click does so for options."""

    context_class = FittingContext

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that the first of ``args`` names, and the rest of them."""
        name, known = args[0], self.list_commands(ctx)
        if name not in known and not name.startswith("-"):
            ctx.fail(f"No such command {name!r}.{did_you_mean(name, known)}")
        return super().resolve_command(ctx, args)
