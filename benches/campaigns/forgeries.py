"""Forged checkpoints: words of them are changed, and the checksums made right again.

    python -m benches.campaigns.forgeries [FORGERIES] [--seed SEED]    default 2000 forgeries

A checkpoint's checksum finds accidents, not forgeries: whoever can write to it can write to the
journal, and can make it say what is wrong. But whatever it holds, opening the journal and asking
the resolver must neither crash, hang, take memory beyond all measure, nor raise anything but an
exception of idmerge.
"""

from __future__ import annotations

import json
import random
import shutil
import struct
import subprocess
import sys
import tempfile
import warnings
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benches.support.campaign import campaign_options, run_campaign
from benches.support.paths import ROOT
from idmerge import DurableResolver, Kind
from idmerge.errors import CheckpointWarning, IdmergeError

FORGERIES = 2000
AT_ONCE = 100
"""Forgeries that one process meets: one that crashes or hangs takes no other with it."""
_PATIENCE = 120.0
_MEMORY = 2 * 2**30
_INTERESTING = (0, 1, 2**31, 2**32 - 1, 2**32, 2**62, 2**63, 2**64 - 1)


def journal(path: Path) -> list[str]:
    """Make a journal with a checkpoint that has some of everything; return its IDs."""
    ids = [f"5c3c0e5d-9a1f-4c39-8f8e-{number:012x}" for number in range(200)]
    ids += [f"a text that is too long for a key, number {number}" for number in range(60)]
    ids += [f"short {number}" for number in range(240)]
    with DurableResolver.open(path) as r:
        r.link_many(Kind.MERGE, ids, [ids[number * 7 % 500 // 5 * 5] for number in range(500)])
        r.observe_many(["observed", "retracted only"])
        r.merge("retracted", "retracted too")
        r.retract(r.position - 1)
        r.keep_apart("apart", "from this")
        r.forget(ids[3])
        r.commit()
        r.checkpoint()
    return ids


def forged(checkpoint: bytes, rng: random.Random) -> bytes:
    """Return a checkpoint with some words changed, and right checksums."""
    (second,) = struct.unpack("<Q", checkpoint[-8:])
    first = len(checkpoint) - 8 - second
    parts = [bytearray(checkpoint[: first - 8]), bytearray(checkpoint[first : first + second - 8])]
    for _ in range(rng.choice((1, 1, 1, 2, 5))):
        part = rng.choice(parts)
        at = 8 * rng.randrange(6, len(part) // 8)  # Behind what says which journal it is of.
        (word,) = struct.unpack_from("<Q", part, at)
        changed = rng.choice(
            (word ^ 1 << rng.randrange(64), word + rng.choice((-1, 1)), rng.choice(_INTERESTING))
        )
        struct.pack_into("<Q", part, at, changed % 2**64)
    whole = [bytes(part) + struct.pack("<Q", zlib.crc32(part)) for part in parts]
    return b"".join(whole) + struct.pack("<Q", len(whole[1]))


def questions(r: Any, ids: list[str]) -> list[Callable[[], object]]:
    """Return all that can be asked of a resolver, and links for it."""
    return [
        lambda: r.resolve_many(ids),
        lambda: [r.members(each) for each in ids if each in r],
        lambda: [r.size(each) for each in ids if each in r],
        r.mapping,
        r.stats,
        lambda: r.cluster_count,
        lambda: len(r),
        lambda: r.explain(ids[0], ids[1]),
        lambda: [r.explain(each) for each in ids if each in r],
        lambda: r.why_not(ids[0], ids[1]),
        lambda: r.changes(0),
        lambda: r.link_many(Kind.MERGE, ids[::-1], ids),
        lambda: r.link_many(Kind.IDENTIFY, [f"new {number}" for number in range(2000)], ids * 4),
        lambda: r.retract(0),
        lambda: r.forget(ids[10]),
        r.mapping,
        r.commit,
    ]


def meet(path: Path, first: int, count: int) -> Counter[str]:
    """Open a copy of the journal beside forged checkpoints, and ask; count what came of it."""
    ids = json.loads((path.parent / "ids").read_text(encoding="utf-8"))
    checkpoint = path.with_name(f"{path.name}-checkpoint").read_bytes()
    counts: Counter[str] = Counter()
    for seed in range(first, first + count):
        with tempfile.TemporaryDirectory(dir=path.parent) as directory:
            copy = Path(directory) / path.name
            shutil.copy(path, copy)
            copy.with_name(f"{copy.name}-checkpoint").write_bytes(forged(checkpoint, random.Random(seed)))
            print(seed, flush=True)
            counts[_opened(copy, ids)] += 1
    return counts


def _opened(path: Path, ids: list[str]) -> str:
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        r = DurableResolver.open(path)
    is_passed_over = any(warning.category is CheckpointWarning for warning in said)
    errors = set()
    for ask in questions(r, ids):
        try:
            ask()
        except IdmergeError as error:
            errors.add(type(error).__name__)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        r.close()
    if is_passed_over:
        assert errors <= {"UnknownIdError", "RetractionError"}, errors
        return "passed over"
    return "taken, and met an error" if errors else "taken"


def forge(forgeries: int, directory: Path, seed: int) -> Counter[str]:
    """Meet so many forgeries in processes of their own, and count what came of them.

    Raises:
        AssertionError: One crashed, hung or raised what it should not; the message names its seed.
    """
    path = directory / "journal"
    (directory / "ids").write_text(json.dumps(journal(path)), encoding="utf-8")
    counts: Counter[str] = Counter()
    for first in range(0, forgeries, AT_ONCE):
        count = min(AT_ONCE, forgeries - first)
        arguments = ["--meet", str(path), str(seed + first), str(count)]
        command = [sys.executable, "-m", "benches.campaigns.forgeries", *arguments]
        try:
            ran = subprocess.run(
                command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=_PATIENCE
            )
        except subprocess.TimeoutExpired as error:
            met = (error.stdout or b"").decode().split()
            raise AssertionError(f"forgery {met[-1] if met else '?'} hung") from error
        *met, last = ran.stdout.splitlines()
        if ran.returncode:
            raise AssertionError(f"forgery {last} ended the process with {ran.returncode}: {ran.stderr}")
        counts += Counter(json.loads(last))
    return counts


def _bound_memory() -> None:
    try:
        import resource
    except ImportError:  # pragma: no cover
        return
    with Path("/proc/self/statm").open(encoding="ascii") as file:
        used = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + _MEMORY, resource.RLIM_INFINITY))


def main(arguments: Sequence[str]) -> int:
    """Print the counts as JSON; return 1 if something did not hold."""
    if arguments[:1] == ["--meet"]:
        _, path, first, count = arguments
        if sys.platform == "linux":
            _bound_memory()
        print(json.dumps(meet(Path(path), int(first), int(count))))
        return 0
    chosen = campaign_options("forgeries", __doc__, "forgeries", FORGERIES).parse_args(arguments)
    return run_campaign(lambda folder: (forge(chosen.forgeries, folder, chosen.seed), []), chosen)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
