"""The command line: ``idmerge resolve`` and ``show`` on files, the same and more on journals, and ``bench``.

Data goes to standard output, everything else to standard error. Exit codes: 0 done, 1 a file or an
ID stood in the way, 2 the call was wrong.
"""

import io
import sys


def main() -> None:
    """Run the command that the process's arguments name."""
    try:
        import click  # noqa: F401, PLC0415
    except ImportError:
        sys.exit("idmerge: error: the command line needs click: pip install 'idmerge[cli]'")
    from idmerge.cli.group import commands  # noqa: PLC0415

    if isinstance(sys.stdout, io.TextIOWrapper):  # An ID may hold what the terminal's encoding lacks.
        sys.stdout.reconfigure(errors="backslashreplace")

    commands(prog_name="idmerge")
