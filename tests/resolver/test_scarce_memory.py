"""Memory that runs out, and answers too large for a column: an error, and the resolver goes on."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from benches.campaigns.forgeries import forge
from idmerge import DurableResolver, Kind, Outcome, Policy, Resolver, _core
from idmerge.errors import IdmergeError, InternalError, PoisonedError

if TYPE_CHECKING:
    from pathlib import Path

linux = pytest.mark.skipif(sys.platform != "linux", reason="other systems count addresses otherwise")

FULL = """
import json, resource, sys
from idmerge import DurableResolver, Kind, Resolver
import idmerge.journal.durable, idmerge.journal.sqlite
extra, text, kind = int(sys.argv[1]), sys.argv[2], sys.argv[3]
def limit(beyond):
    with open("/proc/self/statm") as file:
        used = int(file.read().split()[0]) * resource.getpagesize()
    most = resource.RLIM_INFINITY if beyond is None else used + beyond
    resource.setrlimit(resource.RLIMIT_AS, (most, resource.RLIM_INFINITY))
def piece(number):
    rows = range(10_000 * number, 10_000 * (number + 1))
    return [text % row for row in rows], [text % (row // 3 * 3) for row in rows]
r = Resolver(threads=2) if kind == "plain" else DurableResolver.open(":memory:", threads=2)
pieces, message = 0, ""
limit(extra)
while not message:
    try:
        r.link_many(Kind.MERGE, *piece(pieces))
        pieces += 1
    except MemoryError as error:
        message = str(error) or "Python's own"
known = [text % 0 in r, r.same(text % 0, text % 2), r.resolve_many([text % 2])]
limit(None)
taken = 10_000 * pieces + int(message.partition("in row ")[2].partition(",")[0] or 0)
expected = Resolver()
for number in range(pieces + 1):
    left, right = piece(number)
    rows = min(10_000, taken - 10_000 * number)
    expected.link_many(Kind.MERGE, left[:rows], right[:rows])
is_right = r.mapping().to_pydict() == expected.mapping().to_pydict()
r.link_many(Kind.MERGE, *piece(pieces))
print(json.dumps([message, known, is_right, len(r), 10_000 * (pieces + 1)]))
if kind != "plain":
    print(r.commit())
"""


@linux
@pytest.mark.parametrize("kind", ["plain", "recording"])
@pytest.mark.parametrize("text", ["5c3c0e5d-9a1f-4c39-8f8e-%012x", "a text that is too long for a key, %d"])
def test_a_resolver_for_which_there_is_no_more_memory_keeps_what_it_has_and_goes_on(
    kind: str, text: str
) -> None:
    command = [sys.executable, "-c", FULL, "24_000_000", text, kind]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=200)
    assert ran.returncode == 0, ran.stderr
    message, known, is_right, found, rows = json.loads(ran.stdout.splitlines()[0])
    assert message.startswith("the system has no memory for more; reached in row ")
    assert known == [True, True, [text % 0]]
    assert is_right
    assert found == rows


ACT = """
import resource, sys
from idmerge import Kind, Policy, _core
r = _core.Resolver(Policy(), "stable", record=True)
rows = 2**14
for _ in range(2**6):
    r._link_columns(Kind.MERGE, ["a"] * rows, ["b"] * rows)
r.observe("another")
acts = {
    "forget": lambda: r.forget("a"),
    "keep_apart": lambda: r.keep_apart("a", "c"),
    "retract": lambda: r._retract([], [0], False),
}
with open("/proc/self/statm") as file:
    used = int(file.read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 1_000_000, resource.RLIM_INFINITY))
try:
    while True:
        r.merge("a", "b")  # A link asks for room for two steps, and takes one.
except MemoryError:
    r.forget("another")  # The record is full.
resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
before = r.position, r._pending_count(), r.mapping().to_pydict()
resource.setrlimit(resource.RLIMIT_AS, (used + 1_000_000, resource.RLIM_INFINITY))
try:
    acts[sys.argv[1]]()
except MemoryError as error:
    print(error)
resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
print((r.position, r._pending_count(), r.mapping().to_pydict()) == before)
r._link_columns(Kind.MERGE, ["b"], ["d"])
acts["keep_apart" if sys.argv[1] == "keep_apart" else "forget"]()
print(r.position - before[0], r._pending_count() - before[1])
"""


@linux
@pytest.mark.parametrize("act", ["forget", "keep_apart", "retract"])
def test_an_act_for_which_the_record_has_no_memory_changes_nothing(act: str) -> None:
    command = [sys.executable, "-c", ACT, act]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert ran.returncode == 0, ran.stderr
    message, is_unchanged, taken = ran.stdout.splitlines()
    assert message.startswith("the system has no memory for more")
    assert (is_unchanged, taken) == ("True", "2 2")


@linux
def test_a_capacity_for_which_there_is_no_memory_is_a_hint_and_no_more() -> None:
    code = """
import resource
from idmerge import DurableResolver, Resolver
resource.setrlimit(resource.RLIMIT_AS, (2**31, resource.RLIM_INFINITY))
r = Resolver(capacity=2**31)
print(r.merge("a", "b").name)
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert ran.stdout == "MERGED\n"


GIANT = """
import mmap
import pyarrow as pa
from idmerge import DurableResolver, Resolver
r = Resolver()
r.merge("a", "b")
def attempt(ids):
    try:
        return r.resolve_many(ids)
    except Exception as error:
        return [type(error).__name__, str(error)]
"""


def run(code: str) -> list[str]:
    ran = subprocess.run(
        [sys.executable, "-c", GIANT + code], capture_output=True, text=True, check=False, timeout=200
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.splitlines()


def test_a_text_of_two_gibibytes_in_a_column_is_an_error_and_the_resolver_goes_on() -> None:
    code = """
text = pa.py_buffer(mmap.mmap(-1, 2**31))  # Pages that nobody has written to take no memory.
offsets = pa.array([0, 2**31], pa.int64()).buffers()[1]
print(*attempt(pa.LargeStringArray.from_buffers(1, offsets, text)))
print(r.resolve("b"), r.merge("b", "c").name)
"""
    error, after = run(code)
    assert error.startswith("CapacityError an ID of 2147483648 bytes exceeds the limit of ")
    assert after == "a MERGED"


def test_a_text_of_two_gibibytes_in_a_list_stands_for_itself() -> None:
    code = """
text = "x" * 2**31
answer = attempt(["b", text])
print(answer[0], answer[1] is text, r.resolve(text) is text)
"""
    assert run(code) == ["a True True"]


def test_changes_and_names_of_more_than_two_gibibytes_come_in_several_batches() -> None:
    # As one array their offsets would not fit in 32 bits.
    name, rows = "n" * (48 << 10), 46_000
    policy = Policy(max_id_length=None, max_cluster_size=None)
    resolver = DurableResolver.open(":memory:", policy, canonical="first_seen")
    resolver.link_many(Kind.MERGE, [name] * rows, [f"ID {row}" for row in range(rows)])
    assert resolver.changes(0).num_rows == rows
    resolver.commit()
    resolver.close()
    many = Resolver(canonical=lambda _: name)
    many.observe_many([f"ID {row}" for row in range(rows)])
    assert _core.Resolver.mapping(many)._with_canonical_ids([name] * rows).num_rows == rows


# Bugs


def test_a_bug_in_a_look_up_is_an_exception_of_ours_and_poisons_nothing() -> None:
    resolver = DurableResolver.open(":memory:")
    resolver.merge("a", "b")
    with pytest.raises(InternalError, match="a bug of idmerge, please report it: ") as raised:
        resolver._pending_blocks((0, 1), (0, 2), 2**64 - 1, 100)  # Positions overflow.
    assert isinstance(raised.value, IdmergeError)
    assert isinstance(raised.value, RuntimeError)
    assert resolver.resolve("b") == "a"
    assert resolver.merge("b", "c") is Outcome.MERGED
    resolver.commit()
    resolver.close()


def test_a_bug_in_a_change_is_an_exception_of_ours_and_every_later_call_says_so() -> None:
    resolver = DurableResolver.open(":memory:")
    resolver.merge("a", "b")
    with pytest.raises(InternalError):
        resolver._written(0, 99, 99)
    for call in (lambda: resolver.resolve("a"), lambda: resolver.merge("a", "c"), resolver.mapping):
        with pytest.raises(PoisonedError):
            call()


def test_a_forged_checkpoint_is_passed_over_or_gives_answers_and_errors(tmp_path: Path) -> None:
    counts = forge(30, tmp_path, 1)
    assert counts["passed over"] > 5
    assert sum(counts.values()) == 30
