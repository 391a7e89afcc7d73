"""Made-up events of a shop's visitors for tests and demonstrations, shaped as raw exports.

    from idmerge import Resolver
    from idmerge.testing import events

    resolver = Resolver()
    resolver.apply_events(events(100_000, seed=7))

The same arguments give the same events on every machine and Python version, and a stream is a
prefix of any longer one. Each visitor follows one of `_SCENARIOS`: looks around and leaves, signs
up, comes back on other devices, shares a device, loses the anonymous ID again and again, is merged
with another account, or has a broken client. So every outcome of a link occurs, as do retries,
aliases and malformed events. Memory holds the visitors who are there at the time, at most
`MOST_VISITORS`.

``idmerge generate`` writes the same events as files.
"""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["events"]

T = TypeVar("T")

FIRST_SECOND = 1_704_067_200
"""2024-01-01 00:00 UTC."""
FEWEST_VISITORS = 12
MOST_VISITORS = 2000
TICKS_A_VISITOR = 100
"""One more visitor is there at the same time for each so many events, up to `MOST_VISITORS`."""
LONGEST_RESETTING = 560
"""Most anonymous IDs that one user comes under: more than a cluster may hold by default."""

NIL_UUID = "00000000-0000-0000-0000-000000000000"
JUNK = ("null", "undefined", "", NIL_UUID, "anonymous", "$device:null")
CAMPAIGNS = (
    ("google", "spring_sale"),
    ("google", "brand"),
    ("newsletter", "week_14"),
    ("newsletter", "abandoned_cart"),
    ("instagram", "creators"),
    ("partner", "launch"),
)
PAGES = ("/", "/shoes", "/shoes/trail-runner", "/jackets", "/jackets/rain", "/tents", "/help", "/account")
POSTS = ("choosing-a-tent", "layering", "trail-food", "wet-socks", "packing-list", "first-overnighter")


class _Draw:
    """Random draws, the same on every Python: from `Random.random` and `getrandbits` alone."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)  # noqa: S311

    def below(self, bound: int) -> int:
        """Return a number from 0 to ``bound - 1``."""
        return int(self._random.random() * bound)

    def chance(self, share: float) -> bool:
        """Return True in ``share`` of all cases."""
        return self._random.random() < share

    def one_of(self, choices: Sequence[T]) -> T:
        """Return one of ``choices``."""
        return choices[self.below(len(choices))]

    def long_tailed(self, least: int, most: int) -> int:
        """Return a number from ``least`` to ``most``; twice as large is half as frequent."""
        return min(int(least / (1.0 - self._random.random())), most)

    def uuid4(self) -> str:
        """Return a UUIDv4 as text."""
        bits = self._random.getrandbits(128) & ~(0xF << 76) & ~(0x3 << 62) | 0x4 << 76 | 0x2 << 62
        digits = f"{bits:032x}"
        return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"

    def hex16(self) -> str:
        """Return 16 hex digits."""
        return f"{self._random.getrandbits(64):016x}"


class _Identity(NamedTuple):
    """An identity event of a scenario: its name and its own properties."""

    name: str
    properties: dict[str, Any]


class _Visitor:
    """A visitor: a device, its anonymous ID, and a user ID once there is one."""

    def __init__(self, draw: _Draw, number: int) -> None:
        self.draw = draw
        self.number = number
        self.user: str | None = None
        self.first_touch = True
        self.signed_up_now = False
        self.device = ""
        self.anonymous = ""
        self.new_device()
        self.scenario: Iterator[_Identity] = draw.one_of(_SCENARIOS)(self)

    @property
    def distinct_id(self) -> str:
        """The ID that the SDK sends now."""
        return self.anonymous if self.user is None else self.user

    def new_device(self) -> None:
        """Come back on another device, under a new anonymous ID."""
        self.device = self.draw.uuid4()
        self.anonymous = f"$device:{self.device}" if self.draw.chance(0.3) else self.device
        self.user = None
        self.first_touch = True

    def reset(self) -> None:
        """Log out on the same device: the SDK makes a new anonymous ID."""
        self.anonymous = self.draw.uuid4()
        self.user = None

    def account(self, suffix: str = "") -> str:
        """Return the user ID of this visitor's account, or of another one, with ``suffix``."""
        return f"user-{self.number}{suffix}"


# _Identity events


def _identify(visitor: _Visitor, user: str) -> _Identity:
    """Log ``user`` in on the visitor's device, spelled as documented or as SDKs do."""
    anonymous = visitor.anonymous
    visitor.user = user
    if visitor.draw.chance(0.4):
        return _Identity("$identify", {"distinct_id": user, "$identified_id": user, "$anon_id": anonymous})
    return _Identity("$identify", {"distinct_id": user, "$anon_distinct_id": anonymous})


