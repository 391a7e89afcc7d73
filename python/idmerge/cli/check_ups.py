"""Check-ups for the inspector's pages, each made by a process of its own.

To examine millions of events takes memory and the interpreter's time, of which a server needs both
for its requests. What is examined is stated on standard input: a journal's URL may hold a password.
"""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from idmerge.errors import IdmergeError

if TYPE_CHECKING:
    from idmerge.doctor import Diagnosis
    from idmerge.server.inspector.examined import CheckUp, Found

_NICENESS = 10
_CODE = "from idmerge.cli.check_ups import answer; answer()"


def check_up_of(path: str, project: str | None = None) -> CheckUp:
    """Return the check-ups of a journal, or of a project in a server's directory."""
    from idmerge.server.inspector.examined import CheckUp as Made  # noqa: PLC0415 - many runs have no server

    return Made(partial(_examined_apart, path, project))


def _examined_apart(path: str, project: str | None) -> Found:
    """Have another process make a check-up, and wait for it.

    Raises:
        RuntimeError: It found nothing; the text says why.
    """
    from idmerge.server.inspector.examined import Found as Made  # noqa: PLC0415

    asked = json.dumps({"path": path, "project": project}).encode()
    command = [sys.executable, "-c", _CODE]
    with subprocess.Popen(  # noqa: S603 - it is this interpreter
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        start_new_session=True,  # Ctrl-C is for the server, which ends this process at its own end.
    ) as process:
        atexit.register(process.kill)
        try:
            output, _ = process.communicate(asked)
        finally:
            atexit.unregister(process.kill)
    if process.returncode:
        raise RuntimeError(f"the process that looked for faults ended with code {process.returncode}")
    found = json.loads(output)
    if "error" in found:
        raise RuntimeError(found["error"])
    return Made(found["verdict"], [(tone, title) for tone, title in found["titles"]], found["lines"])


def answer() -> None:
    """Make the check-up that standard input asks for, and print it as JSON."""
    if hasattr(os, "nice"):
        os.nice(_NICENESS)
    asked = json.load(sys.stdin)
    try:
        found = _shown(_diagnosis(asked["path"], asked["project"]))
    except (IdmergeError, OSError, ValueError) as error:
        found = {"error": f"{error}"}
    json.dump(found, sys.stdout)


def _diagnosis(path: str, project: str | None) -> Diagnosis:
    from idmerge.cli.served import is_served  # noqa: PLC0415
    from idmerge.cli.served_events import of_directory  # noqa: PLC0415
    from idmerge.doctor import examine, examine_journal  # noqa: PLC0415
    from idmerge.server.directory import Directory  # noqa: PLC0415
    from idmerge.server.store.following import lines_of  # noqa: PLC0415

    if not is_served(path):
        return examine_journal(path)
    [of] = [one for one in Directory.read(path).projects if one.name == project]
    with tempfile.TemporaryDirectory(prefix="idmerge-check-up-") as place:
        events = Path(place) / f"{of.name}.ndjson"
        with events.open("wb") as file:
            file.writelines(lines_of(Path(path) / "log", of, judged=False))
        found = examine(
            [str(events)], policy=of.policy, canonical=of.canonical or "stable", timezone=of.timezone
        )
    return of_directory(found, path)


def _shown(diagnosis: Diagnosis) -> dict[str, object]:
    """Return what pages show of a diagnosis."""
    from idmerge.doctor import page  # noqa: PLC0415

    overview, findings, missing = diagnosis.overview, diagnosis.findings, diagnosis.not_looked_for
    return {
        "verdict": page.verdict(findings),
        "titles": [(page.TONES[finding.severity], finding.title) for finding in findings],
        "lines": [*page.main(overview, findings, missing)],
    }
