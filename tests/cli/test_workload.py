"""The made-up events: reproducible, in the shape of exports, with every trouble of exports."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import tracemalloc
from collections import Counter
from itertools import islice, pairwise
from typing import Any

import pytest

from idmerge import Outcome, reference
from idmerge.testing import events, workload

UUID4 = re.compile(r"(\$device:)?[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
IDENTITY = ("$identify", "$create_alias", "$merge")

Made = list[dict[str, Any]]


@pytest.fixture(scope="module")
def made() -> Made:
    return list(events(100_000, seed=1))


@pytest.fixture(scope="module")
def resolved(made: Made) -> reference.Resolver:
    resolver = reference.Resolver()
    resolver.apply_events(made)
    return resolver


def digest(stream: Any) -> str:
    return hashlib.sha256("".join(json.dumps(event) for event in stream).encode()).hexdigest()


def of(made: Made, name: str) -> Made:
    return [event["properties"] for event in made if event["event"] == name]


# The same everywhere


def test_the_same_seed_gives_the_same_events_on_every_python() -> None:
    expected = "8d0aeeef3bec2e65757850a28d4c95dbe1e83b80cfd697de47c8ed554f3735f5"
    assert digest(events(5000, seed=7)) == expected


def test_the_hash_seed_of_the_process_does_not_matter() -> None:
    program = "from idmerge.testing import events; print(list(events(2000, seed=3)))"
    answers = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(answers) == 1


def test_another_seed_gives_other_events() -> None:
    assert list(events(100, seed=1)) != list(events(100, seed=2))


def test_a_stream_is_a_prefix_of_any_longer_one() -> None:
    assert (
        list(events(500, seed=4))
        == list(events(2000, seed=4))[:500]
        == list(islice(events(None, seed=4), 500))
    )


# The share of identity events


@pytest.mark.parametrize("share", [0.02, 0.05, 0.2])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_share_of_identity_events_is_as_asked(share: float, seed: int) -> None:
    names = Counter(event["event"] for event in events(20_000, seed=seed, identity_share=share))
    identity = sum(names[name] for name in IDENTITY)
    assert identity / 20_000 == pytest.approx(share, rel=0.2)


def test_a_share_of_nothing_or_of_everything_is_kept_exactly() -> None:
    assert not {event["event"] for event in events(3000, identity_share=0)} & set(IDENTITY)
    assert {event["event"] for event in events(3000, identity_share=1)} <= set(IDENTITY)


@pytest.mark.parametrize(("count", "share"), [(-1, 0.05), (1, -0.1), (1, 1.1), (1, float("nan"))])
def test_a_number_out_of_range_is_refused_at_the_call(count: int, share: float) -> None:
    with pytest.raises(ValueError, match="must be"):
        events(count, identity_share=share)


# The shape


def test_every_event_has_the_shape_of_a_raw_export(made: Made) -> None:
    for event in made:
        assert set(event) == {"event", "properties"}
        assert isinstance(event["properties"]["time"], int)
        assert len(event["properties"]["$insert_id"]) == 16
    ordinary = [event["properties"] for event in made if event["event"] not in IDENTITY]
    assert all({"distinct_id", "$device_id"} <= set(properties) for properties in ordinary)


def test_time_only_rises_and_counts_in_seconds(made: Made) -> None:
    times = [event["properties"]["time"] for event in made]
    assert all(earlier <= later for earlier, later in pairwise(times))
    assert len(str(times[0])) == len(str(times[-1])) == 10


def test_visitors_do_what_visitors_of_a_shop_do(made: Made) -> None:
    names = Counter(event["event"] for event in made)
    assert set(names) == {"Page View", "Read Post", "Add to Cart", "Sign Up", "Purchase", *IDENTITY}
    assert names["Page View"] > names["Read Post"] > names["Add to Cart"] > names["Purchase"] > 1000
    assert all(isinstance(properties["post"], str) for properties in of(made, "Read Post"))
    assert all(properties["amount"] > 0 for properties in of(made, "Purchase"))


def test_only_the_first_touch_of_a_device_names_a_campaign(made: Made) -> None:
    touched = Counter(
        event["properties"]["$device_id"]
        for event in {event["properties"]["$insert_id"]: event for event in made}.values()
        if "utm_campaign" in event["properties"]
    )
    assert len(touched) > 1000
    assert set(touched.values()) == {1}


def test_anonymous_ids_are_uuid4_but_for_a_few_old_clients(made: Made) -> None:
    anonymous = {
        properties["distinct_id"] for properties in of(made, "Page View") if "$user_id" not in properties
    }
    others = [distinct_id for distinct_id in anonymous if not UUID4.fullmatch(distinct_id)]
    assert 0 < len(others) < len(anonymous) / 50
    assert any(distinct_id.startswith("$device:") for distinct_id in anonymous)


def test_both_spellings_of_identify_occur(made: Made) -> None:
    spellings = Counter("$anon_id" in properties for properties in of(made, "$identify"))
    assert spellings[True] > 500
    assert spellings[False] > 500


def test_some_events_are_sent_twice(made: Made) -> None:
    twice = [
        name
        for name, count in Counter(event["properties"]["$insert_id"] for event in made).items()
        if count > 1
    ]
    assert 500 < len(twice) < 2000


# What becomes of them


def test_every_trouble_occurs(resolved: reference.Resolver) -> None:
    # Files are imports, and keep nobody apart; Mixpanel has judged none of these events. The
    # Original API allows every verb.
    never = {Outcome.MERGE_NOT_ALLOWED, Outcome.KEPT_APART, Outcome.REFUSED_BEFORE, Outcome.VERB_NOT_ALLOWED}
    large = {Outcome.TOO_MANY_IDS}
    assert set(Outcome) - set(resolved.stats().outcomes) <= never | large


def test_a_large_file_has_a_user_with_too_many_ids() -> None:
    resolver = reference.Resolver()
    report = resolver.apply_events(events(60_000, seed=1, identity_share=0.5))
    assert report.counts[Outcome.TOO_MANY_IDS] > 0
    assert max(resolver.stats().cluster_sizes) == 500


def test_most_clusters_hold_two_to_five_ids_and_some_hold_hundreds(resolved: reference.Resolver) -> None:
    sizes = resolved.stats().cluster_sizes
    joined = sum(count for size, count in sizes.items() if size > 1)
    small = sum(count for size, count in sizes.items() if 2 <= size <= 5)
    assert 0.8 * joined < small < joined
    assert max(sizes) > 100


def test_most_links_are_accepted(resolved: reference.Resolver) -> None:
    outcomes = resolved.stats().outcomes
    assert outcomes[Outcome.MERGED] > 0.9 * sum(outcomes.values())


def test_memory_does_not_grow_with_the_number_of_events(monkeypatch: pytest.MonkeyPatch) -> None:
    def peak(count: int) -> int:
        tracemalloc.start()
        for _ in events(count, seed=5):
            pass
        highest = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return highest

    monkeypatch.setattr(workload, "MOST_VISITORS", 50)
    assert peak(50_000) < 1.5 * peak(10_000)