def _create_alias(visitor: _Visitor, alias: str, user: str) -> _Identity:
    """Give ``user`` another name; some exports hold the ID from before the rewriting."""
    if visitor.draw.chance(0.3):
        return _Identity(
            "$create_alias", {"distinct_id": alias, "$distinct_id_before_identity": user, "alias": alias}
        )
    return _Identity("$create_alias", {"distinct_id": user, "alias": alias})


# Scenarios


def _looks_around(_visitor: _Visitor) -> Iterator[_Identity]:
    """Looks at pages and never signs up."""
    yield from ()


def _signs_up(visitor: _Visitor) -> Iterator[_Identity]:
    """Signs up on the first device."""
    visitor.signed_up_now = True
    yield _identify(visitor, visitor.account())


def _comes_back(visitor: _Visitor) -> Iterator[_Identity]:
    """Signs up, and logs in on one to three further devices."""
    yield from _signs_up(visitor)
    for _ in range(1 + visitor.draw.below(3)):
        visitor.new_device()
        yield _identify(visitor, visitor.account())


def _resets_too_often(visitor: _Visitor, least: int = 3) -> Iterator[_Identity]:
    """Loses the anonymous ID with every visit: a private window, a kiosk, an eager reset."""
    yield from _signs_up(visitor)
    for _ in range(visitor.draw.long_tailed(least, LONGEST_RESETTING)):
        visitor.reset()
        yield _identify(visitor, visitor.account())


def _shares_with_reset(visitor: _Visitor) -> Iterator[_Identity]:
    """Is logged out before another user logs in on the same device."""
    yield from _signs_up(visitor)
    visitor.reset()
    yield _identify(visitor, visitor.account("b"))


def _shares_without_reset(visitor: _Visitor) -> Iterator[_Identity]:
    """Hands the device over without logging out: the anonymous ID is claimed already."""
    yield from _signs_up(visitor)
    yield _identify(visitor, visitor.account("b"))


def _has_two_accounts(visitor: _Visitor) -> Iterator[_Identity]:
    """Signs up twice, and support merges the accounts."""
    yield from _shares_with_reset(visitor)
    yield _Identity("$merge", {"$distinct_ids": [visitor.account(), visitor.account("b")]})


def _has_an_alias(visitor: _Visitor) -> Iterator[_Identity]:
    """Signs up, and the shop's mail system calls the user by another name."""
    yield from _signs_up(visitor)
    yield _create_alias(visitor, f"crm-{visitor.number}", visitor.account())


def _has_a_taken_alias(visitor: _Visitor) -> Iterator[_Identity]:
    """Has an alias that is then given to another account."""
    yield from _has_an_alias(visitor)
    yield _create_alias(visitor, f"crm-{visitor.number}", visitor.account("b"))


def _has_an_old_client(visitor: _Visitor) -> Iterator[_Identity]:
    """Comes with a client whose anonymous IDs are no UUIDv4."""
    visitor.anonymous = f"{visitor.draw.hex16()}-{visitor.draw.hex16()[:12]}"
    return _signs_up(visitor)


def _sends_placeholder_devices(visitor: _Visitor) -> Iterator[_Identity]:
    """Comes with a client that sends one placeholder for all anonymous IDs."""
    visitor.anonymous = visitor.draw.one_of(JUNK)
    return _signs_up(visitor)


def _sends_placeholder_users(visitor: _Visitor) -> Iterator[_Identity]:
    """Logs in by a client that sends a placeholder for the user, or repeats the anonymous ID."""
    yield _identify(visitor, visitor.draw.one_of((*JUNK, visitor.anonymous)))


def _has_a_malformed_event(visitor: _Visitor) -> Iterator[_Identity]:
    """Has a client that sends an identity event that lacks one of its two IDs."""
    yield visitor.draw.one_of(
        (
            _Identity("$identify", {"distinct_id": visitor.anonymous, "$identified_id": None}),
            _Identity("$create_alias", {"distinct_id": visitor.account()}),
            _Identity("$merge", {"$distinct_ids": [visitor.account()]}),
        )
    )


_SCENARIOS = (
    *[_looks_around] * 30,
    *[_signs_up] * 26,
    *[_comes_back] * 26,
    *[_resets_too_often] * 3,
    *[_shares_with_reset] * 4,
    *[_shares_without_reset] * 3,
    *[_has_two_accounts] * 2,
    *[_has_an_alias] * 4,
    *[_has_a_taken_alias] * 1,
    *[_has_an_old_client] * 1,
    *[_sends_placeholder_devices] * 1,
    *[_sends_placeholder_users] * 1,
    *[_has_a_malformed_event] * 1,
)
"""The scenarios, each as often as it occurs among about a hundred visitors."""


