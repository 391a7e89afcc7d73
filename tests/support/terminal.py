"""Commands on a pseudo-terminal, and what it shows in the end and on the way."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

PROGRAM = """
import sys, time
from idmerge.cli import main, progress
progress.DELAY = float(sys.argv.pop(1))
progress.FRAMES_A_SECOND = 50
sys.argv[0] = "idmerge"
if not progress.DELAY:
    begin = progress._Display.start
    def start(display):
        begin(display)
        while display._thread.is_alive() and not display._is_shown:  # However short the work is.
            time.sleep(0.001)
    progress._Display.start = start
main()
"""


def on_a_terminal(
    *arguments: object,
    width: int = 120,
    delay: float = 0,
    stdout: bool | int = False,
    environment: Mapping[str, str] | None = None,
    code: int | None = 0,
) -> str:
    """Return what ``idmerge ARGUMENTS`` writes to a terminal of so many columns.

    Standard error goes there, standard output only if ``stdout`` is true; it may be the number of
    another file. A progress is shown after ``delay`` seconds. The exit code must be ``code``,
    unless that is None.
    """
    controller, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 50, width, 0, 0))
    inherited = {name: text for name, text in os.environ.items() if name not in {"NO_COLOR", "COLUMNS"}}
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(delay), *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        stdout=terminal if stdout is True else stdout or subprocess.DEVNULL,
        stderr=terminal,
        env={**inherited, "TERM": "xterm-256color", **(environment or {})},
    ) as running:
        os.close(terminal)
        shown = b""
        while True:
            try:
                piece = os.read(controller, 65536)
            except OSError:  # Linux reports the closed end as an error.
                break
            if not piece:
                break
            shown += piece
        os.close(controller)
        assert code in {None, running.wait()}, shown
    return shown.decode().replace("\r\n", "\n")
