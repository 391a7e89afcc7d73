"""The rules by which a link is judged, as data (SPEC 2, "Switches").

A policy decides nothing itself: the core reads its fields and judges by them. `Policy()` follows
Mixpanel's Original ID Merge API; every field that departs from it is a choice of the caller's.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import inf
from typing import Literal, get_args

from idmerge.errors import PolicyError

Api = Literal["original", "simplified", "legacy"]
AnonFormat = Literal["mixpanel", "uuid4", "sdk", "any"]
AnonGuard = Literal["anon", "cluster", "off"]
Verdicts = Literal["respect", "ignore"]

DEVICE_PREFIX = "$device:"
"""The prefix of anonymous IDs from SDKs since 2023. It is part of the ID and never stripped."""

DEFAULT_BLOCKED_IDS = frozenset(
    {
        "00000000-0000-0000-0000-000000000000",
        "anon",
        "anonymous",
        "nil",
        "none",
        "null",
        "n/a",
        "na",
        "undefined",
        "unknown",
        "<nil>",
        "0",
        "-1",
        "true",
        "false",
        "[]",
        "{}",
        "lmy47d",
        DEVICE_PREFIX,
    }
)
"""Values that broken clients send for everybody, and that would fuse all their users (SPEC 4).

Examples:
    >>> from idmerge import DEFAULT_BLOCKED_IDS, Policy
    >>> policy = Policy(blocked_ids=DEFAULT_BLOCKED_IDS | {"guest"})
    >>> "guest" in policy.blocked_ids, "undefined" in policy.blocked_ids
    (True, True)
"""

DEFAULT_MAX_CLUSTER_SIZE = 500
DEFAULT_MAX_ID_LENGTH = 255


_UUID4 = "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
_OLD_WEB = "[0-9a-f]{11,}-[0-9a-f]+-[0-9a-f]+-[0-9a-f]+-[0-9a-f]{11,}"
"""The IDs that the web SDK made until March 2025."""

ANON_FORMATS = {
    "mixpanel": rf"(\$device:)?(?i:{_UUID4}|{_OLD_WEB})",
    "uuid4": rf"(\$device:)?(?i:{_UUID4})",
    "sdk": r"(\$device:)?[0-9A-Za-z]+(-[0-9A-Za-z]+){4}",
    "any": r"(?s:.*)",
}
"""Each anonymous format as a regular expression that the whole ID matches."""


def is_unicode(text: str) -> bool:
    """Return whether ``text`` is Unicode text: Python's str may also hold lone surrogates."""
    return text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)


def ascii_lower(text: str) -> str:
    """Return ``text`` with A-Z in lower case; other letters stay, whatever the Unicode version."""
    return text.translate(_ASCII_LOWER)


