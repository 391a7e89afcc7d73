"""Every exception that idmerge raises on its own account.

A rejected link is an answer (`Outcome`), never one of these. Exceptions are for wrong calls, broken
files and exhausted limits. Each has `IdmergeError` as a base, and the built-in that a caller would
expect as the other.
"""

from idmerge._naming import visible


class IdmergeError(Exception):
    """Base of every exception that idmerge defines.

    Examples:
        >>> from idmerge import Resolver
        >>> from idmerge.errors import IdmergeError
        >>> try:
        ...     Resolver().members("ana")
        ... except IdmergeError as error:
        ...     print(error)
        'ana' is not known
    """

    __slots__ = ()  # So that the core's panics can have it as a base.

    def __str__(self) -> str:
        """Return the message, which may quote files, with control characters escaped."""
        return visible(super().__str__())


class PolicyError(IdmergeError, ValueError):
    """A policy's field has a value outside its range; the message names the field and the range.

    Examples:
        >>> from idmerge import Policy
        >>> from idmerge.errors import PolicyError
        >>> try:
        ...     Policy(max_cluster_size=1)
        ... except PolicyError as error:
        ...     print(error)
        max_cluster_size must be at least 2 or None, got 1
    """


class SettingError(IdmergeError, ValueError):
    """An environment variable, or a file of settings, holds what it cannot mean.

    The message names the place, and what is expected there.

    Examples:
        >>> import os
        >>> from unittest.mock import patch
        >>> from idmerge import Resolver
        >>> from idmerge.errors import SettingError
        >>> try:
        ...     with patch.dict(os.environ, IDMERGE_THREADS="many"):
        ...         Resolver()
        ... except SettingError as error:
        ...     print(error)
        IDMERGE_THREADS must be a positive integer, got 'many'
    """


class CanonicalError(IdmergeError, ValueError):
    """A canonical strategy is unknown, or a callable chose an ID outside the cluster.

    Examples:
        >>> from idmerge import Resolver
        >>> from idmerge.errors import CanonicalError
        >>> try:
        ...     Resolver(canonical="newest")
        ... except CanonicalError as error:
        ...     print(error)
        canonical must be one of 'stable', 'identified', 'first_seen', 'smallest' or a
        callable, got 'newest'
    """


class MalformedEventError(IdmergeError, ValueError):
    """An event is no JSON object, or an identity event lacks one of its two IDs (SPEC 3).

    ``operands`` holds what the event has of the two, None for what it lacks.

    Examples:
        >>> from idmerge import parse
        >>> from idmerge.errors import MalformedEventError
        >>> try:
        ...     parse({"event": "$create_alias", "properties": {"distinct_id": "ana"}})
        ... except MalformedEventError as error:
        ...     print(error, error.operands, sep="; ")
        $create_alias has no alias; (None, 'ana')
    """

    def __init__(self, message: str, operands: tuple[str | None, str | None] = (None, None)) -> None:
        super().__init__(message)
        self.operands = operands


class MalformedUpdateError(IdmergeError, ValueError):
    """A profile update has no ID, no operation, or a value that one cannot take (SPEC 10).

    Examples:
        >>> from idmerge import Profiles, Resolver
        >>> from idmerge.errors import MalformedUpdateError
        >>> try:
        ...     Profiles(Resolver()).update({"$distinct_id": "ana"})
        ... except MalformedUpdateError as error:
        ...     print(error)
        the update has no operation; expected one of $set, $set_once, $add, $append, $union,
        $remove, $unset, $delete
    """


class UnknownIdError(IdmergeError, KeyError):
    """The ID was never seen, so it has no cluster to report on.

    Examples:
        >>> from idmerge import Resolver
        >>> from idmerge.errors import UnknownIdError
        >>> try:
        ...     Resolver().members("ana")
        ... except UnknownIdError as error:
        ...     print(error)
        'ana' is not known
    """

    def __str__(self) -> str:
        """Return the message as it is; `KeyError` alone would quote it."""
        return visible(str(self.args[0])) if self.args else ""


