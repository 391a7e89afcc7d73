"""Journals by their path or URL, and the facts that a caller asks of them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from idmerge._naming import check_local, is_journal_url
from idmerge.errors import JournalError
from idmerge.journal.facts import Facts, asked_of
from idmerge.policy import Policy, preset

if TYPE_CHECKING:
    import os

    from idmerge.journal.protocol import Journal
    from idmerge.policy import Api


def open_journal(path: str | os.PathLike[str], *, create: bool, read_only: bool) -> Journal:
    """Open the journal at ``path``: a file's path, or a ``postgresql://`` or ``postgres://`` URL.

    A new one has no facts yet.

    Raises:
        FileNotFoundError: There is none, and ``create`` is false or ``read_only`` true.
        JournalError: It is in use by another writer, no journal, or damaged.
        MissingExtraError: It is a URL, and psycopg is not installed.
        OSError: It cannot be reached.

    Examples:
        >>> from idmerge import DurableResolver
        >>> from idmerge.journal import open_journal
        >>> DurableResolver.open("ids.idmerge", canonical="first_seen").close()
        >>> journal = open_journal("ids.idmerge", create=False, read_only=True)
        >>> journal.facts().canonical, list(journal.batches())
        ('first_seen', [])
        >>> journal.close()
    """
    if is_journal_url(path):
        from idmerge.journal.postgres import PostgresJournal  # noqa: PLC0415 - needs an extra

        return PostgresJournal(str(path), create=create, read_only=read_only)
    check_local(path, "a journal's path or postgresql:// URL is needed")
    from idmerge.journal.sqlite import SqliteJournal  # noqa: PLC0415

    return SqliteJournal(path, create=create, read_only=read_only)


def settled_facts(
    journal: Journal, policy: Policy | None, canonical: str | None, api: Api | None, *, read_only: bool
) -> Facts:
    """Return what the journal states, after stating it if the journal is new.

    Raises:
        JournalError: It states another policy or strategy than these, or is to be read and not
            finished.
    """
    facts = journal.facts()
    if facts is None and read_only:
        raise JournalError(
            f"{journal.name} is not finished yet by the process that makes it; open it again later"
        )
    if facts is None:
        facts = Facts(
            policy=policy or preset(api or "original"),
            canonical=canonical or "stable",
            format=journal.version,
        )
        journal.state(facts)
    if api is not None and policy is None:
        policy = replace(facts.policy, api=api)
    _check_facts(journal.name, facts, policy, canonical)
    return facts


def _check_facts(name: str, facts: Facts, policy: Policy | None, canonical: str | None) -> None:
    """Make sure that what the caller asks for is what the journal states."""
    if policy is not None and (policy := asked_of(facts, policy)) != facts.policy:
        differing = [
            f"{field} is {getattr(facts.policy, field)!r}, not {getattr(policy, field)!r}"
            for field in Policy.__dataclass_fields__
            if getattr(policy, field) != getattr(facts.policy, field)
        ]
        raise JournalError(
            f"{name} was made with another policy: {'; '.join(differing)}. Open it without a policy, "
            "or apply its links to a new journal"
        )
    if canonical is not None and canonical != facts.canonical:
        raise JournalError(
            f"{name} was made with canonical={facts.canonical!r}, not {canonical!r}. Open it without, "
            "or apply its links to a new journal"
        )
