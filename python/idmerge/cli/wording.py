"""How answers read on a terminal: by the package's own words, and in bold."""

import click

from idmerge.cli.messages import shown
from idmerge.wording import aligned, counted, cut, printable, shortened, utc

__all__ = ["aligned", "counted", "cut", "labelled", "printable", "shortened", "utc"]


def labelled(label: str, text: str) -> str:
    """Return one line of an answer: a label in bold where the terminal can, and what it labels."""
    return f"{click.style(f'{label:<12}', bold=True)}{shown(text)}"