class CapacityError(IdmergeError, OverflowError):
    """A limit of the resolver's arrays is reached; the message names the limit.

    Examples:
        >>> from idmerge.errors import CapacityError
        >>> try:
        ...     # As a resolver does that has so many.
        ...     raise CapacityError("the resolver can know at most 2147483647 IDs")
        ... except OverflowError as error:
        ...     print(error)
        the resolver can know at most 2147483647 IDs
    """


class PoisonedError(IdmergeError, RuntimeError):
    """An earlier call failed half-way inside the core; the resolver must be built anew.

    Examples:
        >>> from idmerge.errors import PoisonedError
        >>> try:
        ...     # As a resolver does after such a call.
        ...     raise PoisonedError("an earlier call failed half-way inside the core")
        ... except PoisonedError as error:
        ...     print(error)
        an earlier call failed half-way inside the core
    """


class InternalError(IdmergeError, RuntimeError):
    """The core met what it holds impossible, a bug of idmerge; what the call was to do is not done.

    A resolver that was being changed is of no use any more, and says so by `PoisonedError`; one
    that was read answers as before.

    Examples:
        >>> from idmerge.errors import InternalError
        >>> try:
        ...     # As the core does; the rest of the message is made here.
        ...     raise InternalError("a root has no size")
        ... except InternalError as error:
        ...     print(error)
        a bug of idmerge, please report it: a root has no size
    """

    __slots__ = ()

    def __reduce__(self) -> tuple[type[Exception], tuple[object, ...]]:
        """Return what a copy in another process is made of."""
        return InternalError, self.args

    def __str__(self) -> str:
        """Return what the core met, and what to do about it."""
        return f"a bug of idmerge, please report it: {super().__str__()}"


class SealedError(IdmergeError, RuntimeError):
    """The resolver was opened to read, or is closed, and takes no changes.

    Examples:
        >>> from idmerge import DurableResolver
        >>> from idmerge.errors import SealedError
        >>> r = DurableResolver.open(":memory:")
        >>> r.close()
        >>> try:
        ...     r.merge("ana", "crm-17")
        ... except SealedError as error:
        ...     print(error)
        :memory: is closed
    """


class KeptApartError(IdmergeError, ValueError):
    """Two IDs are together and cannot be kept apart unless what joined them is taken back.

    Examples:
        >>> from idmerge import Resolver
        >>> from idmerge.errors import KeptApartError
        >>> r = Resolver()
        >>> r.merge("ana", "ben")
        <Outcome.MERGED: 0>
        >>> try:
        ...     r.keep_apart("ana", "ben")
        ... except KeptApartError as error:
        ...     print(error)
        'ana' and 'ben' are together; take back the links that joined them first (explain,
        or idmerge why, names them)
    """


class PositionError(IdmergeError, ValueError):
    """There is no such position; the message says which there are.

    Examples:
        >>> from idmerge import DurableResolver
        >>> from idmerge.errors import PositionError
        >>> with DurableResolver.open(":memory:") as r:
        ...     try:
        ...         r.changes(since=5)
        ...     except PositionError as error:
        ...         print(error)
        since must be between 0 and 0, got 5
    """


class RetractionError(IdmergeError, ValueError):
    """A position cannot be taken back; the message says why.

    Examples:
        >>> from idmerge import DurableResolver
        >>> from idmerge.errors import RetractionError
        >>> with DurableResolver.open(":memory:") as r:
        ...     try:
        ...         _ = r.merge("ana", "crm-17"), r.commit(), r.retract(7)
        ...     except RetractionError as error:
        ...         print(error)
        there is nothing at position 7: positions go from 0 to 0
    """


class NoHistoryError(IdmergeError, RuntimeError):
    """The history of links was not kept; the message says how to keep it.

    Examples:
        >>> from idmerge import Resolver
        >>> from idmerge.errors import NoHistoryError
        >>> r = Resolver()
        >>> r.merge("ana", "ben")
        <Outcome.MERGED: 0>
        >>> try:
        ...     r.explain("ana", "ben")
        ... except NoHistoryError as error:
        ...     print(error)
        the resolver keeps no history of its links; make it with history=True, or open a
        journal
    """


