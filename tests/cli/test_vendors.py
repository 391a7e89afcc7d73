"""Commands on events of other products: the summary says what they are and which API joins them."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from command_line import error_of, run

DATA = Path(__file__).parents[1] / "data" / "vendors"
D1 = "5c3c0e5d-9a1f-4c39-8f8e-3e7a9d2d6a11"
TITLES = {
    "segment": "Segment",
    "rudderstack": "RudderStack",
    "posthog": "PostHog",
    "amplitude": "Amplitude",
    "snowplow": "Snowplow",
}


def notes(stderr: str) -> list[str]:
    return [line[4:].strip() for line in stderr.splitlines() if line.startswith("note ")]


@pytest.mark.parametrize(("name", "title"), TITLES.items())
def test_the_summary_names_the_product(name: str, title: str) -> None:
    for options in ((), ("--dialect", name)):
        assert f"read as: {title}\n" in run("resolve", DATA / f"{name}.ndjson", *options).stderr


@pytest.mark.parametrize("name", ["amplitude", "snowplow"])
@pytest.mark.parametrize("command", ["resolve", "stitch"])
def test_events_that_state_no_link_by_themselves_name_the_api_that_joins_them(
    name: str, command: str, tmp_path: Path
) -> None:
    output = ("-o", tmp_path / "o.csv")
    (note,) = notes(run(command, DATA / f"{name}.ndjson", *output).stderr)
    assert note.startswith(f"no event of {TITLES[name]} states a link by itself")
    assert "--api simplified" in note
    assert notes(run(command, DATA / f"{name}.ndjson", *output, "--api", "simplified").stderr) == []


def test_the_note_names_the_product_where_a_role_is_given() -> None:
    (note,) = notes(run("resolve", DATA / "amplitude.ndjson", "--column", "time=client_event_time").stderr)
    assert note.startswith("no event of Amplitude states a link by itself")
    told = error_of("resolve", DATA / "segment_tracks.csv", "--column", "time=sent_at")
    assert "rows of Segment in columns have no calls" in told


@pytest.mark.parametrize("file", ["segment.ndjson", "segment_tracks.csv"])
def test_a_user_whose_key_another_role_has_taken_is_named(file: str, tmp_path: Path) -> None:
    key = "user_id" if file.endswith(".csv") else "userId"
    told = run("resolve", DATA / file, "--column", f"distinct_id={key}", "-o", tmp_path / "o.csv").stderr
    assert f"read as: columns distinct_id={key} ({key} is no $user_id then, and links nothing)" in told


def test_anonymous_ids_that_are_no_uuid4_name_the_format_that_takes_them(tmp_path: Path) -> None:
    output = ("-o", tmp_path / "o.csv")
    told = run("resolve", DATA / "posthog.ndjson", *output).stderr
    assert notes(told) == ["2 links were ANON_FORMAT: with --anon-format sdk they would pass this check"]
    for name in ("sdk", "any"):
        told = run("resolve", DATA / "posthog.ndjson", *output, "--anon-format", name).stderr
        assert notes(told) == []
        assert "4  MERGED" in told


@pytest.mark.parametrize(("name", "title"), TITLES.items())
def test_no_call_is_a_refused_verb_under_simplified(name: str, title: str, tmp_path: Path) -> None:
    path = DATA / f"{name}.ndjson"
    told = run("resolve", path, "--api", "simplified", "-o", tmp_path / "o.csv").stderr
    assert title in told
    assert "MERGED" in told
    assert "VERB_NOT_ALLOWED" not in told


@pytest.mark.parametrize("api", ["original", "simplified"])
def test_calls_are_stitched_under_their_person_with_raw_names(api: str, tmp_path: Path) -> None:
    output = tmp_path / "o.csv"
    run("stitch", DATA / "segment.ndjson", "--api", api, "-o", output)
    with output.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 9
    prefix = "$device:" if api == "simplified" else ""
    viewed = next(row for row in rows if row["event"] == "Product Viewed")
    assert viewed["distinct_id"] == "ana"
    assert viewed["$distinct_id_before_identity"] == f"{prefix}{D1}"
    assert viewed["time"] == "2024-05-02 10:01:00.000Z"
    assert (viewed["$insert_id"], viewed["sku"]) == ("ajs-2", "a1")
    assert {row["distinct_id"] for row in rows} == (
        {"ana", "42"} if api == "original" else {"ana", "42", "crm-17"}
    )


def test_a_cluster_is_shown_with_the_lines_of_its_calls() -> None:
    shown = run("show", "ana", DATA / "segment.ndjson").stdout
    assert "segment.ndjson:3  identify  MERGED" in shown
    assert "segment.ndjson:9  alias     MERGED" in shown


def test_signs_of_a_device_and_a_user_need_both(tmp_path: Path) -> None:
    path = tmp_path / "e.ndjson"
    path.write_text('{"channel":"web","type":"track","event":"A","anonymousId":"d","userId":""}\n')
    told = run("resolve", path, "-o", tmp_path / "o.csv").stderr
    assert notes(told) == ["no event states a link, so each ID is a person of its own"]
