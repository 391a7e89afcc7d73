"""Warnings at close: how many steps were not committed and are lost, and how many may be."""

from __future__ import annotations


def losses(lost: int, doubtful: int) -> list[str]:
    """Return a warning for steps that are lost, and one for those that may be.

    Args:
        lost: The number of steps that were not committed.
        doubtful: The number of steps in an interrupted commit, when the journal cannot be asked.
    """
    warnings = []
    if lost:
        those = "1 step was not committed and is" if lost == 1 else f"{lost} steps were not committed and are"
        warnings.append(f"{those} lost; call commit() before close()")
    if doubtful:
        those = "1 step is" if doubtful == 1 else f"{doubtful} steps are"
        warnings.append(
            f"it is not known whether {those} in the journal: the commit was interrupted, and the journal "
            "cannot be asked now; open it again and look at position and offsets"
        )
    return warnings
