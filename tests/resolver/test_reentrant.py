"""Re-entrant calls: Python that runs in the middle of a call may call the same resolver.

A finalizer runs when garbage is collected or a reference is dropped, a `__repr__` when an error
is worded.
"""

from __future__ import annotations

import subprocess
import sys

import pytest

PREPARE = """
import gc, sys, threading
from idmerge import DurableResolver, Kind, Resolver
from idmerge.errors import IdmergeError
r = DurableResolver.open(":memory:")
r.merge("known", "also known")
calls = []
def call():
    calls.append(r.merge(f"x{len(calls)}", "y").name)
class Shouting(str):
    def __repr__(self):
        call()
        return "<" + str(self) + ">"
class Garbage:
    def __init__(self): self.me = self
    def __del__(self): call()
def refused(work):
    try:
        work()
    except (IdmergeError, ValueError) as error:
        return str(error)
"""


def run(code: str) -> str:
    """Return what a child prints; a hang fails."""
    ran = subprocess.run(
        [sys.executable, "-c", PREPARE + code], capture_output=True, text=True, check=False, timeout=60
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ('r.keep_apart(Shouting("known"), "also known")', "<known> and 'also known' are together"),
        ('r.keep_apart(Shouting("s"), Shouting("s"))', "<s> cannot be kept apart from itself"),
        ('r.keep_apart(Shouting(""), "b")', "<> can be no ID"),
        ('r.forget(Shouting("nobody"))', "<nobody> is not known"),
        ('r.members(Shouting("nobody"))', "<nobody> is not known"),
        ('r.size(Shouting("nobody"))', "<nobody> is not known"),
        ('r.explain(Shouting("nobody"))', "<nobody> is not known"),
        ('r.explain("known", Shouting("nobody"))', "<nobody> is not known"),
        ('r.why_not("known", Shouting("nobody"))', "<nobody> is not known"),
        ('r.statements(Shouting("nobody"))', "<nobody> is not known"),
        (r'r.why_not(Shouting("\ud800"), "known")', "> is not known"),
        (r'r.explain(Shouting("\ud800"))', "> is not known"),
        (r'r.forget(Shouting("\ud800"))', "> is not known"),
    ],
)
def test_the_repr_of_an_id_in_an_error_may_call_the_resolver(call: str, message: str) -> None:
    code = f"print(ascii(refused(lambda: {call})).replace('\\\\\\\\', '\\\\'), calls[:1], r.same('x0', 'y'))"
    printed = run(code)
    assert message in printed
    assert printed.endswith("['MERGED'] True\n")


@pytest.mark.parametrize("threads", [1, 4])
@pytest.mark.parametrize(
    "call",
    [
        "r.link_many(Kind.MERGE, left, right)",
        "r.observe_many(left)",
        "r.resolve_many(left)",
        "r._take_steps(bytes([2]) * len(left), left, right, 0)",
    ],
)
def test_garbage_that_is_collected_in_a_call_on_lists_may_call_the_resolver(call: str, threads: int) -> None:
    code = f"""
r = Resolver(threads={threads})
rows = 30_000
# For a lone surrogate Python makes an exception, which the collector watches.
left = [f"a{{row}}" if row % 100 else "\\ud800" for row in range(rows)]
right = ["b"] * rows
gc.disable()
for _ in range(200):
    Garbage()
before = len(calls)
gc.set_threshold(1, 1, 1)
gc.enable()
{call}
gc.disable()
print(len(calls) > before, r.resolve("x1") == r.resolve("y"))
"""
    assert run(code).split()[1:] == ["True"]


def test_an_element_that_dies_in_a_call_may_call_the_resolver() -> None:
    code = """
r = Resolver(threads=1)
class Dying(str):
    def __del__(self): call()
rows = 200_000
left = [Dying(f"a{row}") for row in range(rows)]
right = ["b"] * rows
sys.setswitchinterval(1e-6)
going = threading.Event()
def shorten():
    going.wait()
    while left:
        del left[-1000:]
thread = threading.Thread(target=shorten)
thread.start()
going.set()
try:
    r.link_many(Kind.MERGE, left, right)
except RuntimeError as error:
    assert "became shorter" in str(error), error
except ValueError as error:
    assert "same length" in str(error), error
thread.join()
print(set(calls), len(calls))
"""
    assert "'MERGED'" in run(code)