class JournalError(IdmergeError, ValueError):
    """A journal is damaged, of another version or policy, or in use; the message gives details.

    Examples:
        >>> from idmerge import DurableResolver, Policy
        >>> from idmerge.errors import JournalError
        >>> DurableResolver.open("ids.idmerge").close()
        >>> try:
        ...     DurableResolver.open("ids.idmerge", Policy(alias_once=False))
        ... except JournalError as error:
        ...     print(error)
        ids.idmerge was made with another policy: alias_once is True, not False. Open it
        without a policy, or apply its links to a new journal
    """


class StoreError(IdmergeError, RuntimeError):
    """A store of profiles is in use, or another process changed it; the message says which.

    Examples:
        >>> from idmerge import Profiles, Resolver
        >>> from idmerge.errors import StoreError
        >>> ours, theirs = (Profiles.load("people", Resolver(), missing_ok=True) for _ in range(2))
        >>> theirs.save("people")
        >>> try:
        ...     ours.save("people")
        ... except StoreError as error:
        ...     print(error)
        people was changed by somebody else since it was loaded; load it again and apply the
        updates to that, or save to another file
    """


class FileFormatError(IdmergeError, ValueError):
    r"""A file is not what its name or its columns promise; the message names file and line.

    Examples:
        >>> from pathlib import Path
        >>> from idmerge.errors import FileFormatError
        >>> from idmerge.files import read
        >>> _ = Path("links.csv").write_text("kind,first,second\nunite,ana,ben\n")
        >>> try:
        ...     list(read("links.csv"))
        ... except FileFormatError as error:
        ...     print(error)
        links.csv:2: kind must be identify, alias, merge, mapping, association, $identify,
        $create_alias, $merge, 0, 1, 2, 8 or 13, got 'unite'
    """


class DialectError(IdmergeError, ValueError):
    """Rows have no known dialect, or a role or dialect is unknown; the message names the keys.

    Examples:
        >>> import idmerge
        >>> from idmerge.errors import DialectError
        >>> try:
        ...     idmerge.stitch("examples/shop.ndjson", dialect="heap")
        ... except DialectError as error:
        ...     print(error)
        no dialect is called 'heap'; there are mixpanel, pipeline, connector, flat, warehouse,
        singer, segment, rudderstack, posthog, amplitude, snowplow, mappings, people
    """


class ColumnError(IdmergeError, ValueError):
    """Events lack a column, or one holds values it cannot; the message names it and the values.

    Examples:
        >>> import pyarrow as pa
        >>> from idmerge import questions
        >>> from idmerge.errors import ColumnError
        >>> try:
        ...     questions.signup_rate(pa.table({"event": ["Sign Up"]}))
        ... except ColumnError as error:
        ...     print(error)
        the events have no column 'time'; they have 'event'
    """


class QuestionError(IdmergeError, ValueError):
    """A question names an event that does not occur, or its condition is no SQL expression.

    The message names what there is.

    Examples:
        >>> import idmerge
        >>> from idmerge import questions
        >>> from idmerge.errors import QuestionError
        >>> events = idmerge.stitch("examples/shop.ndjson")
        >>> try:
        ...     questions.signup_rate(events, signup="Signup")
        ... except QuestionError as error:
        ...     print(error)
        no event is called "Signup"; there are "Page View", "Read Post", "$identify", "Sign
        Up", "Add to Cart", "Purchase", "$create_alias", "$merge". Did you mean 'Sign Up'?
    """


class FullRunError(IdmergeError, ValueError):
    """An earlier result does not allow to go on from it exactly; the message says why.

    Examples:
        >>> from idmerge.errors import FullRunError
        >>> try:
        ...     # As `idmerge.spark.resolve` does.
        ...     raise FullRunError("ids-1 was resolved under another policy")
        ... except FullRunError as error:
        ...     print(error)
        ids-1 was resolved under another policy
    """


