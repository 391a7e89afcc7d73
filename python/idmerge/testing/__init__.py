"""For tests and demonstrations: made-up events, and a server for a test of what is sent.

- `events`: a shop's visitors, the same on every machine. ``idmerge generate`` writes them as files.
- `server`: ``idmerge serve`` while a test runs; `LocalServer` is asked what came.
"""

from idmerge.testing.local import LocalServer, server
from idmerge.testing.workload import events

__all__ = ["LocalServer", "events", "server"]
