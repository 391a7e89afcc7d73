"""Facts that hold for a whole journal: its format, its policy and its canonical strategy."""

from __future__ import annotations

import json
import zlib
from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from idmerge.canonical import STRATEGIES, Strategy
from idmerge.errors import JournalError, PolicyError
from idmerge.policy import Policy

if TYPE_CHECKING:
    from collections.abc import Mapping

FORMAT = 4
"""The version of the format of new journals.

Examples:
    >>> from idmerge.journal import FORMAT
    >>> FORMAT
    4
"""
FORMATS = range(1, FORMAT + 1)
"""The versions that are read, and written to as they are: a journal keeps the format that it was
made in."""
_SINCE: Mapping[int, Mapping[str, Any]] = {
    3: {"verdicts": "ignore", "evidence": False},
    4: {"api": "original"},
}
"""The fields of a policy that formats before a number do not state, as their links were judged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Facts that hold for a whole journal.

    Examples:
        >>> from idmerge import Policy
        >>> from idmerge.journal import Facts
        >>> facts = Facts(policy=Policy(max_cluster_size=501), canonical="stable")
        >>> Facts.from_json(facts.to_json()) == facts
        True
    """

    policy: Policy
    """The rules by which its links are judged."""
    canonical: str
    """The name of its canonical strategy."""
    format: int = FORMAT

    def to_json(self) -> str:
        """Return the facts as JSON, with their checksum."""
        policy = {**asdict(self.policy), "blocked_ids": sorted(self.policy.blocked_ids)}
        policy = {name: value for name, value in policy.items() if name not in _newer_than(self.format)}
        stated = {"format": self.format, "canonical": self.canonical, "policy": policy}
        return json.dumps({**stated, "checksum": _checksum(stated)})

    @classmethod
    def from_json(cls, text: str) -> Facts:
        """Return the facts that ``text`` states.

        Raises:
            JournalError: It states none, or those of another format.
        """
        try:
            stated = json.loads(text)
            found = stated["format"]
            checksum = stated.pop("checksum", None)
            check_format("the journal", found)
            if checksum != _checksum(stated):
                raise JournalError("the journal's facts are damaged: their checksum is another one")
            rules = {**stated["policy"], **_newer_than(found)}
            known = {field.name for field in fields(Policy)}
            if set(rules) != known:
                raise JournalError(
                    f"the journal's policy has the fields {sorted(rules)}, expected {sorted(known)}"
                )
            policy = Policy(**{**rules, "blocked_ids": frozenset(rules["blocked_ids"])})
            return cls(policy=policy, canonical=stated["canonical"], format=found)
        except (ValueError, TypeError, KeyError, PolicyError) as error:
            if isinstance(error, JournalError):
                raise
            raise JournalError(f"the journal's facts are damaged: {error!r}") from error


def asked_of(facts: Facts, policy: Policy) -> Policy:
    """Return ``policy`` as it is asked of a journal with these facts.

    A default that is newer than the journal asks for nothing: the journal goes on as it was judged.
    """
    was, default = facts.policy, Policy()
    newer = _newer_than(facts.format)
    stated = {name: getattr(was, name) for name in newer if getattr(policy, name) == getattr(default, name)}
    if facts.format >= 3:  # noqa: PLR2004
        return replace(policy, **stated)
    if policy.anon_format == default.anon_format and was.anon_format == "uuid4":  # The default of then.
        stated["anon_format"] = was.anon_format
    return replace(policy, **stated)


def _newer_than(found: int) -> dict[str, Any]:
    """Return the fields that the format does not state."""
    return {name: value for number, new in _SINCE.items() if found < number for name, value in new.items()}


def check_format(name: str, found: object) -> None:
    """Make sure that this version reads a journal's format.

    Raises:
        JournalError: It does not; the message says which it reads.
    """
    if found not in FORMATS:
        known = f"{', '.join(map(str, FORMATS[:-1]))} and {FORMATS[-1]}"
        raise JournalError(
            f"{name} has format {found!r}, and this version reads formats {known}; read it with the "
            "version of idmerge that wrote it"
        )


def _checksum(stated: Mapping[str, Any]) -> int:
    return zlib.crc32(json.dumps(stated).encode())


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
