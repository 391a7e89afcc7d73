"""The facts that a journal states, which must be those that its caller asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from idmerge.canonical import STRATEGIES, Strategy
from idmerge.errors import JournalError
from idmerge.journal.protocol import Facts
from idmerge.policy import Policy

if TYPE_CHECKING:
    from idmerge.journal.protocol import Journal


def strategy_of(facts: Facts) -> Strategy:
    """Return the canonical strategy that a journal states.

    Raises:
        JournalError: There is none of that name.
    """
    for strategy in STRATEGIES:
        if strategy == facts.canonical:
            return strategy
    raise JournalError(
        f"the journal's canonical strategy is {facts.canonical!r}, expected one of {', '.join(STRATEGIES)}"
    )


def settled_facts(
    journal: Journal, policy: Policy | None, canonical: str | None, *, read_only: bool
) -> Facts:
    """Return what the journal states, after stating it if the journal is new.

    Raises:
        JournalError: It states another policy or strategy than these, or is to be read and not finished.
    """
    facts = journal.facts()
    if facts is None and read_only:
        raise JournalError(f"{journal.name} is not finished yet by whoever makes it; open it again later")
    if facts is None:
        facts = Facts(policy=policy or Policy(), canonical=canonical or "stable", format=journal.version)
        journal.state(facts)
    _check_facts(journal.name, facts, policy, canonical)
    return facts


def _check_facts(name: str, facts: Facts, policy: Policy | None, canonical: str | None) -> None:
    """Make sure that what the caller asks for is what the journal states."""
    if policy is not None and policy != facts.policy:
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
