"""Every exception that idmerge raises on its own account.

A rejected link is an answer (`Outcome`), never one of these. Exceptions are for wrong calls, broken
files and exhausted limits. Each has `IdmergeError` as a base, and the built-in that a caller would
expect as the other.
"""

from idmerge._naming import visible


class IdmergeError(Exception):
    """Base of every exception that idmerge defines."""

    __slots__ = ()  # So that the core's panics can have it as a base.

    def __str__(self) -> str:
        """Return the message, which may quote files, with control characters escaped."""
        return visible(super().__str__())


class PolicyError(IdmergeError, ValueError):
    """A policy's field has a value outside its range; the message names the field and the range."""


class SettingError(IdmergeError, ValueError):
    """An environment variable holds what it cannot mean; the message names both."""


class CanonicalError(IdmergeError, ValueError):
    """A canonical strategy is unknown, or a callable chose an ID outside the cluster."""


class MalformedEventError(IdmergeError, ValueError):
    """An event is no JSON object, or an identity event lacks one of its two IDs (SPEC 3).

    ``operands`` holds what the event has of the two, None for what it lacks.
    """

    def __init__(self, message: str, operands: tuple[str | None, str | None] = (None, None)) -> None:
        super().__init__(message)
        self.operands = operands


class MalformedUpdateError(IdmergeError, ValueError):
    """A profile update has no ID, no operation, or a value that one cannot take (SPEC 10)."""


class UnknownIdError(IdmergeError, KeyError):
    """The ID was never seen, so it has no cluster to report on."""

    def __str__(self) -> str:
        """Return the message as it is; `KeyError` alone would quote it."""
        return visible(str(self.args[0])) if self.args else ""


class CapacityError(IdmergeError, OverflowError):
    """A limit of the resolver's arrays is reached; the message names the limit."""


class PoisonedError(IdmergeError, RuntimeError):
    """An earlier call failed half-way inside the core; the resolver must be built anew."""


class InternalError(IdmergeError, RuntimeError):
    """The core met what it holds impossible, a bug of idmerge; what the call was to do is not done.

    A resolver that was being changed is of no use any more, and says so by `PoisonedError`; one
    that was read answers as before.
    """

    __slots__ = ()

    def __reduce__(self) -> tuple[type[Exception], tuple[object, ...]]:
        """Return what a copy in another process is made of."""
        return InternalError, self.args

    def __str__(self) -> str:
        """Return what the core met, and what to do about it."""
        return f"a bug of idmerge, please report it: {super().__str__()}"


class SealedError(IdmergeError, RuntimeError):
    """The resolver was opened to read, or is closed, and takes no changes."""


class KeptApartError(IdmergeError, ValueError):
    """Two IDs are together and cannot be kept apart unless what joined them is taken back."""


class PositionError(IdmergeError, ValueError):
    """There is no such position; the message says which there are."""


class RetractionError(IdmergeError, ValueError):
    """A position cannot be taken back; the message says why."""


class NoHistoryError(IdmergeError, RuntimeError):
    """The history of links was not kept; the message says how to keep it."""


class JournalError(IdmergeError, ValueError):
    """A journal is damaged, of another version or policy, or in use; the message gives details."""


class StoreError(IdmergeError, RuntimeError):
    """A store of profiles is in use, or another process changed it; the message says which."""


class FileFormatError(IdmergeError, ValueError):
    """A file is not what its name or its columns promise; the message names file and line."""


class DialectError(IdmergeError, ValueError):
    """Rows have no known dialect, or a role or dialect is unknown; the message names the keys."""


class ColumnError(IdmergeError, ValueError):
    """Events lack a column, or one holds values it cannot; the message names it and the values."""


class FullRunError(IdmergeError, ValueError):
    """An earlier result does not allow to go on from it exactly; the message says why."""


class SparkSessionError(IdmergeError, TypeError):
    """A Spark session lacks what the call needs; the message says which kind of session has it."""


class MissingExtraError(IdmergeError, ImportError):
    """An optional dependency is not installed; the message names what to install."""


class CheckpointWarning(UserWarning):
    """A checkpoint was passed over; the message says why. The journal was read back instead."""


class StitchWarning(UserWarning):
    """Links among stitched events were malformed or all refused, or their times look local."""
