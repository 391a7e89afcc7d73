"""Events as a shop's visitors would cause them: seeded, endless if need be, the same on every machine.

Each visitor lives one of `LIVES`: looks around and leaves, signs up, comes back on other devices,
shares a device, loses the anonymous ID again and again, is merged with another account. A life is a
generator of identity events; between them its visitor looks at pages. Every tick of the stream is
either the next identity event of some visitor or a page that one looks at, by ``identity_share``.

Memory holds the visitors who are there at the time, at most `MOST_VISITORS`; a stream is a prefix of
any longer one with the same seed.
"""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

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


class Draw:
    """Draws that come out the same on every Python: all rest on `Random.random` and `getrandbits`."""

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


class Identity(NamedTuple):
    """An identity event that a life brings about: its name and its own properties."""

    name: str
    properties: dict[str, Any]


class Visitor:
    """One who is there now: a device, its anonymous ID, and a user ID once there is one."""

    def __init__(self, draw: Draw, number: int) -> None:
        self.draw = draw
        self.number = number
        self.user: str | None = None
        self.first_touch = True
        self.signed_up_now = False
        self.device = ""
        self.anonymous = ""
        self.new_device()
        self.life: Iterator[Identity] = draw.one_of(LIVES)(self)

    @property
    def distinct_id(self) -> str:
        """The ID that the SDK sends now."""
        return self.anonymous if self.user is None else self.user

    def new_device(self) -> None:
        """Come back on another device, as nobody known."""
        self.device = self.draw.uuid4()
        self.anonymous = f"$device:{self.device}" if self.draw.chance(0.3) else self.device
        self.user = None
        self.first_touch = True

    def reset(self) -> None:
        """Log out on the same device: the SDK makes a new anonymous ID."""
        self.anonymous = self.draw.uuid4()
        self.user = None

    def account(self, suffix: str = "") -> str:
        """Return the user ID of this visitor's account, or of the one told apart by ``suffix``."""
        return f"user-{self.number}{suffix}"


# Identity events


def identify(visitor: Visitor, user: str) -> Identity:
    """Log ``user`` in on the visitor's device, in the documented spelling or in that of the SDKs."""
    anonymous = visitor.anonymous
    visitor.user = user
    if visitor.draw.chance(0.4):
        return Identity("$identify", {"distinct_id": user, "$identified_id": user, "$anon_id": anonymous})
    return Identity("$identify", {"distinct_id": user, "$anon_distinct_id": anonymous})


def create_alias(visitor: Visitor, alias: str, user: str) -> Identity:
    """Give ``user`` another name; some exports hold the ID from before the rewriting."""
    if visitor.draw.chance(0.3):
        return Identity(
            "$create_alias", {"distinct_id": alias, "$distinct_id_before_identity": user, "alias": alias}
        )
    return Identity("$create_alias", {"distinct_id": user, "alias": alias})


# Lives


def looks_around(_visitor: Visitor) -> Iterator[Identity]:
    """Never says who it is."""
    yield from ()


def signs_up(visitor: Visitor) -> Iterator[Identity]:
    """Signs up on the first device."""
    visitor.signed_up_now = True
    yield identify(visitor, visitor.account())


def comes_back(visitor: Visitor) -> Iterator[Identity]:
    """Signs up, and logs in on one to three further devices."""
    yield from signs_up(visitor)
    for _ in range(1 + visitor.draw.below(3)):
        visitor.new_device()
        yield identify(visitor, visitor.account())


def resets_too_often(visitor: Visitor, least: int = 3) -> Iterator[Identity]:
    """Loses the anonymous ID with every visit: a private window, a kiosk, an eager reset."""
    yield from signs_up(visitor)
    for _ in range(visitor.draw.long_tailed(least, LONGEST_RESETTING)):
        visitor.reset()
        yield identify(visitor, visitor.account())


def shares_with_reset(visitor: Visitor) -> Iterator[Identity]:
    """Is logged out before somebody else logs in on the same device."""
    yield from signs_up(visitor)
    visitor.reset()
    yield identify(visitor, visitor.account("b"))


def shares_without_reset(visitor: Visitor) -> Iterator[Identity]:
    """Hands the device over without logging out: the anonymous ID is claimed already."""
    yield from signs_up(visitor)
    yield identify(visitor, visitor.account("b"))


def has_two_accounts(visitor: Visitor) -> Iterator[Identity]:
    """Signs up twice, and support merges the accounts."""
    yield from shares_with_reset(visitor)
    yield Identity("$merge", {"$distinct_ids": [visitor.account(), visitor.account("b")]})


def has_an_alias(visitor: Visitor) -> Iterator[Identity]:
    """Signs up, and the shop's mail system calls the user by another name."""
    yield from signs_up(visitor)
    yield create_alias(visitor, f"crm-{visitor.number}", visitor.account())


