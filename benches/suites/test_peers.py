"""The peers that are installed answer alike; `python -m benches.peers.compare` times them."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

from benches.peers.compare import PEERS, PRESIZED, can_be_presized, check, run
from benches.support.process import StoppedError, in_own_process

FEW = 2000


@pytest.mark.parametrize("question", sorted({peer.question for peer in PEERS.values()}))
def test_whoever_answers_a_question_answers_it_alike(question: str) -> None:
    peers = [peer for peer in PEERS.values() if peer.question == question]
    able = [peer for peer in peers if all(map(find_spec, peer.needs))]
    if not can_be_presized():
        able = [peer for peer in able if peer.name != PRESIZED]
    answers: dict[str, set[str]] = {}
    for peer in able:
        for what, digest in run(peer, FEW)["answer"].items():
            answers.setdefault(what, set()).add(digest)
    assert len(able) >= 2
    assert {what: len(digests) for what, digests in answers.items()} == dict.fromkeys(answers, 1)


def test_the_rules_make_a_difference() -> None:
    judged, joined = (run(PEERS[name], FEW)["answer"] for name in ("idmerge-arrow", "idmerge-unrestricted"))
    assert judged["clusters"] != joined["clusters"]


def test_two_answers_to_one_question_stop_the_run() -> None:
    rows = [{"peer": name, "runs": [{"answer": {"clusters": name}}]} for name in ("dict", "duckdb")]
    with pytest.raises(SystemExit, match="link without rules: the clusters differ: dict against duckdb"):
        check(rows)


@pytest.mark.parametrize(
    ("limits", "message"), [({"seconds": 0.1}, "took too long"), ({"memory_bytes": 1}, "took more than")]
)
def test_a_process_beyond_its_limits_is_stopped(limits: dict[str, int], message: str) -> None:
    with pytest.raises(StoppedError, match=message):
        in_own_process("benches.peers.compare", "run", "dict", FEW, **limits)
