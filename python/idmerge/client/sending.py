"""Settings of how events are sent, and the report of those that are lost."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable

Route = Literal["track", "import", "engage"]
"""The endpoint of an item: of events that happen now, of any events, of profile updates."""
log = logging.getLogger("idmerge.client")


@dataclass(frozen=True)
class Loss:
    """Items that were not delivered, and are not tried again.

    Examples:
        >>> from idmerge.client import Client, Loss, Sending
        >>> losses = []
        >>> sending = Sending(max_items=1, interval=60, on_loss=losses.append)
        >>> client = Client("http://127.0.0.1:9", "shop", sending=sending)
        >>> client.track("Viewed page"), client.track("Viewed page")
        (True, False)
        >>> losses
        [Loss(route='track', count=1, reason='the queue is full')]
        >>> client.close(timeout=0)
        False
    """

    route: str
    """The endpoint: ``track``, ``import`` or ``engage``."""
    count: int
    """The number of items."""
    reason: str
    """The reason: of this program, or what the server answered."""
    items: tuple[bytes, ...] = field(default=(), repr=False)
    """The items, each as JSON, with the project's token in it."""


@dataclass(frozen=True, kw_only=True)
class Sending:
    """How a client sends: the size of requests, the room for what waits, and the time it may take.

    Raises:
        ValueError: A number is out of its range.

    Examples:
        >>> from idmerge.client import Sending
        >>> Sending(interval=5).batch_size
        50
    """

    batch_size: int = 50
    """Items of a request, as the browser's SDK has them; 2,000 at most. Those to ``/import`` have
    up to 2,000 whatever this is."""
    interval: float = 1.0
    """Seconds for which an item may wait for others to make a request full."""
    max_items: int = 10_000
    """Items that may wait. When there is no room for another, that one is lost."""
    max_bytes: int = 32 * 2**20
    """Bytes of JSON that may wait."""
    timeout: float = 30.0
    """Seconds for the answer to a request."""
    at_exit: float = 5.0
    """Seconds for which the end of the process waits for what is not sent."""
    on_loss: Callable[[Loss], None] | None = None
    """What is called with each `Loss`, on the thread that finds it."""

    def __post_init__(self) -> None:
        """Check the numbers."""
        if not 1 <= self.batch_size <= MAX_BATCH:
            raise ValueError(f"batch_size must be from 1 to {MAX_BATCH}, got {self.batch_size}")
        for name in ("max_items", "max_bytes", "timeout"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be above 0, got {getattr(self, name)}")
        for name in ("interval", "at_exit"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)}")


MAX_BATCH = 2000
"""Items that Mixpanel takes in a request."""
