"""The client for programs that wait, and for threads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Self

from idmerge.client.applying import Applies, Applying, Sink
from idmerge.client.delivery import Delivery
from idmerge.client.outbox import Outbox
from idmerge.client.sending import Sending
from idmerge.client.visitor import Visitor

if TYPE_CHECKING:
    from types import TracebackType

    from idmerge.client.state import State


class Connected(Visitor):
    """A visitor whose events go to a server or to a resolver."""

    _target: Outbox | Applying

    def __init__(  # noqa: PLR0913 - each by its name
        self,
        to: str | Applies,
        token: str,
        *,
        state: State | None = None,
        source: Literal["track", "import"] = "track",
        credentials: tuple[str, str] | None = None,
        project_id: str | int | None = None,
        sink: Sink | None = None,
        sending: Sending | None = None,
    ) -> None:
        if source not in {"track", "import"}:
            raise ValueError(f"source must be 'track' or 'import', got {source!r}")
        target: Outbox | Applying
        if isinstance(to, str):
            if sink is not None:
                raise ValueError("sink is for events that are applied to a resolver, not for those sent")
            sending = sending or Sending()
            delivery = Delivery(to, token, credentials, project_id, sending.timeout)
            target = Outbox(delivery, sending)
        elif hasattr(to, "apply_events"):
            target = Applying(to, sink)
        else:
            raise TypeError(f"to must be an address or a resolver, got {type(to).__name__}")
        super().__init__(target, token, state, source)

    def bound(self, state: State) -> Self:
        """Return a client of another visitor, which sends by the same queue.

        Examples:
            >>> from idmerge import Resolver
            >>> from idmerge.client import Client
            >>> client = Client(resolver := Resolver(), "shop")
            >>> for session in ({}, {}):
            ...     _ = client.bound(session).track("Viewed page")
            >>> len(resolver)
            2
        """
        other = type(self).__new__(type(self))
        Visitor.__init__(other, self._target, self._token, state, self._source)
        return other

    def __repr__(self) -> str:
        """Name the place to which events go; no token, and nothing of the visitor."""
        return f"{type(self).__name__}({self._target!r})"


class Client(Connected):
    """Sends events of a visitor, as Mixpanel's browser SDK does.

    Calls may come from any thread, and return at once: a thread in the background sends what they
    state. At the end of the process it has `Sending.at_exit` seconds for what is left. As a context
    manager the client is closed at the end of the block.

    Args:
        to: The address of Mixpanel (``https://api.mixpanel.com``, in the EU
            ``https://api-eu.mixpanel.com``) or of ``idmerge serve``; or a resolver of this process,
            to which events are applied at once.
        token: The project's token.
        state: The place of what is remembered of the visitor; by default a new dict.
        source: The route of events: ``"track"``, which takes what happens now, or ``"import"``,
            which takes what happened at any time.
        credentials: User and password for ``/import``: the project's secret and an empty password,
            or a service account. By default the token is the user.
        project_id: The project's number, which a service account has to name.
        sink: With a resolver, what is called with each route and item: events, and the profile
            updates that the resolver has no use for.
        sending: The sizes and times of requests, and of the queue.

    Raises:
        TypeError: ``to`` is neither an address nor a resolver, or the token is no text.
        ValueError: ``to`` has a user or a query, or an argument is not one of those above.

    Examples:
        >>> from idmerge.client import Client
        >>> from idmerge.testing import server
        >>> with server() as local:
        ...     with Client(local.url, local.token) as client:
        ...         anonymous = client.distinct_id
        ...         _ = client.track("Viewed page")
        ...         _ = client.identify("ana")
        ...         delivered = client.flush()
        ...     found = local.cluster("ana") == [anonymous, "ana"]
        >>> delivered, found
        (True, True)
    """

    def flush(self, timeout: float = 10.0) -> bool:
        """Send what waits, and wait for it.

        Returns:
            Whether everything is delivered since the last call: False if something was lost, or
            still waits after ``timeout`` seconds. A resolver with a journal commits.

        Examples:
            >>> from idmerge import Resolver
            >>> from idmerge.client import Client
            >>> client = Client(Resolver(), "shop")
            >>> client.track("Viewed page"), client.flush()
            (True, True)
        """
        return self._target.flush(timeout)

    def close(self, timeout: float = 10.0) -> bool:
        """Send what waits, and end; what is not sent in ``timeout`` seconds is lost.

        Clients that are bound to other states share the queue, and end too.

        Returns:
            Whether everything is delivered since the last call of `flush`.

        Examples:
            >>> from idmerge import Resolver
            >>> from idmerge.client import Client
            >>> Client(Resolver(), "shop").close()
            True
        """
        return self._target.close(timeout)

    def __enter__(self) -> Self:
        """Return the client."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the client."""
        self.close()
