"""Questions whose rows are values of a property: the first of them, and the rest in one row."""

from __future__ import annotations

from dataclasses import dataclass

from idmerge.questions.question import Question
from idmerge.questions.sql import Columns, path_of


@dataclass(frozen=True, kw_only=True)
class RankedQuestion(Question):
    """A question whose rows are values of a property.

    Raises:
        ValueError: ``top`` or ``min_persons`` is too small.
    """

    top: int | None = None
    """The number of values with a row; all others are summed up in one."""
    min_persons: int = 0
    """Values of fewer persons, with stitching, are among the others."""
    by_path: bool = False
    """Values are URLs, and their paths count: without origin, query, fragment and last slash."""

    def __post_init__(self) -> None:
        """Check the numbers."""
        super().__post_init__()
        if self.top is not None and self.top < 1:
            raise ValueError(f"top must be at least 1 or None, got {self.top!r}")
        if self.min_persons < 0:
            raise ValueError(f"min_persons must be at least 0, got {self.min_persons!r}")

    @property
    def _has_others(self) -> bool:
        """Whether some values may be summed up in one row."""
        return self.top is not None or self.min_persons > 0

    def _value(self, columns: Columns, name: str) -> str:
        """Return the property by which rows are told apart, as text."""
        return path_of(columns.text(name)) if self.by_path else columns.text(name)

    def _label(self, name: str) -> str:
        """Return what rows are told apart by, in words."""
        return f"path of {name}" if self.by_path else name

    def _is_other(self, order: str, within: str = "") -> str:
        """Return the term that is true of the values that are summed up.

        Args:
            order: The order of rows.
            within: Where not all rows are in one order, the columns that tell the orders apart.
        """
        few = f"persons < {self.min_persons}"
        terms = [few] if self.min_persons else []
        if self.top is not None:
            order = f"{few}, {order}" if self.min_persons else order
            apart = f"PARTITION BY {within} " if within else ""
            terms.append(f"row_number() OVER ({apart}ORDER BY {order}) > {self.top}")
        return " OR ".join(terms)
