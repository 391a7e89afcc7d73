"""Numbers as the parameters of a query state them."""

from __future__ import annotations


def number_of(name: str, text: str, least: int, most: int) -> int:
    """Return the number that a parameter states.

    Raises:
        ValueError: It is no number from ``least`` to ``most``; the text names the parameter.

    Examples:
        >>> from idmerge.server.reading.numbers import number_of
        >>> number_of("limit", "20", 1, 100)
        20
        >>> number_of("limit", "1e9", 1, 100)
        Traceback (most recent call last):
        ValueError: limit must be a number from 1 to 100
    """
    is_number = text.isascii() and text.isdigit() and len(text) <= len(str(most))
    number = int(text) if is_number else least - 1
    if not least <= number <= most:
        raise ValueError(f"{name} must be a number from {least} to {most}")
    return number
