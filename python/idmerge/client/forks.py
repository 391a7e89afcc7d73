"""Objects that a child of a fork renews: their locks may have been held by threads it has not."""

from __future__ import annotations

import os
from typing import Protocol
from weakref import WeakSet


class _Renewable(Protocol):
    def _renew(self) -> None: ...


_known: WeakSet[_Renewable] = WeakSet()


def renewed_in_children(renewable: _Renewable) -> None:
    """Have `_renew` called on this object in each child of a fork, before anything else runs."""
    _known.add(renewable)


def _renew_all() -> None:
    for renewable in [*_known]:
        renewable._renew()  # noqa: SLF001 - what this module is for


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_all)
