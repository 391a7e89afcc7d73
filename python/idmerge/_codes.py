"""Enumerations whose members are stored as numbers and print as names."""

from __future__ import annotations

from enum import IntEnum


class Code(IntEnum):
    """A member equals its number, and ``str`` and ``format`` give its name."""

    def __str__(self) -> str:
        """Return the name."""
        return self.name

    def __format__(self, spec: str) -> str:
        """Format the name."""
        return format(self.name, spec)
