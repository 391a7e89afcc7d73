"""Make a journal that holds every kind of step, and what it says beside it as JSON.

    python tests/support/make_journal.py tests/data/journal-4.idmerge

To be run once for each format of journals; the tests read what each older version wrote.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from idmerge import DurableResolver, Kind, Policy

POLICY = Policy(max_cluster_size=5, blocked_ids=frozenset({"nobody", "ñadie"}))
DEVICES = [f"{number:08x}-0000-4000-8000-0000000000{number:02x}" for number in range(16)]
LONG = "somebody-with-a-long-name@example.com"


def make(path: Path) -> None:
    """Write every kind of step to a new journal."""
    with DurableResolver.open(path, POLICY, "stable") as resolver:
        resolver.identify(DEVICES[0], "U1")  # Position 0.
        resolver.identify(f"$device:{DEVICES[1]}", "U1")
        resolver.identify(DEVICES[0], "U2")  # Rejected: claimed.
        resolver.identify("no device", "U2")  # Rejected: of another format.
        resolver.alias("ünïcödé-\U0001f98a", "U2")
        resolver.observe(LONG)
        resolver.commit({"events": 1, "users": "a"})
        resolver.alias("ünïcödé-\U0001f98a", LONG)  # 5, rejected: an alias already.
        resolver.merge("U3", LONG)
        resolver.link(Kind.MERGE, "U3", "U4", "track")  # 7, rejected: by this route.
        resolver.merge("U3", "U3")
        resolver.link_many(Kind.IDENTIFY, [None, "", DEVICES[2]], ["U5", "U5", "U5"])  # 9 to 11.
        resolver.keep_apart("U3", "U5")  # 12.
        resolver.merge("U5", LONG)  # 13, rejected: kept apart.
        resolver.commit({"events": 2})
        for number in range(6):  # 14 to 19; the last one is too many.
            resolver.merge("U6", f"{number} of U6")
        resolver.identify(DEVICES[3], "U7")  # 20.
        resolver.identify(DEVICES[3], "U8")  # 21, rejected until 20 is taken back.
        resolver.commit()
        resolver.forget(DEVICES[2])  # 22 and 23, whose texts are wiped.
        resolver.forget("0 of U6")
        resolver.compact()
        resolver.retract(20)  # 24.
        resolver.retract(0, 4)  # 25 and 26.
        resolver.commit({"users": "b"})
        resolver.retract(25)  # 27, so that 0 holds again.
        resolver.forget(f"$device:{DEVICES[1]}")  # 28 and 29, whose texts are still there.
        resolver.forget("U4")
        resolver.identify(f"$device:{DEVICES[1]}", "U9")  # 30, another ID than before.
        resolver.commit({"events": 4})
        resolver.link(Kind.MAPPING, "U7", "U9")  # 31.
        resolver.link(Kind.IDENTIFY, DEVICES[4], "U9", refused="errManyIDs")  # 32, refused before.
        sent = {"distinct_id": "U8", "$distinct_id_before_identity": DEVICES[5]}
        resolver.apply({"event": "Buy", "properties": sent})  # 33.
        resolver.link(Kind.ASSOCIATION, DEVICES[6], "U9")  # 34, rejected: another API's.
        resolver.commit({"events": 5})


def said(resolver: DurableResolver) -> dict[str, Any]:
    """Everything that a resolver says of the journal, as JSON has it."""
    links = [resolver.explain(LONG), resolver.explain("U1", DEVICES[0]), resolver.why_not("U5", LONG)]
    answers = {
        "mapping": resolver.mapping().to_pydict(),
        "changes": resolver.changes(14).to_pydict(),
        "links": [[link[:6] for link in found or ()] for found in links],
        "outcomes": {outcome.name: count for outcome, count in resolver.stats().outcomes.items()},
        "position": resolver.position,
        "offsets": resolver.offsets,
        "canonical": resolver.canonical,
        "policy": {**asdict(resolver.policy), "blocked_ids": sorted(resolver.policy.blocked_ids)},
    }
    again: dict[str, Any] = json.loads(json.dumps(answers))
    return again


def main(path: Path) -> None:
    """Write the journal and what it says."""
    path.unlink(missing_ok=True)
    make(path)
    with DurableResolver.open(path) as resolver:
        path.with_suffix(".json").write_text(
            json.dumps(said(resolver), ensure_ascii=False, indent=1) + "\n", "utf-8"
        )
    path.with_name(f"{path.name}-writer").unlink()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
