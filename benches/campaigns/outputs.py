"""Killed and interrupted writers of outputs: each time the output is whole.

    python -m benches.campaigns.outputs [COUNT] [--seed SEED]    default 1000

First a writer dies at every line of the code that puts an output in its place: killed (SIGKILL),
interrupted once (an exception at that line), and interrupted twice, at that line and at a random
later one. Outputs are files and directories, new ones and ones that replace another, with the
exchange of two names and without. Then COUNT times a writer that writes slowly is killed or
interrupted at a random moment, while another one writes the same output.

Each time the output must be the old one or the new one, whole; there may be none only if the next
run puts it back. After an interrupt nothing else may be left, and after a kill nothing once the
next run has ended.
"""

from __future__ import annotations

import atexit
import gc
import os
import random
import shutil
import signal
import sys
import tempfile
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from time import sleep
from types import FrameType
from typing import Any, NamedTuple

from benches.support.campaign import campaign_options, run_campaign
from idmerge.files import exchanging, replacing, replacing_directory, syncing, temporary, writing

COUNT = 1000
_FILES = {module.__file__ for module in (exchanging, syncing, temporary, writing)}
_PARTS = 3
_OLD, _NEW, _NEXT = "old", "new", "next"
_LONGEST = 0.02
"""Seconds at most until a writer is killed."""
_WRONG, _FINISHED = 99, 42


