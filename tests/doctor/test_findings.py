"""Findings of the doctor: those that it reports, those that it must not, and their counts."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idmerge import DurableResolver, Outcome, Policy, files, reference
from idmerge.doctor import CATALOGUE, Diagnosis, Limits, Severity, examine, examine_journal
from idmerge.errors import FileFormatError
from idmerge.events import distinct_id_of, link_of
from idmerge.testing import events
from paths import DOCS
from sent_events import D1, D2, D3, Event, by_code, device, examined, send, signup

DOCUMENT = DOCS / "doctor.md"


def untimed(event: Event) -> Event:
    """Return ``event`` without its time."""
    return {
        **event,
        "properties": {key: value for key, value in event["properties"].items() if key != "time"},
    }


def received(event: Event, ahead: float) -> Event:
    """Return ``event`` as Mixpanel received it: its time is ``ahead`` of that by so many seconds."""
    moment = int((event["properties"]["time"] - ahead) * 1000)
    return {**event, "properties": {**event["properties"], "$mp_api_timestamp_ms": moment}}


def processed(event: Event, moment: int) -> Event:
    """Return ``event`` as Mixpanel processed it, in the millisecond ``moment``."""
    return {**event, "properties": {**event["properties"], "mp_processing_time_ms": moment}}


def refused(event: Event) -> Event:
    """Return ``event`` with a reason for which Mixpanel refused it."""
    return {**event, "properties": {**event["properties"], "$failure_reason": "errManyIDs"}}


OLD_WEB = "18c4f0a1b2c3d4-0a1b2c3d4e5f60-1b525637-1fa400-18c4f0a1b2d9e0"
HEALTHY = [*signup(D1, "ada"), *signup(D2, "grace"), send.identify(D3, "ada"), send.view(D3)]

CASES: dict[str, tuple[list[Event], list[Event]]] = {
    # Each: events that have the finding, and their near twins that have not.
    "shared-device": (
        [*signup(D1, "ada"), send.identify(D1, "grace")],
        [*signup(D1, "ada"), send.identify(D1, "ada")],
    ),
    "reset-storm": (
        [send.identify(device(number), "ada") for number in range(21)],
        [send.identify(device(number % 20), "ada") for number in range(21)],
    ),
    "several-users": (
        [*signup(D1, "ada"), *signup(D2, "grace"), send.merge("ada", "grace")],
        [*signup(D1, "ada"), *signup(D2, "grace"), send.merge("ada", "ada@home")],
    ),
    "no-anonymous-history": (
        [*HEALTHY, send.view("bob")],
        [*HEALTHY, send.view(device(9))],
    ),
    "look-alike-ids": (
        [*signup(D1, "ada"), *signup(D2, "Ada")],
        [*signup(D1, "ada"), *signup(D2, "Ada"), send.merge("ada", "Ada")],
    ),
    "blocked-id": (
        [*HEALTHY, send.identify("$device:NULL", "ada")],
        [*HEALTHY, send.identify(f"$device:{D2}", "ada")],
    ),
    "invalid-id": (
        [*HEALTHY, send.identify("", "ada")],
        [*HEALTHY, send.view("")],
    ),
    "hub-id": (
        [send.alias(f"crm-{number}", "ada") for number in range(101)],
        [send.alias(f"crm-{number}", "ada") for number in [*range(100), *range(100)]],
    ),
    "anon-format": (
        [*HEALTHY, send.identify("visitor-1", "ada")],
        [*HEALTHY, send.identify(device(9).upper(), "ada")],
    ),
    "old-web-id": (
        [*HEALTHY, send.identify(OLD_WEB, "ada")],
        [*HEALTHY, send.identify(device(9), "ada"), send.view(OLD_WEB)],
    ),
    "verdicts-differ": (
        [*HEALTHY, refused(send.identify(device(9), "ada"))],
        [*HEALTHY, refused(send.identify(D1, "grace")), refused(send.identify("null", "ada"))],
    ),
    "swapped-identify": (
        [*HEALTHY, send.identify("ada", device(9))],
        [*HEALTHY, send.identify("eve", device(9))],
    ),
    "alias-for-identify": (
        [*HEALTHY, send.alias(device(9), "ada")],
        [*HEALTHY, send.alias(D2, "ada"), send.alias("crm-1", "ada")],
    ),
    "merge-for-identify": (
        [*HEALTHY, send.merge("ada", device(9))],
        [*HEALTHY, send.merge("ada", D1)],
    ),
    "alias-taken": (
        [*HEALTHY, send.alias("crm-1", "ada"), send.alias("crm-1", "grace")],
        [*HEALTHY, send.alias("crm-1", "ada"), send.alias("crm-1", "ada")],
    ),
    "same-ids": (
        [*HEALTHY, send.identify(D1, D1)],
        [*HEALTHY, send.identify(D1, "ada")],
    ),
    "malformed-event": (
        [*HEALTHY, send.identify(D1, None)],
        [*HEALTHY, send("Logged In", distinct_id="ada", __identified_id=None)],
    ),
    "duplicate-events": (
        [*HEALTHY, HEALTHY[0]],
        [*HEALTHY, {**HEALTHY[0], "properties": {**HEALTHY[0]["properties"], "$insert_id": "another"}}],
    ),
    "no-insert-id": (
        [*HEALTHY, {"event": "Page View", "properties": {"time": 1_704_067_200, "distinct_id": "ada"}}],
        [*HEALTHY, send.view("ada")],
    ),
    "fused-users": (
        [*signup(D1, "ada"), send.merge("grace", D1)],
        [*signup(D1, "ada"), send.identify(D1, "grace"), send.merge("ada", D1), send.merge("ada", "crm-1")],
    ),
    "anonymous-claim": (
        [*HEALTHY, send.identify(device(8), device(9)), send.identify(device(8), "ada")],
        [*HEALTHY, send.identify(D1, "grace")],
    ),
    "float-id": (
        [*HEALTHY, send.view("101"), send.view("101.0")],
        [*HEALTHY, send.view("101.0"), send.view("102"), send.view("102.0"), send.merge("102", "102.0")],
    ),
    "doubled-prefix": (
        [*HEALTHY, send.view(f"$device:{D1}"), send.view(f"$device:$device:{D1}")],
        [*HEALTHY, send.view(f"$device:{D1}"), send.view("x$device:$device:")],
    ),
    "placeholder-id": (
        [*HEALTHY, send.view("[object Object]")],
        [*HEALTHY, send.view("undefined"), send.view("Guest Ann"), send.view("nancy")],
    ),
    "odd-id": (
        [*HEALTHY, send("Page View", distinct_id={"$oid": "63ee"})],
        [*HEALTHY, send("Page View", distinct_id=101), send("Page View", distinct_id=None)],
    ),
    "unreadable-time": (
        [*HEALTHY, send("Page View", distinct_id="ada", time="yesterday")],
        [*HEALTHY, send("Page View", distinct_id="ada", time="2024-01-01"), untimed(send.view("ada"))],
    ),
    "time-zone": (
        [received(send.view("ada"), 5 * 3600 + 1800 - 7) for _ in range(24)],
        [received(send.view("ada"), place % 2 * (5 * 3600 + 1800) - 7) for place in range(48)],
    ),
    "backward-order": (
        [*HEALTHY, processed(send.view("ada"), 2), processed(send.view("ada"), 1)],
        [*HEALTHY, processed(send.view("ada"), 1), send.view("ada"), processed(send.view("ada"), 1)],
    ),
    "simplified": (
        [send("Page View", distinct_id="ada", __device_id=D1, __user_id="ada"), send.view(D1)],
        [send("Page View", distinct_id="ada", __device_id=D1, __user_id="ada"), send.identify(D1, "ada")],
    ),
    "no-distinct-id": (
        [*HEALTHY, send("Page View")],
        [*HEALTHY, send("Page View", distinct_id=""), send.merge("ada", "ada@home")],
    ),
}


@pytest.mark.parametrize("code", CASES)
def test_a_finding_is_found_and_its_near_twin_raises_no_alarm(code: str, tmp_path: Path) -> None:
    sick, twin = CASES[code]
    finding = by_code(examined(tmp_path / "sick.ndjson", sick))[code]
    assert (finding.severity, finding.change) == CATALOGUE[code]
    assert finding.count >= 1
    assert 1 <= len(finding.examples) <= 3
    assert code not in by_code(examined(tmp_path / "twin.ndjson", twin))


def test_a_sound_implementation_has_no_finding_and_is_told_so(tmp_path: Path) -> None:
    diagnosis = examined(tmp_path / "f.ndjson", HEALTHY)
    assert diagnosis.findings == ()
    assert diagnosis.worst() is None
    assert "Nothing is wrong here" in diagnosis.text()
    assert "Nothing is wrong here" in diagnosis.html()


def test_an_empty_file_is_no_illness(tmp_path: Path) -> None:
    diagnosis = examined(tmp_path / "f.ndjson", [])
    assert diagnosis.findings == ()
    assert "no link was seen" in diagnosis.text()
    assert "no clusters" in diagnosis.html()


def test_a_full_cluster_is_found_before_and_after_links_are_refused(tmp_path: Path) -> None:
    stated = [send.identify(device(number), "ada") for number in range(9)]
    policy = Policy(max_cluster_size=10)
    assert not {"near-limit", "too-many-ids"} & set(
        by_code(examined(tmp_path / "a", stated[:7], policy=policy))
    )
    full = by_code(examined(tmp_path / "b", stated, policy=policy))
    assert full["near-limit"].examples[0].note == "10 of the 10 IDs allowed"
    assert "too-many-ids" not in full
    stated += [send.identify(D1.replace("8000", "9000"), "ada"), send.view(D1.replace("8000", "9000"))]
    burst = by_code(examined(tmp_path / "c", stated, policy=policy))["too-many-ids"]
    assert (burst.count, burst.links) == (1, 1)
    assert burst.events == 1  # The page that was seen; the identify is sent under the user's ID.


def test_a_storm_within_a_day_is_told_from_as_many_ids_over_days(tmp_path: Path) -> None:
    stated = [send.identify(device(number), "ada") for number in range(30)]
    for number, event in enumerate(stated):
        event["properties"]["time"] = 1_704_067_200 + 3600 * number
    found = by_code(examined(tmp_path / "f", stated, limits=Limits(anon_ids_a_day=23)))["reset-storm"]
    assert found.examples[0].note.startswith("24 anonymous IDs within 24 hours, 30 in all")
    assert found.examples[0].line == 24
    assert "reset-storm" not in by_code(examined(tmp_path / "f", stated, limits=Limits(anon_ids_a_day=24)))


def test_what_a_looser_format_would_change_is_judged_again(tmp_path: Path) -> None:
    sdk = "18b2c-0a1-33445-7f-19cd"
    stated = [send.identify(sdk, "ada"), send.identify(sdk, "ada"), send.identify("visitor-1", "ada")]
    finding = by_code(examined(tmp_path / "f", stated))["anon-format"]
    assert (finding.count, finding.links) == (2, 3)
    assert '2 more links would be accepted, and there would be 1 fewer cluster with anon_format="sdk"' in (
        finding.title
    )


def test_the_links_that_brought_two_users_together_are_named(tmp_path: Path) -> None:
    # The alias joins them before either is identified, and is found nevertheless.
    stated = [send.alias("ada", "grace"), *signup(D1, "ada"), *signup(D2, "grace")]
    finding = by_code(examined(tmp_path / "f", stated))["several-users"]
    assert "joined by: alias 1" in finding.title
    assert [(example.ids, example.line) for example in finding.examples] == [(("ada", "grace"), 1)]


def test_blocked_ids_of_any_case_are_told_with_what_they_would_have_fused(tmp_path: Path) -> None:
    stated = [send.identify("NULL", user) for user in ("ada", "grace", "ada")]
    stated += [send.view("Undefined"), send.view("Undefined")]
    finding = by_code(examined(tmp_path / "f", stated))["blocked-id"]
    assert [(example.ids, example.note) for example in finding.examples] == [
        (("NULL",), "3 links would have made 2 IDs one person; sent by 0 events"),
        (("Undefined",), "sent by 2 events"),
    ]
    assert (finding.count, finding.links, finding.events) == (2, 3, 2)


def test_a_day_with_too_many_events_of_one_id_is_found(tmp_path: Path) -> None:
    stated = [*HEALTHY, *(send.view("ada") for _ in range(5))]
    limits = Limits(events_a_day=8)
    assert "busy-id" not in by_code(examined(tmp_path / "f", stated, limits=limits))
    stated += [send.view("ada")]
    finding = by_code(examined(tmp_path / "f", stated, limits=limits))["busy-id"]
    assert finding.examples[0].ids == ("ada",)
    assert finding.examples[0].note == "9 events on 2024-01-01"
    stated[-1]["properties"]["time"] += 86_400
    assert "busy-id" not in by_code(examined(tmp_path / "f", stated, limits=limits))


def test_profiles_of_nobody_are_found(tmp_path: Path) -> None:
    updates = [
        {"$distinct_id": D1, "$set": {"plan": "pro"}},
        {"$distinct_id": "ada", "$set": {"plan": "pro"}},
        {"$distinct_id": device(9), "$token": "t", "$set_once": {"plan": "free"}},
    ]
    profiles = tmp_path / "engage.ndjson"
    profiles.write_text("".join(json.dumps(update) + "\n" for update in updates), encoding="utf-8")
    diagnosis = examined(tmp_path / "f", [*HEALTHY, send.view(device(9))], profiles=profiles)
    finding = by_code(diagnosis)["anonymous-profile"]
    assert (finding.count, finding.events) == (1, 1)
    assert finding.examples[0].ids == (device(9),)
    assert finding.examples[0].place == f"{profiles}:3"
    assert finding.examples[0].note == "by $set_once"
    assert "anonymous-profile" not in {missing.code for missing in diagnosis.not_looked_for}
    profiles.write_text('{"$set": {}}\n', encoding="utf-8")
    with pytest.raises(FileFormatError, match=r"engage.ndjson:1: \$distinct_id must be a string, got None"):
        examine(tmp_path / "f", profiles=profiles)


def test_lines_that_cannot_be_read_are_counted_and_the_first_are_shown(tmp_path: Path) -> None:
    path = tmp_path / "f.ndjson"
    path.write_text('{"event": "x"\n[]\n{}\n{"event": "x"}\n', encoding="utf-8")
    finding = by_code(examine(path))["malformed-line"]
    assert (finding.count, [example.line for example in finding.examples]) == (3, [1, 2, 3])


def test_columns_of_links_have_no_events_and_that_is_said(tmp_path: Path) -> None:
    path = tmp_path / "links.csv"
    path.write_text(f"kind,first,second\nidentify,{D1},ada\nidentify,{D1},grace\n", encoding="utf-8")
    diagnosis = examine(path)
    (finding,) = diagnosis.findings
    assert (finding.code, finding.events, finding.share) == ("shared-device", None, None)
    assert finding.examples[0].place == f"{path}:3"
    assert {"busy-id", "no-insert-id"} < {missing.code for missing in diagnosis.not_looked_for}


def test_a_journal_tells_of_its_links(tmp_path: Path) -> None:
    path = tmp_path / "ids.idmerge"
    with DurableResolver.open(path) as resolver:
        resolver.identify(f"$device:{D1}", "ada")
        resolver.identify(f"$device:{D1}", "grace")
        resolver.merge("ada", "eve")
        resolver.commit()
        resolver.apply(send.merge("ada", "zoë"), "track")
        resolver.identify("null", "ada")
        resolver.commit()
    diagnosis = examine_journal(path)
    found = by_code(diagnosis)
    assert set(found) == {"shared-device", "merge-by-track", "invalid-id"}
    assert found["shared-device"].examples[0].place == "position 1"
    assert found["shared-device"].examples[0].ids == (f"$device:{D1}", "grace")
    assert found["merge-by-track"].examples[0].ids == ("ada", "zoë")
    assert diagnosis.overview.events is None
    assert {"busy-id", "blocked-id"} < {missing.code for missing in diagnosis.not_looked_for}


def test_what_was_taken_back_or_forgotten_in_a_journal_is_not_told(tmp_path: Path) -> None:
    path = tmp_path / "ids.idmerge"
    with DurableResolver.open(path) as resolver:
        resolver.identify(D1, "ada")
        resolver.identify(D1, "grace")
        resolver.identify(D2, "ben")
        resolver.identify(D2, "bob")
        resolver.commit()
        resolver.retract(1)
        resolver.forget("bob")
        resolver.commit()
        resolver.compact()
    (finding,) = examine_journal(path).findings
    assert [(example.ids, example.position) for example in finding.examples] == [((D2,), 3)]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Event], Diagnosis]:
    stated = list(events(30_000, seed=0))
    path = tmp_path_factory.mktemp("shop") / "f.ndjson"
    return stated, examined(path, stated)


def test_every_rejected_link_is_told_by_the_finding_of_its_outcome(
    shop: tuple[list[Event], Diagnosis],
) -> None:
    stated, diagnosis = shop
    resolver = reference.Resolver()
    for event in stated:
        resolver.apply(event)
    outcomes = resolver.stats().outcomes
    found = by_code(diagnosis)
    assert diagnosis.overview.outcomes == {outcome.name: count for outcome, count in outcomes.items()}
    assert diagnosis.overview.cluster_sizes == resolver.stats().cluster_sizes
    told = {
        Outcome.SAME_IDS: "same-ids",
        Outcome.ANON_FORMAT: "anon-format",
        Outcome.ANON_CLAIMED: "shared-device",
        Outcome.ALIAS_TAKEN: "alias-taken",
        Outcome.MALFORMED: "malformed-event",
    }
    for outcome, code in told.items():
        assert found[code].links == outcomes[outcome], code
    assert found["blocked-id"].links + found["invalid-id"].links == outcomes[Outcome.INVALID_ID]


def test_the_counts_are_those_of_plain_python(shop: tuple[list[Event], Diagnosis]) -> None:
    stated, diagnosis = shop
    found = by_code(diagnosis)
    resolver = reference.Resolver()
    claimed, storms, sent = set(), {}, Counter(map(distinct_id_of, stated))
    for event in stated:
        link = None
        outcome = resolver.apply(event)
        if outcome not in (None, Outcome.MALFORMED):
            link = link_of(event, "import")
        if link and outcome is Outcome.ANON_CLAIMED:
            claimed.add(link.first)
        if link and event["event"] == "$identify" and outcome not in (Outcome.INVALID_ID, Outcome.SAME_IDS):
            storms.setdefault(link.second, {}).setdefault(link.first, event["properties"]["time"])
    assert found["shared-device"].count == len(claimed)
    assert found["shared-device"].events == sum(sent[anonymous] for anonymous in claimed)

    def most_in_a_day(times: list[int]) -> int:
        return max(sum(time - 86_400 < other <= time for other in times) for time in times)

    stormy = {user for user, firsts in storms.items() if most_in_a_day(list(firsts.values())) > 20}
    assert found["reset-storm"].count == len(stormy) > 0
    keys = [
        (event["event"], properties["time"], properties.get("distinct_id"), properties["$insert_id"])
        for event in stated
        for properties in [event["properties"]]
    ]
    assert found["duplicate-events"].count == len(keys) - len(set(keys)) > 0
    blocked = {text for text in sent if text and text.removeprefix("$device:") in resolver.policy.blocked_ids}
    assert found["blocked-id"].events == sum(sent[text] for text in blocked) > 0


def test_every_share_is_a_share_and_the_gravest_come_first(shop: tuple[list[Event], Diagnosis]) -> None:
    findings = shop[1].findings
    assert len(findings) > 8
    assert all(finding.share is not None and 0 <= finding.share <= 1 for finding in findings)
    assert [finding.severity for finding in findings] == sorted(finding.severity for finding in findings)
    assert len({finding.code for finding in findings}) == len(findings)


@pytest.mark.parametrize("batch", [1, 7, 100_000])
def test_findings_do_not_depend_on_batch_size(
    batch: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stated = list(events(1500, seed=3, identity_share=0.3))
    whole = examined(tmp_path / "f.ndjson", stated)
    monkeypatch.setattr("idmerge.files.pieces.BATCH", batch)
    monkeypatch.setattr("idmerge.doctor.traffic.PAIRS_AT_ONCE", batch)
    assert len(next(iter(files.read(tmp_path / "f.ndjson"))).events) == min(batch, 1500)  # type: ignore[union-attr]
    assert examine(tmp_path / "f.ndjson") == whole
    (tmp_path / "f.json").write_text(json.dumps(stated), encoding="utf-8")
    assert examine(tmp_path / "f.json").overview.outcomes == whole.overview.outcomes


HOSTILE = ["<script>alert(1)</script>", "\x1b[2J", "\u202eada", "a\nb", "&amp;\"'><img src=x>", "\ud800"]


@pytest.mark.parametrize("hostile", HOSTILE)
def test_an_id_can_neither_run_nor_steer(hostile: str, tmp_path: Path) -> None:
    stated = [
        send.identify(hostile, "ada"),
        send.identify("x", hostile),
        send.view(hostile),
        send.alias(hostile, "x"),
    ]
    stated += [send.alias(hostile, "ada"), send.identify(None, hostile), send(hostile, distinct_id=hostile)]
    stated += [
        stated[-1],
        {"event": hostile, "properties": {"distinct_id": hostile, "$insert_id": [hostile]}},
    ]
    stated += [
        {"event": hostile, "properties": {"distinct_id": {hostile: 1}}},
        send.identify({hostile: 1}, "ada"),
    ]
    diagnosis = examined(tmp_path / "f.ndjson", stated)
    assert diagnosis.findings
    for text in (diagnosis.text(), diagnosis.html()):
        assert "\x1b" not in text
        assert "\u202e" not in text
        assert "\ud800" not in text
        assert "a\nb" not in text
    html = diagnosis.html()
    assert "<script" not in html
    assert "<img" not in html
    assert "Content-Security-Policy" in html
    json.dumps(diagnosis.to_dict())


def test_of_a_long_text_only_the_beginning_is_shown(tmp_path: Path) -> None:
    long = "x" * 100_000
    stated = [send.identify(long, "ada"), *[send(long, distinct_id=long, __insert_id=long)] * 2]
    diagnosis = examined(tmp_path / "f.ndjson", stated)
    assert len(diagnosis.text()) < 5000
    assert len(diagnosis.html()) < 20_000
    assert diagnosis.findings[0].examples[0].ids[0] == long


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from([D1, D2, "ada", "null", "", "x" * 256]),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=3,
)
KEYS = ["time", "distinct_id", "$anon_id", "$identified_id", "alias", "$distinct_ids", "$insert_id"]
KEYS += ["$distinct_id_before_identity"]
ANY_EVENTS = st.lists(
    st.fixed_dictionaries(
        {
            "event": st.sampled_from(["$identify", "$create_alias", "$merge", "Page View", "", None, 7]),
            "properties": st.dictionaries(st.sampled_from(KEYS), json_values) | st.none(),
        }
    ),
    max_size=12,
)


@given(ANY_EVENTS)
def test_whatever_the_events_every_share_is_a_share(
    tmp_path_factory: pytest.TempPathFactory, stated: list[Event]
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.ndjson"
    diagnosis = examined(path, stated, limits=Limits(anon_ids_a_day=1, partners=1, events_a_day=1))
    assert (diagnosis.overview.events or 0) == len(stated)
    for finding in diagnosis.findings:
        assert finding.count >= 1
        assert 0 <= finding.links <= diagnosis.overview.links
        assert finding.share is None or 0 <= finding.share <= 1
        assert finding.examples or finding.code == "several-users"
    diagnosis.text()
    diagnosis.html()


def test_the_document_lists_every_finding() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    for code, entry in CATALOGUE.items():
        assert f"| `{code}` | {entry.severity.name.lower()} |" in text, code


def test_the_document_does_what_it_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (block,) = re.findall(
        r"^```python\n(.*?)^```$", DOCUMENT.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE
    )
    exec(compile(block, "doctor.md", "exec"), {})  # noqa: S102
    promised = [line.removeprefix("# ") for line in block.splitlines() if line.startswith("# ")]
    assert capsys.readouterr().out.splitlines() == promised


def test_every_finding_of_the_catalogue_has_a_case() -> None:
    elsewhere = {
        "near-limit",
        "too-many-ids",
        "busy-id",
        "anonymous-profile",
        "malformed-line",
        "merge-by-track",
        "verb-not-allowed",
    }
    assert set(CASES) | elsewhere == set(CATALOGUE)


def test_a_limit_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="partners must be at least 1, got 0"):
        Limits(partners=0)


def test_severities_are_ordered_from_the_gravest() -> None:
    assert sorted(Severity) == [Severity.ERROR, Severity.WARNING, Severity.NOTE]
