"""Events that are applied to a resolver in this process, in place of being sent."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Protocol

from idmerge.client.sending import Route

Sink = Callable[[Route, dict[str, Any]], object]
"""What gets each event and profile update, with its route."""


class Applies(Protocol):
    """A resolver: `idmerge.Resolver`, `idmerge.DurableResolver`, or one with the same method."""

    def apply_events(self, events: Iterable[dict[str, Any]], source: Any = ..., /) -> Any:
        """Apply events."""


class Applying:
    """Applies each event as it comes; the resolver's rules judge its link.

    Args:
        resolver: The resolver. One that has a journal commits at `flush` and at `close`.
        sink: What is then called with each event, and with each profile update.
    """

    def __init__(self, resolver: Applies, sink: Sink | None) -> None:
        self._resolver = resolver
        self._sink = sink

    def __repr__(self) -> str:
        """Name the resolver."""
        return f"Applying({self._resolver!r})"

    def put(self, route: Route, item: dict[str, Any]) -> bool:
        """Apply an event; hand it, or an update, to the sink."""
        if route != "engage":
            self._resolver.apply_events([item], "import" if route == "import" else "track")
        if self._sink is not None:
            self._sink(route, item)
        return True

    def when_settled(self, settled: Callable[[], object]) -> None:
        """Commit, and call ``settled``."""
        commit = getattr(self._resolver, "commit", None)
        if commit is not None:
            commit()
        settled()

    def forget(self, settled: Callable[[], object]) -> None:
        """Do nothing: it was called."""

    def none_lost(self) -> bool:
        """Return True: what was put is applied."""
        return True

    def flush(self, timeout: float) -> bool:  # noqa: ARG002 - as an outbox takes it
        """Commit; return True."""
        self.when_settled(bool)
        return True

    def close(self, timeout: float) -> bool:
        """Commit; return True."""
        return self.flush(timeout)