# The stream


def events(count: int | None, *, seed: int = 0, identity_share: float = 0.05) -> Iterator[dict[str, Any]]:
    """Yield ``count`` events (None: endlessly) in the shape of raw exports, in order of time.

    ``identity_share`` of them state a link. The same arguments give the same events on every
    machine and Python version.

    Raises:
        ValueError: ``count`` is negative or ``identity_share`` is not from 0 to 1.

    Examples:
        >>> from idmerge import Resolver, testing
        >>> r = Resolver()
        >>> r.apply_events(testing.events(1000, seed=7))
        Report(50 links: 48 MERGED, 1 ANON_FORMAT, 1 ANON_CLAIMED)
    """
    if count is not None and count < 0:
        raise ValueError(f"count must be at least 0 or None, got {count}")
    if not 0 <= identity_share <= 1:
        raise ValueError(f"identity_share must be from 0 to 1, got {identity_share}")
    return _events(count, _Draw(seed), identity_share)


def _events(count: int | None, draw: _Draw, identity_share: float) -> Iterator[dict[str, Any]]:
    visitors = _Visitors(draw)
    time = FIRST_SECOND
    made = 0
    event: dict[str, Any] = {}
    while count is None or made < count:
        retried = made > 0 and draw.chance(0.01)
        if not retried:
            time += draw.below(5)
            name, properties = visitors.identity() if draw.chance(identity_share) else visitors.page()
            event = {"event": name, "properties": {"time": time, **properties, "$insert_id": draw.hex16()}}
        yield event
        made += 1
        visitors.grow(made)


class _Visitors:
    """The visitors who are there at the time; those who leave are replaced."""

    def __init__(self, draw: _Draw) -> None:
        self._draw = draw
        self._newcomers = 0
        self._visitors = [self._newcomer() for _ in range(FEWEST_VISITORS)]
        self._busy = self._newcomer_who_resets()

    def grow(self, made: int) -> None:
        """Let one more visitor come for each `TICKS_A_VISITOR` of the ``made`` events."""
        if made % TICKS_A_VISITOR == 0 and len(self._visitors) < MOST_VISITORS:
            self._visitors.append(self._newcomer())

    def identity(self) -> _Identity:
        """Return the next identity event of some visitor; those who have none left are replaced."""
        if self._draw.chance(0.12):
            return self._busy_identity()
        while True:
            place = self._draw.below(len(self._visitors))
            identity = next(self._visitors[place].scenario, None)
            if identity is not None:
                return identity
            self._visitors[place] = self._newcomer()

    def page(self) -> tuple[str, dict[str, Any]]:
        """Return an ordinary event of some visitor, who may leave after it."""
        place = self._draw.below(len(self._visitors))
        event = _ordinary_event(self._visitors[place])
        if self._draw.chance(0.03):
            self._visitors[place] = self._newcomer()
        return event

    def _busy_identity(self) -> _Identity:
        """Return the next identity event of the one who resets all day long."""
        identity = next(self._busy.scenario, None)
        while identity is None:
            self._busy = self._newcomer_who_resets()
            identity = next(self._busy.scenario, None)
        return identity

    def _newcomer(self) -> _Visitor:
        self._newcomers += 1
        return _Visitor(self._draw, 1000 + self._newcomers)

    def _newcomer_who_resets(self) -> _Visitor:
        visitor = self._newcomer()
        visitor.scenario = _resets_too_often(visitor, 20)
        return visitor


def _ordinary_event(visitor: _Visitor) -> tuple[str, dict[str, Any]]:
    draw = visitor.draw
    properties: dict[str, Any] = {"distinct_id": visitor.distinct_id, "$device_id": visitor.device}
    if visitor.user is not None:
        properties["$user_id"] = visitor.user
    if visitor.first_touch:
        visitor.first_touch = False
        if draw.chance(0.6):
            properties["utm_source"], properties["utm_campaign"] = draw.one_of(CAMPAIGNS)
    if visitor.signed_up_now and visitor.user is not None:
        visitor.signed_up_now = False
        return "Sign Up", properties
    match draw.below(20):
        case 0:
            return "Purchase", {**properties, "amount": (500 + draw.below(20_000)) / 100}
        case 1 | 2:
            return "Add to Cart", {**properties, "amount": (500 + draw.below(20_000)) / 100}
        case 3 | 4 | 5 | 6:
            return "Read Post", {**properties, "post": draw.one_of(POSTS)}
        case _:
            return "Page View", {**properties, "page": draw.one_of(PAGES)}
