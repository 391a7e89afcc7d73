"""The facts of a report on a migration, as plain data."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Links that Original refused for one reason.

    Examples:
        >>> from idmerge import migration
        >>> migrated = migration.plan("examples/flow-4-shared-device-without-reset.ndjson")
        >>> migrated.report.refused
        (Refusal(reason='ANON_CLAIMED', links=1, recovered=0),)
    """

    reason: str
    """The name of the outcome, with Mixpanel's own reason where it refused the link itself."""
    links: int
    recovered: int
    """Those whose two IDs are one person in Simplified."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterExample:
    """A cluster that Simplified cannot show as it is.

    Examples:
        >>> from idmerge import migration
        >>> [example] = migration.plan("examples/flow-5-merge.ndjson").report.ambiguous_examples
        >>> example.size, example.users, example.people
        (4, ('ada@example.com', 'grace@example.com'), 2)
    """

    members: tuple[str, ...]
    """The first members, in the order in which they became known."""
    size: int
    users: tuple[str, ...]
    """The first users."""
    user_count: int
    events: int
    """Ordinary events of all members."""
    people: int
    """The people whom Simplified shows for it."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Facts:
    """Counts, shares and examples of a migration; `MigrationReport` shows them."""

    sources: tuple[str, ...]
    events: int
    """Events that were read."""
    identity_events: int
    """Those of them that state links, which are not written."""
    nobodys_events: int
    """Ordinary events without an ID that Original takes; they are written without one."""
    ids: int
    """IDs that Original knows."""
    clusters: int
    resolved: int
    """Clusters with a user."""
    anonymous_only: int
    """Clusters without one: nothing in Simplified joins two devices."""
    ambiguous: int
    """Resolved clusters with several users."""
    anonymous_ids: int
    """The members of the clusters without a user."""
    associations: int
    """Events that will be written to associate a device with its user."""
    links: int
    refused: tuple[Refusal, ...]
    """The links that Original refused, by reason, the most frequent first."""
    people_before: int
    """Clusters of Original, those of one ID among them."""
    people_after: int
    """People whom Simplified shows for the same IDs."""
    recovery: float
    """Of the events of the closure, the share whose person is kept."""
    recovery_of_ids: float
    """The same of its IDs."""
    recovery_by_original: float
    """The share of events whose person Original's own clusters kept."""
    changed_events: int
    """Events whose person is another one than Original showed."""
    changed: float
    """Their share of the events with an ID."""
    taken_ids: int
    """IDs whose device has another user, because two IDs are one device in Simplified."""
    lost_ids: int
    """IDs that Simplified does not take: blocked, or too long behind ``$device:``."""
    ambiguous_examples: tuple[ClusterExample, ...]
    anonymous_examples: tuple[ClusterExample, ...]
