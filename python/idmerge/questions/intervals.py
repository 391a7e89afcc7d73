"""Intervals of shares: how much a share of few persons says."""

from __future__ import annotations

from math import sqrt

FEW = 1000
"""Persons below which a share is shown with its interval; above, that is 3.1 points at most."""
NORMAL = 1.959963984540054
"""Standard deviations of a normal distribution within which 95% of it lie."""


def wilson(part: int, whole: int) -> tuple[float, float]:
    """Return the 95% interval of the share ``part / whole`` (Wilson's score interval).

    ``whole`` persons are taken for a sample of those who might come; of 95% of such samples the
    interval holds the share among all of them. Unlike the normal approximation it stays within 0
    and 1, and holds for few persons and for shares near 0 and 1.

    Source: E. B. Wilson, Probable Inference, the Law of Succession, and Statistical Inference,
    Journal of the American Statistical Association 22 (1927).

    Raises:
        ValueError: There is no such share.

    Examples:
        >>> from idmerge.questions import wilson
        >>> low, high = wilson(6, 17)
        >>> print(f"{low:.3f} to {high:.3f}")
        0.173 to 0.587
    """
    if not 0 <= part <= whole or whole == 0:
        raise ValueError(f"a share must be of at least 1 and be no more than it, got {part} of {whole}")
    share, spread = part / whole, NORMAL * NORMAL / whole
    middle = (share + spread / 2) / (1 + spread)
    around = NORMAL * sqrt(share * (1 - share) / whole + spread / (4 * whole)) / (1 + spread)
    # Rounding must not put the share itself outside.
    return max(0.0, min(share, middle - around)), min(1.0, max(share, middle + around))


def shown_interval(part: int | None, whole: int | None) -> str:
    """Return the interval of a share of few persons as text; nothing for one of many or none."""
    if not whole or part is None or whole >= FEW:
        return ""
    low, high = wilson(part, whole)
    return f"{100 * low:.1f} to {100 * high:.1f}%"
