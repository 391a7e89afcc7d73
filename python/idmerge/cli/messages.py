"""Answers and messages as lines of text, without secrets and control characters."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from idmerge._naming import named, visible, without_secrets

if TYPE_CHECKING:
    from collections.abc import Sequence

_GIVEN = "idmerge.given"


def remember(context: click.Context, arguments: Sequence[str]) -> None:
    """Keep the ``arguments`` of the call, whose secrets no message may quote."""
    context.find_root().meta.setdefault(_GIVEN, []).extend(arguments)


def shown(text: str, given: Sequence[str] | None = None) -> str:
    """Return ``text`` as it can be shown.

    ``given`` are the call's arguments, if none is running yet.
    """
    context = click.get_current_context(silent=True)
    if given is None:
        given = context.find_root().meta.get(_GIVEN, ()) if context else ()
    return visible(without_secrets(text, given))


def tell(text: str) -> None:
    """Print one line to standard error."""
    click.echo(shown(text), err=True)


def labelled(label: str, text: str) -> str:
    """Return one line of an answer: the label, in bold where the terminal can, and the text."""
    return f"{click.style(f'{label:<12}', bold=True)}{shown(text)}"


def tell_written(what: str, path: str) -> None:
    """Print to standard error where something went."""
    click.echo(labelled("written", f"{what} to {named(path)}"), err=True)


def tell_note(text: str) -> None:
    """Print a note to standard error, in one line."""
    click.echo(labelled("note", text), err=True)