_ASCII_LOWER = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The rules by which links are judged. Frozen, comparable, hashable, picklable.

    Raises:
        PolicyError: A field has a value outside its range.
        TypeError: A field has a value of the wrong type.

    Examples:
        >>> from idmerge import Policy, Resolver
        >>> strict = Policy(max_cluster_size=2, blocked_ids={"null", "guest"})
        >>> r = Resolver(strict)
        >>> r.merge("ana", "crm-17"), r.merge("ana", "crm-18"), r.merge("ana", "GUEST")
        (<Outcome.MERGED: 0>, <Outcome.TOO_MANY_IDS: 6>, <Outcome.INVALID_ID: 7>)
        >>> Policy.unrestricted().max_cluster_size is None
        True
        >>> simplified, legacy = Resolver(Policy.simplified()), Resolver(Policy.legacy())
        >>> event = {"event": "Log In", "properties": {"$device_id": "d", "$user_id": "ana"}}
        >>> simplified.apply(event), simplified.resolve("$device:d")
        (<Outcome.MERGED: 0>, 'ana')
        >>> legacy.alias("crm-17", "ana"), legacy.merge("ana", "ben")
        (<Outcome.MERGED: 0>, <Outcome.VERB_NOT_ALLOWED: 12>)
    """

    api: Api = "original"
    """The API of Mixpanel's whose links are taken (SPEC 2): ``"original"`` (Original ID Merge: the
    three identity events), ``"simplified"`` (Simplified ID Merge: events of both a device and a
    user) or ``"legacy"`` (no ID Merge: aliases). Any other link is `Outcome.VERB_NOT_ALLOWED`."""
    max_cluster_size: int | None = DEFAULT_MAX_CLUSTER_SIZE
    """Largest cluster allowed, in IDs, inclusive; None for no limit."""
    anon_format: AnonFormat = "mixpanel"
    """The format of an ``anon_id``: ``"mixpanel"`` (a UUIDv4, or five hyphenated groups of hex
    digits of which the first and the last have at least 11, as the web SDK made them until March
    2025), ``"uuid4"``, ``"sdk"`` (five hyphenated groups of ASCII letters or digits) or ``"any"``;
    all but the last with an optional ``$device:`` before it."""
    anon_guard: AnonGuard = "anon"
    """The rule by which an ``anon_id`` counts as claimed: ``"anon"`` (an accepted ``$identify``
    named it), ``"cluster"`` (any member of its cluster is identified) or ``"off"``."""
    alias_once: bool = True
    """True if an alias can be used only once."""
    blocked_ids: frozenset[str] = DEFAULT_BLOCKED_IDS
    """IDs that belong to nobody, whatever the case of A-Z, also after ``$device:``."""
    max_id_length: int | None = DEFAULT_MAX_ID_LENGTH
    """Longest ID allowed, in characters, inclusive; None for no limit."""
    verdicts: Verdicts = "respect"
    """The treatment of links that Mixpanel refused itself, as their events say: ``"respect"``
    (refused here too) or ``"ignore"`` (judged anew)."""
    evidence: bool = True
    """Whether an ordinary event whose ``distinct_id`` was rewritten joins it to the ID that was
    sent."""

    def __post_init__(self) -> None:
        """Check every field; a wrong one is named with what was expected and what came."""
        check_api(self.api)
        _check_at_least("max_cluster_size", self.max_cluster_size, 2)
        _check_one_of("anon_format", self.anon_format, get_args(AnonFormat))
        _check_one_of("anon_guard", self.anon_guard, get_args(AnonGuard))
        _check_one_of("verdicts", self.verdicts, get_args(Verdicts))
        _check_bool("alias_once", self.alias_once)
        _check_bool("evidence", self.evidence)
        object.__setattr__(self, "blocked_ids", _blocked(self.blocked_ids))
        _check_at_least("max_id_length", self.max_id_length, 1)

    @classmethod
    def simplified(cls) -> Policy:
        """Return the rules of Simplified ID Merge: any device, and any number of them a user."""
        return cls(api="simplified", max_cluster_size=None, anon_format="any")

    @classmethod
    def legacy(cls) -> Policy:
        """Return the rules of projects without ID Merge: each alias stands for one ID."""
        return cls(api="legacy", max_cluster_size=None)

    @classmethod
    def unrestricted(cls) -> Policy:
        """Return the policy with every check off that can be switched off."""
        return cls(
            max_cluster_size=None,
            anon_format="any",
            anon_guard="off",
            alias_once=False,
            blocked_ids=frozenset(),
            max_id_length=None,
            verdicts="ignore",
        )


def preset(api: Api) -> Policy:
    """Return the rules of ``api`` as Mixpanel has them.

    Raises:
        PolicyError: There is no such API.
    """
    return PRESETS[check_api(api)]


def policy_of(policy: Policy | None, api: Api | None) -> Policy:
    """Return the rules that a caller gives by ``policy``, by ``api`` or by neither.

    Raises:
        PolicyError: There is no such API, or ``policy`` has another one.
        TypeError: ``policy`` is no `Policy`.
    """
    if not isinstance(policy, Policy | None):
        raise TypeError(f"policy must be a Policy, got {type(policy).__name__}")
    if api is not None:
        check_api(api)
    if policy is None:
        return preset(api or "original")
    if api not in {None, policy.api}:
        raise PolicyError(f"api is {api!r}, and the policy's is {policy.api!r}: leave one of them out")
    return policy


def can_be_id(text: str, policy: Policy) -> bool:
    """Return whether ``text`` can be an ID at all under ``policy`` (SPEC 2, step 2, and SPEC 4)."""
    if not text or not is_unicode(text) or len(text) > (policy.max_id_length or inf):
        return False
    forms = (text, text.removeprefix(DEVICE_PREFIX))
    return not any(ascii_lower(form) in policy.blocked_ids for form in forms)


def check_api(api: Api) -> Api:
    """Return ``api``.

    Raises:
        PolicyError: There is no such API.
    """
    _check_one_of("api", api, get_args(Api))
    return api


def _check_at_least(field: str, value: object, least: int) -> None:
    if value is None:
        return
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{field} must be an int or None, got {value!r}")
    if value < least:
        raise PolicyError(f"{field} must be at least {least} or None, got {value}")


def _check_bool(field: str, value: object) -> None:
    if not isinstance(value, bool):
        raise TypeError(f"{field} must be a bool, got {value!r}")


def _check_one_of(field: str, value: object, names: tuple[str, ...]) -> None:
    if value not in names:
        expected = ", ".join(repr(name) for name in names)
        raise PolicyError(f"{field} must be one of {expected}, got {value!r}")


def _blocked(values: object) -> frozenset[str]:
    """Return the blocked IDs in lower case; a lone string is a mistake, not a set of letters."""
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise TypeError(f"blocked_ids must be an iterable of str, got {values!r}")
    blocked = frozenset(values)
    for value in blocked:
        if not isinstance(value, str):
            raise TypeError(f"blocked_ids must hold str only, got {value!r}")
        if not is_unicode(value):
            raise PolicyError(f"blocked_ids must hold Unicode text, got {value!r}")
    return frozenset(ascii_lower(value) for value in blocked)


PRESETS: dict[Api, Policy] = {
    "original": Policy(),
    "simplified": Policy.simplified(),
    "legacy": Policy.legacy(),
}
"""The policies whose fields count where an option or a key is left out, by their API."""
