"""A bounded queue of events and profile updates, and the thread that delivers them.

# Invariants

1. Events are delivered in the order in which they were put, and so are updates. Events of two
   routes are never in one request.
2. What waits, what is being sent included, is at most `Sending.max_items` items and
   `Sending.max_bytes` bytes. An item that does not fit is lost; those before it stay.
3. Each item is delivered or told of as a `Loss`, unless the process is killed.
4. A child of a fork begins with an empty queue and a connection of its own: what waited is the
   parent's to send.

The thread ends after some seconds without an item, and the next item starts another.
"""

from __future__ import annotations

import atexit
import json
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakSet

from idmerge.client.delivery import Abandoned, Delivery
from idmerge.client.forks import renewed_in_children
from idmerge.client.sending import MAX_BATCH, Loss, Route, Sending, log

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_IDLE = 5.0
"""Seconds without an item after which the thread ends."""
_MAX_BODY = 8 * 2**20
"""Bytes of a request before it is compressed; Mixpanel takes 10 MB."""
_SECONDS_BETWEEN_WARNINGS = 60.0

_open: WeakSet[Outbox] = WeakSet()


class _Item(NamedTuple):
    number: int
    moment: float
    route: Route
    text: bytes


class Outbox:
    """Delivers items in the background.

    Args:
        delivery: Posts batches.
        sending: The sizes and times.
    """

    def __init__(self, delivery: Delivery, sending: Sending) -> None:
        self._delivery = delivery
        self._sending = sending
        self._deadline: float | None = None
        self._renew()
        renewed_in_children(self)
        _open.add(self)

    def __repr__(self) -> str:
        """Name the server and the number of items that wait; no secret."""
        return f"Outbox({self._delivery!r}, {self._count} waiting)"

    def _renew(self) -> None:
        self._changed = threading.Condition()
        self._events: deque[_Item] = deque()
        self._updates: deque[_Item] = deque()
        self._batch: list[_Item] = []
        self._count = self._bytes = self._number = 0
        self._thread: threading.Thread | None = None
        self._waiters: list[tuple[int, Callable[[], object]]] = []
        self._hurry = 0
        self._lost = self._lost_before = self._untold = 0
        self._warned = -_SECONDS_BETWEEN_WARNINGS
        self._delivery.renewed()

    def put(self, route: Route, item: dict[str, Any]) -> bool:
        """Queue an item; return False, and tell of the loss, if there is no room for it."""
        text = json.dumps(item, separators=(",", ":"), allow_nan=False).encode()
        with self._changed:
            reason = self._refusal(len(text))
            if not reason:
                self._number += 1
                queue = self._updates if route == "engage" else self._events
                queue.append(_Item(self._number, time.monotonic(), route, text))
                self._count += 1
                self._bytes += len(text)
                self._start()
                self._changed.notify_all()
        if reason:
            self._tell(route, [text], reason)
        return not reason

    def _refusal(self, size: int) -> str:
        if self._deadline is not None:
            return "the client is closed"
        sending = self._sending
        is_full = self._count >= sending.max_items or self._bytes + size > sending.max_bytes
        return "the queue is full" if is_full else ""

    def _start(self) -> None:
        """Have a thread run, if there is something to send; the lock is held."""
        if self._thread is None and self._count:
            self._thread = threading.Thread(target=self._run, name="idmerge client", daemon=True)
            try:
                self._thread.start()
            except RuntimeError:  # The interpreter ends: `close` sends what waits itself.
                self._thread = None

    def when_settled(self, settled: Callable[[], object]) -> None:
        """Send what waits without delay; call ``settled`` when nothing put before now waits."""
        with self._changed:
            if not self._count:
                settled()
                return
            self._hurry = self._number
            self._waiters.append((self._number, settled))
            self._start()
            self._changed.notify_all()

    def forget(self, settled: Callable[[], object]) -> None:
        """Call ``settled`` no more: nobody waits for it."""
        with self._changed:
            self._waiters = [waiter for waiter in self._waiters if waiter[1] is not settled]

    def none_lost(self) -> bool:
        """Return whether nothing was lost since this was asked last."""
        with self._changed:
            lost, self._lost_before = self._lost - self._lost_before, self._lost
            return lost == 0

    def flush(self, timeout: float) -> bool:
        """Send what waits; return whether everything is delivered since the last such call."""
        settled = threading.Event()
        tell = settled.set
        self.when_settled(tell)
        is_sending = threading.current_thread() is self._thread  # `on_loss` asks: a wait would be for itself.
        try:
            is_settled = settled.wait(0 if is_sending else max(timeout, 0))
        finally:
            self.forget(tell)
        return self.none_lost() and is_settled

    def close(self, timeout: float) -> bool:
        """Send what waits, take nothing more, and end; return whether everything is delivered."""
        deadline = time.monotonic() + max(timeout, 0)
        with self._changed:
            self._deadline = deadline
            self._hurry = self._number
            self._start()
            thread = self._thread
            self._changed.notify_all()
        if thread is None:
            self._delivery.limit(max(timeout, 0.05))
            self._run()
        elif thread is not threading.current_thread():
            thread.join(max(timeout, 0) + 0.05)
        self._abandon()
        _open.discard(self)
        return self.none_lost()

    def _abandon(self) -> None:
        """Tell of what waits as lost; what a request in flight has is told of too."""
        with self._changed:
            rest = sorted([*self._batch, *self._events, *self._updates])
            self._events.clear()
            self._updates.clear()
            self._batch = []
            self._count = self._bytes = 0
            self._tell_waiters()
        for route in ("track", "import", "engage"):
            texts = [item.text for item in rest if item.route == route]
            if texts:
                self._tell(route, texts, "it was not sent before the end")

    def _run(self) -> None:
        while batch := self._take():
            rest: Sequence[bytes] = ()
            texts = [item.text for item in batch]
            try:
                self._delivery.deliver(batch[0].route, texts, self._tell, self._wait)
            except Abandoned as end:
                rest = end.rest
            except Exception:  # noqa: BLE001 - nothing may end this thread: the program would lose all that follows.
                log.exception("a batch could not be sent")
                self._tell(batch[0].route, texts, "the client failed")
            self._settled(batch, len(rest))

    def _settled(self, batch: list[_Item], rest: int) -> None:
        """Drop a batch but for its last items, unless the end has told of all of them as lost."""
        with self._changed:
            if self._batch is batch:
                done = batch[: len(batch) - rest]
                self._count -= len(done)
                self._bytes -= sum(len(item.text) for item in done)
                self._batch = batch[len(done) :]
                self._tell_waiters()

    def _take(self) -> list[_Item]:
        """Wait for the next batch, and take it; return nothing when the thread has to end."""
        with self._changed:
            idle = time.monotonic() + _IDLE
            while True:
                queue = self._next_queue()
                now = time.monotonic()
                if self._deadline is not None and (queue is None or now >= self._deadline):
                    break
                if queue is None:
                    if now >= idle:
                        break
                    self._changed.wait(idle - now)
                    continue
                due = queue[0].moment + self._sending.interval
                if queue[0].number <= self._hurry or now >= due or self._is_full(queue):
                    self._batch = self._taken(queue)
                    return self._batch
                self._changed.wait(due - now)
            self._delivery.close()
            self._thread = None
            return []

    def _next_queue(self) -> deque[_Item] | None:
        """Return the queue whose first item is the oldest; None if nothing waits."""
        waiting = [queue for queue in (self._events, self._updates) if queue]
        return min(waiting, key=lambda queue: queue[0].number) if waiting else None

    def _limit(self, route: Route) -> int:
        return MAX_BATCH if route == "import" else self._sending.batch_size

    def _is_full(self, queue: deque[_Item]) -> bool:
        return len(queue) >= self._limit(queue[0].route)

    def _taken(self, queue: deque[_Item]) -> list[_Item]:
        route, size = queue[0].route, 0
        batch: list[_Item] = []
        while queue and queue[0].route == route and len(batch) < self._limit(route):
            size += len(queue[0].text)
            if batch and size > _MAX_BODY:
                break
            batch.append(queue.popleft())
        return batch

    def _wait(self, seconds: float, is_asked: bool) -> bool:  # noqa: FBT001 - as a delivery calls it
        """Wait before another try; return False at the end.

        A flush ends a wait for which the server did not ask, and a close ends each.
        """
        until = time.monotonic() + seconds
        with self._changed:
            hurry, closing = self._hurry, self._deadline
            while True:
                now = time.monotonic()
                if self._deadline is not None and now >= self._deadline:
                    return False
                is_new = (self._hurry != hurry and not is_asked) or self._deadline != closing
                if now >= until or is_new:
                    return True
                self._changed.wait(min(until, self._deadline or until) - now)

    def _tell_waiters(self) -> None:
        """Call those whose items are settled; the lock is held."""
        heads = [queue[0].number for queue in (self._batch, self._events, self._updates) if queue]
        oldest = min(heads, default=self._number + 1)
        due = [settled for number, settled in self._waiters if number < oldest]
        self._waiters = [waiter for waiter in self._waiters if waiter[0] >= oldest]
        for settled in due:
            settled()

    def _tell(self, route: Route, texts: Sequence[bytes], reason: str) -> None:
        """Tell of items that are lost: by a call, and once in a while in the log."""
        with self._changed:
            self._lost += len(texts)
            self._untold += len(texts)
            now = time.monotonic()
            is_due = now - self._warned >= _SECONDS_BETWEEN_WARNINGS
            if is_due:
                count, self._untold, self._warned = self._untold, 0, now
        if is_due:
            log.warning("%d events or updates are lost; the last one: %s", count, reason)
        if self._sending.on_loss is not None:
            try:
                self._sending.on_loss(Loss(route, len(texts), reason, tuple(texts)))
            except Exception:  # noqa: BLE001 - it is not ours
                log.exception("on_loss failed")

    def end(self, deadline: float) -> None:
        """Close at the end of the process, which waits until ``deadline`` at the latest."""
        self.close(min(self._sending.at_exit, deadline - time.monotonic()))

    @property
    def patience(self) -> float:
        """The seconds for which the end of the process may wait."""
        return self._sending.at_exit


@atexit.register
def _end_all() -> None:
    boxes = [*_open]
    deadline = time.monotonic() + max((box.patience for box in boxes), default=0)
    for box in boxes:  # All send at once: one that cannot takes no time of the others.
        box.when_settled(bool)
    for box in boxes:
        box.end(deadline)
