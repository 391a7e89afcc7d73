"""A damaged store of profiles, killed writers, and two at once: each time the store is loaded.

    python -m benches.campaigns.store [COUNT] [--kills KILLS] [--seed SEED]

By default 2,000 flips and 100 kills. A load must be an error that names the file, or give exactly
the profiles that were saved: after COUNT flipped bits, one at a time, after each cut, and after
COUNT lines that were lost, doubled or moved. After each kill of ``idmerge profiles --store``, and
after two of them at once, the store must hold the updates of whole runs, all that ended well. Exits
1 if something does not hold.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from benches.support.campaign import campaign_options, run_campaign
from idmerge import Profiles, Resolver
from idmerge.errors import FileFormatError

FLIPS, KILLS = 2000, 100
_PEOPLE = 2000
"""Profiles in a store whose writers are killed."""

_ODD: list[Any] = ["", "\0", "\ud83d", "\ud83d\ude00", "😀", 'q"\\', "\u2028", -0.0, 1e308, 2**1000, None]
_ODD += [True, [], {}, [[1, 1.0, True]], {"\ud83d\ude00": 1, "😀": 2}, "x" * 500]


def profiles(count: int, seed: int = 0) -> Profiles:
    """Return so many profiles, with every value that is hard to keep."""
    drawn, made = random.Random(seed), Profiles(Resolver())
    for number in range(count):
        properties = {f"p{drawn.randrange(9)}\0": drawn.choice(_ODD) for _ in range(4)}
        made.update({"$distinct_id": f"id {number}\0é", "$set": properties})
    return made


def content(held: Profiles) -> list[tuple[str, str]]:
    """Return every profile in its order, as text, which tells 1, 1.0 and true apart."""
    return [(own, repr(held.get(own))) for own in held]


def damage(flips: int, directory: Path, seed: int = 0) -> tuple[Counter[str], list[str]]:
    """Damage a store in many ways; return how often which load came out how, and what failed."""
    path = directory / "store"
    saved = profiles(24, seed)
    saved.save(path)
    whole, expected = path.read_bytes(), content(saved)
    counts: Counter[str] = Counter()
    wrong: list[str] = []
    for kind, place, changed in [("none", 0, whole), *_damaged(whole, flips, random.Random(seed))]:
        path.write_bytes(changed)
        try:
            loaded = content(Profiles.load(path, Resolver()))
        except FileFormatError as error:
            counts[f"{kind}: refused"] += 1
            if changed == whole or not str(error).startswith(str(path)):
                wrong.append(f"{kind} {place}: {error}")
        else:
            counts[f"{kind}: loaded"] += 1
            if changed != whole or loaded != expected:
                wrong.append(f"{kind} {place}: loaded as if it were whole")
    return counts, wrong


def _damaged(whole: bytes, flips: int, drawn: random.Random) -> Iterator[tuple[str, int, bytes]]:
    """Yield damaged stores: what was done, where, and what it made."""
    for place in drawn.choices(range(8 * len(whole)), k=flips):
        changed = bytearray(whole)
        changed[place // 8] ^= 1 << place % 8
        yield "flip", place, bytes(changed)
    for length in range(len(whole)):
        yield "cut", length, whole[:length]
    lines = whole.splitlines(keepends=True)
    for number in range(flips):
        moved, place = list(lines), drawn.randrange(len(lines))
        line = moved.pop(place)
        if number % 3:
            moved.insert(drawn.randrange(len(lines)), line)
        if number % 3 == 1:
            moved.insert(place, line)
        if moved != lines:
            yield "line", number, b"".join(moved)


def _inputs(directory: Path) -> list[str]:
    """Write the files of a run that adds 1 to every profile, and return its command."""
    updates = ({"$distinct_id": f"id {number}", "$add": {"n": 1}} for number in range(_PEOPLE))
    (directory / "updates").write_text("".join(f"{json.dumps(update)}\n" for update in updates), "utf-8")
    (directory / "links.csv").write_text("kind,first,second\n", "utf-8")
    arguments = ["profiles", "updates", "--events", "links.csv", "--store", "store", "-o", "out.ndjson"]
    return [sys.executable, "-m", "idmerge", *arguments]


def _runs(directory: Path) -> int:
    """Return how many runs the store holds; every profile must hold the same.

    Raises:
        AssertionError: Some hold more than others.
    """
    held = Profiles.load(directory / "store", Resolver(), missing_ok=True)
    runs = {(held.get(own) or {}).get("n") for own in held}
    if len(held) not in (0, _PEOPLE) or len(runs) > 1:
        raise AssertionError(f"{len(held)} profiles hold {runs} runs")
    return int(runs.pop() or 0) if runs else 0


def kill(kills: int, directory: Path, seed: int = 0) -> tuple[Counter[str], list[str]]:
    """Kill so many runs, let as many pairs run at once; return what happened and what failed."""
    drawn = random.Random(seed)
    command = _inputs(directory)
    counts: Counter[str] = Counter()
    wrong: list[str] = []
    started = monotonic()
    subprocess.run(command, cwd=directory, check=True, capture_output=True)
    patience = 1.2 * (monotonic() - started)
    runs: int = 1

    def settle(kind: str, low: int, high: int) -> int:
        try:
            found = _runs(directory)
        except (AssertionError, FileFormatError) as error:
            wrong.append(f"{kind}: {error}")
            return low
        if not low <= found <= high:
            wrong.append(f"{kind}: {found} runs are there, expected {low} to {high}")
        return found

    for _ in range(kills):
        process = subprocess.Popen(
            command, cwd=directory, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        sleep(drawn.uniform(0, patience))
        process.kill()
        ended = int(process.wait() == 0)
        found = settle("kill", runs + ended, runs + 1)
        counts["kills"] += 1
        counts["killed before saving" if found == runs else "killed after saving, or never"] += 1
        runs = found
    for _ in range(max(1, kills // 5)):
        pair = [
            subprocess.Popen(command, cwd=directory, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            for _ in range(2)
        ]
        ended = sum(process.wait() == 0 for process in pair)
        counts["pairs"] += 1
        counts["refused in pairs"] += 2 - ended
        if not ended:
            wrong.append("pair: neither was let in")
        runs = settle("pair", runs + ended, runs + ended)
    return counts, wrong


def main(arguments: Sequence[str]) -> int:
    """Print the counts as JSON; return 1 if something did not hold."""
    parser = campaign_options("store", __doc__, "flips", FLIPS)
    parser.add_argument("--kills", type=int, default=KILLS, help=f"default: {KILLS}")
    chosen = parser.parse_args(arguments)

    def both(folder: Path) -> tuple[dict[str, int], list[str]]:
        (to_damage := folder / "damage").mkdir()
        (to_kill := folder / "kill").mkdir()
        damaged, wrong = damage(chosen.flips, to_damage, chosen.seed)
        killed, lost = kill(chosen.kills, to_kill, chosen.seed)
        return {**damaged, **killed}, [*wrong, *lost]

    return run_campaign(both, chosen)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
