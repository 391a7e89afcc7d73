"""Why two IDs of a journal are one person, or are not."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from idmerge.journal.durable import DurableResolver
    from idmerge.recorded import RecordedLink


class Connection(NamedTuple):
    """What joins two IDs, or stands between them (`connection`)."""

    chain: list[RecordedLink] | None
    """The links that join them, from the first to the second; None if they are apart."""
    rejected: list[RecordedLink]
    """The rejected links between their two clusters; none if they are together."""


def connection(resolver: DurableResolver, a: str, b: str) -> Connection:
    """Return why two IDs are one person, or are not.

    Raises:
        UnknownIdError: One is not known.
        JournalError: The journal is damaged.

    Examples:
        >>> from idmerge import DurableResolver
        >>> from idmerge.journal.connection import connection
        >>> with DurableResolver.open(":memory:") as r:
        ...     _ = r.alias("crm-17", "ana"), r.alias("crm-17", "ben"), r.commit()
        ...     together, apart = connection(r, "crm-17", "ana"), connection(r, "ana", "ben")
        >>> [link.kind.name for link in together.chain], together.rejected
        (['ALIAS'], [])
        >>> apart.chain, [link.outcome.name for link in apart.rejected]
        (None, ['ALIAS_TAKEN'])
    """
    chain = resolver.explain(a, b)
    return Connection(chain, [] if chain is not None else resolver.why_not(a, b))
