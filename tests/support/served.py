"""A server with an application that keeps what is posted to it, run as a process.

``python -m served DIR ARGUMENTS`` is ``idmerge serve`` with that application in place of its own.
After ``full`` as the first argument no journal can be written to, as on a full disk.
"""

from __future__ import annotations

import errno
import json
import os
import sys
from typing import Any

from idmerge import DurableResolver
from idmerge.server import app as app_module
from idmerge.server.log.records import Record


def keeping(server: Any, _routes: object = None, **_: object) -> Any:
    """Return an application: what is posted is kept as one record, and answered when it is."""

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        status, content = 200, {"status": 1}
        if server.draining:
            status, content = 503, {"status": 0}
        elif scope["method"] == "POST":
            record = Record("main", "events", "import", 1_700_000_000_000, body)
            content["end"] = await server.log.append([record])
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": json.dumps(content).encode()})

    return answer


def full(*_: object, **__: object) -> int:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


if __name__ == "__main__":
    from idmerge.cli import main

    app_module.App = keeping  # type: ignore[assignment,misc]
    if sys.argv[1] == "full":
        del sys.argv[1]
        DurableResolver.commit = full  # type: ignore[method-assign]
    sys.argv[:1] = ["idmerge", "serve"]
    main()
