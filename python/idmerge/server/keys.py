"""Keys of a server's settings, and errors that name the ones that are meant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from idmerge._formatting import did_you_mean
from idmerge.errors import SettingError

if TYPE_CHECKING:
    from collections.abc import Mapping


def check_known(place: str, stated: Mapping[str, Any], known: tuple[str, ...]) -> None:
    """Make sure that each key is one of those that are ``known``.

    Raises:
        SettingError: One is not; the message names the place.
    """
    for key in stated:
        if key not in known:
            meant = did_you_mean(key, known) or f" Known are {', '.join(known)}."
            raise SettingError(f"{place}: there is no key {key!r}.{meant}")