class SparkSessionError(IdmergeError, TypeError):
    """A Spark session lacks what the call needs; the message says which kind of session has it.

    Examples:
        >>> from idmerge.errors import SparkSessionError
        >>> try:
        ...     # As `idmerge.spark.resolve` does there.
        ...     raise SparkSessionError("resolve cannot run over Spark Connect")
        ... except TypeError as error:
        ...     print(error)
        resolve cannot run over Spark Connect
    """


class MissingExtraError(IdmergeError, ImportError):
    """An optional dependency is not installed; the message names what to install.

    Examples:
        >>> from idmerge.errors import MissingExtraError
        >>> try:
        ...     # As `idmerge.stitch` does without pyarrow.
        ...     raise MissingExtraError("stitching needs pyarrow: pip install pyarrow")
        ... except ImportError as error:
        ...     print(error)
        stitching needs pyarrow: pip install pyarrow
    """


class LogError(IdmergeError, ValueError):
    """A server's log is damaged or in use; the message names the file and the offset.

    Examples:
        >>> from idmerge.errors import LogError
        >>> from idmerge.server.log.log import Log
        >>> log = Log("log")
        >>> try:
        ...     next(log.read(17))
        ... except LogError as error:
        ...     print(error)
        log: the log holds the offsets 0 to 0, and not 17
        >>> log.close()
    """


class BusyError(IdmergeError, RuntimeError):
    """A server's log takes no more records now: too many wait for the disk, or it is closing.

    Examples:
        >>> from idmerge.errors import BusyError
        >>> from idmerge.server.log.log import Log
        >>> log = Log("log")
        >>> log.close()
        >>> try:
        ...     log.append_now([])
        ... except BusyError as error:
        ...     print(error)
        log: the log is closed
    """


class SinkError(IdmergeError, RuntimeError):
    """A sink cannot be delivered to: its cursor is of another journal, or it is something else.

    Examples:
        >>> from idmerge.errors import SinkError
        >>> from idmerge.sinks import open_sink
        >>> try:
        ...     open_sink("ftp://example.com/copy")
        ... except SinkError as error:
        ...     print(str(error)[:49])
        'ftp://example.com/copy' is no target of a sink;
    """


class MigrationError(IdmergeError, ValueError):
    """A migration is refused, or its directory is none; the message has the reason.

    Examples:
        >>> from idmerge import migration
        >>> from idmerge.errors import MigrationError
        >>> try:
        ...     migration.verify("examples")
        ... except MigrationError as error:
        ...     print(error)
        examples: the directory holds no migration (plan.json is missing)
    """


class CheckpointWarning(UserWarning):
    """A checkpoint was passed over; the message says why. The journal was read back instead.

    Examples:
        >>> import warnings
        >>> from pathlib import Path
        >>> from idmerge import DurableResolver
        >>> with DurableResolver.open("ids.idmerge") as r:
        ...     _ = r.merge("ana", "crm-17"), r.commit(), r.checkpoint()
        >>> _ = Path("ids.idmerge-checkpoint").write_bytes(b"damaged")
        >>> with warnings.catch_warnings(record=True) as caught:
        ...     warnings.simplefilter("always")
        ...     DurableResolver.open("ids.idmerge").close()
        >>> caught[0].category.__name__, "is passed over" in str(caught[0].message)
        ('CheckpointWarning', True)
    """


class StitchWarning(UserWarning):
    """Links among stitched events were malformed or all refused, or their times look local.

    Examples:
        >>> import warnings
        >>> import idmerge
        >>> import pyarrow as pa
        >>> events = pa.table({"event": ["$merge"], "distinct_id": ["ana"]})
        >>> with warnings.catch_warnings(record=True) as caught:
        ...     warnings.simplefilter("always")
        ...     _ = idmerge.stitch(events)
        >>> print(caught[0].category.__name__, caught[0].message)
        StitchWarning the only link was refused (1 MALFORMED), so no IDs were joined;
        on_report= gets the counts
    """
