"""Instructions a link, a look-up, an event: a guard against regressions that no noise disturbs.

    python -m benches.reports.instructions            count; exit 1 if a kernel grew
    python -m benches.reports.instructions --record   write `benches/results/instructions.json`

Callgrind counts what the kernels of the core and of the readers of events
(`rust/*/benches/instructions.rs`) execute, between the first and the last instruction of each and
nowhere else. Preparing takes exactly as many in every
run. Hashes are keyed anew in each process, so the kernels that search the index differ from run to
run, by less than 0.1 % in eight runs each; the bound of 5 % leaves room for how a compiler happens
to arrange what has not changed.

Instructions are not time: a kernel that waits for memory in another order takes as many. What this
sees is work that was not there before. Figures hold for one processor architecture and are best
compared with one compiler, so both stand beside them.
"""

from __future__ import annotations

import argparse
import json
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benches.support.paths import RESULTS, ROOT

RECORD = RESULTS / "instructions.json"
IDS = 100_000
KERNELS = {
    "core": {"receive": "an operand", "settle": "a link", "ask": "a question", "resolve": "a look-up"},
    "events": {"cut": "an event", "scan": "an event", "columns": "an event"},
}
"""The kernels of each crate, and what each handles one of at a time."""
UNITS = {kernel: unit for kernels in KERNELS.values() for kernel, unit in kernels.items()}
MOST_GROWTH = 0.05

_PROGRAM = "instructions"


class UncountedError(Exception):
    """Nothing was counted; the message says why."""


def count() -> dict[str, float]:
    """Build the kernels and return the instructions of each, for one unit.

    Raises:
        UncountedError: A tool is missing, or what it printed is not what it should be.
    """
    for tool, whence in (("valgrind", "a package of that name"), ("cargo", "https://rustup.rs")):
        if shutil.which(tool) is None:
            raise UncountedError(f"{tool} is not installed ({whence}): no instructions are counted")
    programs = {crate: _build(crate) for crate in KERNELS}
    return {
        kernel: _count_one(programs[crate], kernel)
        for crate, kernels in KERNELS.items()
        for kernel in kernels
    }


def _build(crate: str) -> str:
    """Build the kernels of a crate and return their program."""
    command = ("cargo", "bench", "--locked", f"--package=idmerge-{crate}", f"--bench={_PROGRAM}", "--no-run")
    built = subprocess.run(
        [*command, "--message-format=json-render-diagnostics"],
        cwd=ROOT,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return executable(built.stdout)


def _count_one(program: str, kernel: str) -> float:
    with tempfile.TemporaryDirectory() as folder:
        profile = Path(folder) / "profile"
        callgrind = (
            "--tool=callgrind",
            f"--toggle-collect=*kernel_{kernel}*",
            f"--callgrind-out-file={profile}",
        )
        command = ["valgrind", "--quiet", *callgrind, program, kernel, str(IDS)]
        printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        return round(total(profile.read_text("utf-8")) / units(printed, kernel), 2)


def executable(messages: str) -> str:
    """Return the program that cargo says it built, from its messages in JSON, one a line."""
    for message in map(json.loads, messages.splitlines()):
        if message.get("target", {}).get("name") == _PROGRAM and message.get("executable"):
            path: str = message["executable"]
            return path
    raise UncountedError(f"cargo named no program {_PROGRAM!r}")


def total(profile: str) -> int:
    """Return how many instructions a profile of callgrind's counts in all."""
    lines = dict(
        line.split(":", 1) for line in profile.splitlines() if line.startswith(("events:", "totals:"))
    )
    if lines.get("events", "").split() != ["Ir"] or not (counted := lines.get("totals", "").split()):
        raise UncountedError("callgrind wrote no total of instructions")
    if not (instructions := int(counted[0])):
        raise UncountedError("callgrind counted nothing: no function has the kernel's name")
    return instructions


def units(printed: str, kernel: str) -> int:
    """Return how many units the program says that it handled."""
    name, _, number = printed.strip().partition(" ")
    if name != kernel or not number.isdecimal() or not int(number):
        raise UncountedError(f"the program should print {kernel!r} and a number, it printed {printed!r}")
    return int(number)


def growth(recorded: Mapping[str, float], counted: Mapping[str, float]) -> dict[str, float]:
    """Return by what share each kernel grew; one that was never recorded has not."""
    return {kernel: number / recorded.get(kernel, number) - 1 for kernel, number in counted.items()}


def grown(recorded: Mapping[str, float], counted: Mapping[str, float]) -> list[str]:
    """Return a sentence for each kernel that grew by more than is granted."""
    return [
        f"{kernel} grew by {share:.1%}, from {recorded[kernel]:,} to {counted[kernel]:,} instructions "
        f"{UNITS[kernel]}: more than {MOST_GROWTH:.0%}"
        for kernel, share in growth(recorded, counted).items()
        if share > MOST_GROWTH
    ]


def conditions() -> dict[str, Any]:
    """Return what the figures depend on besides the code."""
    return {
        "machine": platform.machine(),
        "ids": IDS,
        **{tool: _version(tool) for tool in ("rustc", "valgrind")},
    }


def _version(tool: str) -> str:
    return subprocess.run([tool, "--version"], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def differences(recorded: Mapping[str, Any], present: Mapping[str, Any]) -> list[str]:
    """Return a sentence for each condition that is another now."""
    return [
        f"{what}: recorded {recorded.get(what)}, now {now}"
        for what, now in present.items()
        if recorded.get(what) != now
    ]


def main(arguments: Sequence[str]) -> None:
    """Count, and record or compare."""
    parser = argparse.ArgumentParser(
        prog="python -m benches.reports.instructions", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--record", action="store_true", help=f"write {RECORD.relative_to(ROOT)}")
    chosen = parser.parse_args(arguments)
    if not (chosen.record or RECORD.exists()):
        sys.exit(f"{RECORD} does not exist: record it first, with --record")
    try:
        counted = count()
    except UncountedError as error:
        sys.exit(str(error))
    except subprocess.CalledProcessError as error:
        sys.exit(f"{error.cmd[0]} failed with code {error.returncode}")
    present = conditions()
    recorded = json.loads(RECORD.read_text("utf-8")) if RECORD.exists() else {}
    figures = recorded.get("instructions", {})
    for kernel, share in growth(figures, counted).items():
        print(f"{kernel:<8} {counted[kernel]:>8.2f} instructions {UNITS[kernel]:<11} {share:+.2%}")
    if chosen.record:
        RECORD.write_text(json.dumps({**present, "instructions": counted}, indent=1) + "\n", "utf-8")
        return
    for difference in differences(recorded, present):
        print(difference, file=sys.stderr)
    if sentences := grown(figures, counted):
        sys.exit("\n".join(sentences))


if __name__ == "__main__":
    main(sys.argv[1:])
