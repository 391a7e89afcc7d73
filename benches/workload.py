"""The links that the benchmarks resolve: what a large site's identity events look like.

About N distinct IDs and 1.5 N links in random order: users with one to four devices each and a tail
up to 400, every device linked by `$identify`, half of the links sent again by a later login, 2 % of
the IDs aliases, 0.5 % of the links a device that another user has claimed. Seeded: the same N gives
the same links everywhere.
"""

from __future__ import annotations

import random
from typing import NamedTuple

from idmerge import Kind

_CONFLICTS = 0.005
_ALIASES = 0.02
_LINKS_AN_ID = 1.5
_SIZES = (2, 2, 2, 3, 3, 3, 4, 4, 5)
_TAIL = 0.001
_LONGEST_TAIL = 400


class Links(NamedTuple):
    """Links as three columns."""

    kinds: list[Kind]
    left: list[str]
    right: list[str]


def links(distinct_ids: int, seed: int = 0) -> Links:
    """Return about ``1.5 * distinct_ids`` links between about ``distinct_ids`` IDs."""
    rng = random.Random(seed)
    stated: list[tuple[Kind, str, str]] = []
    devices: list[str] = []
    known = users = 0
    while known < distinct_ids:
        user = f"user_{users}"
        size = rng.randint(6, _LONGEST_TAIL) if rng.random() < _TAIL else rng.choice(_SIZES)
        for _ in range(size - 1):
            if rng.random() < _ALIASES:
                stated.append((Kind.ALIAS, f"alias_{users}_{rng.getrandbits(32)}@example.com", user))
                continue
            device = _uuid4(rng)
            devices.append(device)
            stated.append((Kind.IDENTIFY, device, user))
        known += size
        users += 1
    again = int(_LINKS_AN_ID * known) - len(stated)
    repeats = rng.choices(stated, k=int(again * (1 - _CONFLICTS)))
    conflicts = (
        (Kind.IDENTIFY, rng.choice(devices), f"user_{rng.randrange(users)}")
        for _ in range(int(again * _CONFLICTS))
    )
    stated += repeats
    stated += conflicts
    rng.shuffle(stated)
    kinds, left, right = zip(*stated, strict=True)
    return Links(list(kinds), list(left), list(right))


def _uuid4(rng: random.Random) -> str:
    digits = f"{rng.getrandbits(128):032x}"
    variant = "89ab"[int(digits[16], 16) & 3]
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"
