"""A client for servers: the calls of Mixpanel's browser SDK, for many visitors at once.

- `Client`: sends to Mixpanel, to ``idmerge serve``, or to a resolver in this process; `AsyncClient`
  is the same for asyncio. `People` has the calls on a profile.
- `State`: the place of what is remembered of a visitor; `FileState` is one in a file.
- `Sending`: the sizes of requests and of the queue; `Loss` tells of what was not delivered.
- `asgi`, `wsgi`: middleware that keeps a visitor's device ID in a `Cookie`, and gives each request
  a `Visit`, which `visit_of` finds.

Nothing is imported but the standard library.
"""

from idmerge.client.asynchronous import AsyncClient
from idmerge.client.client import Client
from idmerge.client.cookies import Cookie
from idmerge.client.people import People
from idmerge.client.sending import Loss, Sending
from idmerge.client.state import FileState, State
from idmerge.client.visits import Visit, visit_of

__all__ = [
    "AsyncClient",
    "Client",
    "Cookie",
    "FileState",
    "Loss",
    "People",
    "Sending",
    "State",
    "Visit",
    "visit_of",
]
