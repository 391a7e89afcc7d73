"""The command line.

On files: ``resolve``, ``stitch``, ``report``, ``show``, ``doctor``, ``profiles``, ``ask``,
``init``, ``migrate``. On a journal: ``journal``, ``mapping``, ``changes``, ``sink``, ``why``,
``verify``, ``retract``, ``keep-apart``, ``forget``, ``compact``, and ``show`` and ``doctor`` again.
A server: ``serve``; its pages without one: ``inspect``. To try things: ``generate``, ``bench``.
Each has a module in `commands`; beside it stands what they share.

Data goes to standard output, everything else to standard error. Exit codes: 0 done, 1 a file or an
ID stood in the way, 2 the call was wrong, 130, 143 and 129 ended by Ctrl-C, SIGTERM and SIGHUP.
"""

import io
import os
import sys

from idmerge.cli import signals


def main() -> None:
    """Run the command that the process's arguments name, and end as it does."""
    signals.handle_signals()
    try:
        _run()
    except BaseException as error:
        number = signals.ended_by(error)
        if number is None or (isinstance(error, SystemExit) and not error.code):
            raise
        if not isinstance(error, SystemExit):
            print(f"idmerge: {signals.line(number)}", file=sys.stderr)  # noqa: T201 - no click yet
        sys.exit(signals.exit_code(number))
    finally:
        signals.end()


def _run() -> None:
    try:
        import click  # noqa: F401, PLC0415
    except ImportError:
        sys.exit("idmerge: error: the command line needs click: pip install click rich pyarrow")
    from idmerge.cli.group import commands  # noqa: PLC0415

    # Only pictures multiply matrices, small ones; the threads that numpy starts for that, one a
    # processor, cost a third of the processor's time in a run on a small file.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    if isinstance(sys.stdout, io.TextIOWrapper):  # An ID may hold what the terminal's encoding lacks.
        sys.stdout.reconfigure(errors="backslashreplace")

    commands(prog_name="idmerge")