class Case(NamedTuple):
    """A kind of output."""

    is_directory: bool
    is_there: bool
    exchanges: bool

    def write(self, content: str, pause: float = 0.0) -> None:
        """Write the output."""
        if self.is_directory:
            with replacing_directory("out", _check) as directory:
                for part in range(_PARTS):
                    (directory / str(part)).write_text(content, encoding="utf-8")
                    sleep(pause)
            return
        with replacing("out") as stream:
            for _ in range(_PARTS):
                stream.write(content.encode())
                sleep(pause)

    def found(self) -> str | None:
        """Return the content of the output, None if there is none.

        Raises:
            AssertionError: It is not whole.
        """
        if not Path("out").exists():
            return None
        if self.is_directory:
            parts = [Path("out", str(part)).read_text(encoding="utf-8") for part in range(_PARTS)]
            content, whole = parts[0], parts == parts[:1] * _PARTS
        else:
            text = Path("out").read_text(encoding="utf-8")
            content = text[: len(text) // _PARTS]
            whole = text == content * _PARTS
        assert whole, "the output is not whole"
        return content


CASES = [
    Case(is_directory, is_there, exchanges)
    for is_directory in (False, True)
    for is_there in (False, True)
    for exchanges in (True, False)
    if exchanges or (is_directory and is_there)
]


def _check(_target: Path) -> None:
    """Let everything be replaced."""


class Interrupts:
    """Does something at the lines with these numbers, of those that a writer runs."""

    def __init__(self, at: Sequence[int], act: Callable[[], None]) -> None:
        self._at = set(at)
        self._act = act
        self.lines = 0

    def trace(self, frame: FrameType, event: str, _argument: Any) -> Any:
        """Follow the lines of the code of outputs alone."""
        if frame.f_code.co_filename not in _FILES:
            return None
        if event == "line":
            self.lines += 1
            if self.lines in self._at:
                self._act()
        return self.trace


def _names() -> set[str]:
    return {path.name for path in Path().iterdir()}


def _kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _interrupt() -> None:
    raise KeyboardInterrupt


def in_child(work: Callable[[], int]) -> int:
    """Return the exit code of a child that does this; of a killed one the signal's negative."""
    if child := os.fork():
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    code = _WRONG
    try:
        code = work()
    except BaseException:  # noqa: BLE001
        traceback.print_exc()
    finally:
        os._exit(code)


def at_lines(case: Case, lines: Sequence[int], act: Callable[[], None]) -> int:
    """Return how a writer ends to which something happens at these lines."""

    def work() -> int:
        if not case.exchanges:
            writing.exchange = lambda *_: False
        interrupts = Interrupts(lines, act)
        code = _FINISHED
        sys.settrace(interrupts.trace)
        try:
            case.write(_NEW)
        except KeyboardInterrupt:
            code = 0
        if interrupts.lines >= lines[0]:
            code = 0
        gc.collect()
        atexit._run_exitfuncs()
        sys.settrace(None)
        return code

    return in_child(work)


def check(case: Case, *, is_killed: bool, counts: Counter[str]) -> None:
    """Check what is there, then let a next writer come.

    Raises:
        AssertionError: Something is lost, or left over.
    """
    found = case.found()
    names = _names()
    if not is_killed:
        assert names <= {"out"}, f"an interrupt left {names}"
    assert found in {_OLD, _NEW} or (found is None and (not case.is_there or is_killed)), found
    if case.is_there and found is None:
        put_back(case, _OLD, counts)
    counts["left over"] += len(names - {"out"}) > 0
    case.write(_NEXT)
    assert (case.found(), _names()) == (_NEXT, {"out"})


def put_back(case: Case, expected: str, counts: Counter[str]) -> None:
    """Check that the output which a killed writer had moved away comes back.

    Raises:
        AssertionError: It does not, or is another one.
    """
    counts["put back"] += 1
    (old,) = Path().glob(".out.*.old")
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        for left in temporary.abandoned(Path("out").absolute()):
            left.remove()
    assert (case.found(), old.exists(), told) == (expected, False, [])


def _in_a_new_folder(case: Case, work: Callable[[], None]) -> None:
    home = Path.cwd()
    # No `TemporaryDirectory`, for a child that ends as interpreters do would remove it.
    folder = tempfile.mkdtemp(dir=home)
    os.chdir(folder)
    try:
        if case.is_there:
            case.write(_OLD)
        work()
    finally:
        os.chdir(home)
        shutil.rmtree(folder)


def every_line(case: Case, drawn: random.Random, counts: Counter[str], step: int = 1) -> None:
    """Let writers die at every line, or at every one of ``step``."""
    line = 1
    is_over = False
    while not is_over:
        for act, lines in (
            (_kill, [line]),
            (_interrupt, [line]),
            (_interrupt, [line, line + drawn.randint(1, 60)]),
        ):

            def one(act: Callable[[], None] = act, lines: Sequence[int] = lines) -> None:
                nonlocal is_over
                code = at_lines(case, lines, act)
                assert code in {0, -signal.SIGKILL, _FINISHED}, f"{case}, lines {lines}: {code}"
                is_over = code == _FINISHED
                if not is_over:
                    counts["kills at a line" if act is _kill else "interrupts at a line"] += 1
                    check(case, is_killed=act is _kill, counts=counts)

            _in_a_new_folder(case, one)
        line += step


def at_random(case: Case, drawn: random.Random, counts: Counter[str]) -> None:
    """Let a writer die at a random moment, while another one writes the same output."""
    how = drawn.choice((signal.SIGKILL, signal.SIGINT))
    after = drawn.uniform(0, _LONGEST)

    reader, writer = os.pipe()

    def writes() -> int:
        if not case.exchanges:
            writing.exchange = lambda *_: False
        try:
            os.write(writer, b".")
            case.write(_NEW, _LONGEST / 4)
        except BaseException as error:
            # The standard library may raise something else while it handles an interrupt.
            if not isinstance(error, KeyboardInterrupt) and not isinstance(
                error.__context__, KeyboardInterrupt
            ):
                raise
        gc.collect()
        atexit._run_exitfuncs()
        return 0

    def one() -> None:
        children = []
        for _ in range(2):
            if not (child := os.fork()):
                os._exit(in_child_code(writes))
            children.append(child)
            os.read(reader, 1)
        sleep(after)
        os.kill(children[0], how)
        codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
        assert codes[1] == 0, codes
        assert codes[0] in {0, -how, _WRONG}, codes
        found = case.found()
        if found is None and how == signal.SIGKILL and not case.exchanges:
            # It died between its two renames, after the other one had ended.
            put_back(case, _NEW, counts)
            found = _NEW
        assert found == _NEW, f"the other writer ended, and there is {found}"
        counts[f"random {how.name}"] += 1
        case.write(_NEXT)
        assert (case.found(), _names()) == (_NEXT, {"out"})

    try:
        _in_a_new_folder(case, one)
    finally:
        os.close(reader)
        os.close(writer)


def in_child_code(work: Callable[[], int]) -> int:
    """Return the code of ``work`` in a child, also if an interrupt came before its beginning."""
    try:
        return work()
    except KeyboardInterrupt:
        return 0
    except BaseException:  # noqa: BLE001
        traceback.print_exc()
        return _WRONG + 1


def campaign(count: int, folder: Path, seed: int = 0, step: int = 1) -> Counter[str]:
    """Let so many writers die at random moments, after those at every line; return what happened.

    Raises:
        AssertionError: An output was lost, or something was left over.
    """
    drawn = random.Random(seed)
    counts: Counter[str] = Counter()
    home, fsync = Path.cwd(), os.fsync
    os.chdir(folder)
    os.fsync = lambda _: None  # A process that dies loses nothing that it wrote, and the disk is slow.
    try:
        for case in CASES:
            every_line(case, drawn, counts, step)
        for _ in range(count):
            at_random(drawn.choice(CASES), drawn, counts)
    finally:
        os.fsync = fsync
        os.chdir(home)
    return counts


def main(arguments: Sequence[str]) -> int:
    """Print the counts as JSON; return 1 if something did not hold."""
    parser = campaign_options("outputs", __doc__, "count", COUNT)
    parser.add_argument("--step", type=int, default=1, help="only every so many lines")
    chosen = parser.parse_args(arguments)
    return run_campaign(lambda folder: (campaign(chosen.count, folder, chosen.seed, chosen.step), []), chosen)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