def has_a_taken_alias(visitor: Visitor) -> Iterator[Identity]:
    """Has an alias that is then given to another account."""
    yield from has_an_alias(visitor)
    yield create_alias(visitor, f"crm-{visitor.number}", visitor.account("b"))


def has_an_old_client(visitor: Visitor) -> Iterator[Identity]:
    """Comes with a client whose anonymous IDs are no UUIDv4."""
    visitor.anonymous = f"{visitor.draw.hex16()}-{visitor.draw.hex16()[:12]}"
    return signs_up(visitor)


def is_everybody(visitor: Visitor) -> Iterator[Identity]:
    """Comes with a client that calls every visitor the same."""
    visitor.anonymous = visitor.draw.one_of(JUNK)
    return signs_up(visitor)


def becomes_everybody(visitor: Visitor) -> Iterator[Identity]:
    """Is logged in by a client that calls every user the same, or that repeats the anonymous ID."""
    yield identify(visitor, visitor.draw.one_of((*JUNK, visitor.anonymous)))


def has_a_malformed_event(visitor: Visitor) -> Iterator[Identity]:
    """Has a client that sends an identity event that lacks one of its two IDs."""
    yield visitor.draw.one_of(
        (
            Identity("$identify", {"distinct_id": visitor.anonymous, "$identified_id": None}),
            Identity("$create_alias", {"distinct_id": visitor.account()}),
            Identity("$merge", {"$distinct_ids": [visitor.account()]}),
        )
    )


LIVES = (
    *[looks_around] * 30,
    *[signs_up] * 26,
    *[comes_back] * 26,
    *[resets_too_often] * 3,
    *[shares_with_reset] * 4,
    *[shares_without_reset] * 3,
    *[has_two_accounts] * 2,
    *[has_an_alias] * 4,
    *[has_a_taken_alias] * 1,
    *[has_an_old_client] * 1,
    *[is_everybody] * 1,
    *[becomes_everybody] * 1,
    *[has_a_malformed_event] * 1,
)
"""Each life as often as it occurs among visitors, in parts of about a hundred."""


# The stream


def events(count: int | None, *, seed: int = 0, identity_share: float = 0.05) -> Iterator[dict[str, Any]]:
    """Yield ``count`` events (None: endlessly) in the shape of raw exports, in order of time.

    ``identity_share`` of them state a link. The same arguments give the same events on every machine
    and Python version.

    Raises:
        ValueError: ``count`` is negative or ``identity_share`` is not from 0 to 1.
    """
    if count is not None and count < 0:
        raise ValueError(f"count must be at least 0 or None, got {count}")
    if not 0 <= identity_share <= 1:
        raise ValueError(f"identity_share must be from 0 to 1, got {identity_share}")
    return _events(count, Draw(seed), identity_share)


def _events(count: int | None, draw: Draw, identity_share: float) -> Iterator[dict[str, Any]]:
    street = _Street(draw)
    time = FIRST_SECOND
    made = 0
    event: dict[str, Any] = {}
    while count is None or made < count:
        retried = made > 0 and draw.chance(0.01)
        if not retried:
            time += draw.below(5)
            name, properties = street.identity() if draw.chance(identity_share) else street.page()
            event = {"event": name, "properties": {"time": time, **properties, "$insert_id": draw.hex16()}}
        yield event
        made += 1
        street.grow(made)


class _Street:
    """The visitors who are there now."""

    def __init__(self, draw: Draw) -> None:
        self._draw = draw
        self._newcomers = 0
        self._visitors = [self._newcomer() for _ in range(FEWEST_VISITORS)]
        self._busy = self._newcomer_who_resets()

    def grow(self, made: int) -> None:
        """Let one more visitor come for each `TICKS_A_VISITOR` of the ``made`` events."""
        if made % TICKS_A_VISITOR == 0 and len(self._visitors) < MOST_VISITORS:
            self._visitors.append(self._newcomer())

    def identity(self) -> Identity:
        """Return the next identity event of some visitor; those who have none left are replaced."""
        if self._draw.chance(0.12):
            return self._busy_identity()
        while True:
            place = self._draw.below(len(self._visitors))
            identity = next(self._visitors[place].life, None)
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

    def _busy_identity(self) -> Identity:
        """Return the next identity event of the one who resets all day long."""
        identity = next(self._busy.life, None)
        while identity is None:
            self._busy = self._newcomer_who_resets()
            identity = next(self._busy.life, None)
        return identity

    def _newcomer(self) -> Visitor:
        self._newcomers += 1
        return Visitor(self._draw, 1000 + self._newcomers)

    def _newcomer_who_resets(self) -> Visitor:
        visitor = self._newcomer()
        visitor.life = resets_too_often(visitor, 20)
        return visitor


def _ordinary_event(visitor: Visitor) -> tuple[str, dict[str, Any]]:
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
