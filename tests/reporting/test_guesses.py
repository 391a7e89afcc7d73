"""Guesses of the names that a report needs: by the names that people give, and never silently."""

from __future__ import annotations

import json
import tempfile
import warnings
from itertools import chain
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

import idmerge
from idmerge.errors import ColumnError, QuestionError
from idmerge.reporting import Guesses, counting, guess
from idmerge.reporting.options import NAMES
from idmerge.reporting.vocabulary import (
    AMOUNTS,
    CAMPAIGNS,
    CONTENTS,
    CURRENCIES,
    PAGES,
    POSTS,
    PURCHASES,
    SIGNUPS,
    plain,
    rank,
)
from paths import ROOT

LISTS = (SIGNUPS, PURCHASES, AMOUNTS, CURRENCIES, CAMPAIGNS, POSTS, PAGES, CONTENTS)
DATA = ROOT / "tests" / "data"
SHOP = ("Sign Up", "Purchase", "amount", None, "utm_campaign", "Read Post", "post")
PAGE = ("Page View", "page")
NOTHING = (None, None, None, None)
"""No purchase, amount, currency and campaign."""


def event(name: str, who: str, second: int = 0, **properties: Any) -> dict[str, Any]:
    stated = {"distinct_id": who, "time": 1_700_000_000 + second, **properties}
    return {"event": name, "properties": stated}


def written(path: Path, *events: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(each) + "\n" for each in events), encoding="utf-8")
    return path


def values(found: Guesses) -> dict[str, str | None]:
    return {each.name: each.value for each in found.names}


def reasons(found: Guesses) -> dict[str, str]:
    return {each.name: each.reason for each in found.names}


def test_every_name_of_the_vocabulary_is_plain_and_there_once() -> None:
    for names in LISTS:
        assert len({*names}) == len(names)
        assert [plain(name) for name in names] == [*names]


@given(st.sampled_from(sorted({*chain(*LISTS)})), st.randoms(use_true_random=False))
def test_neither_case_nor_blanks_nor_punctuation_matter(name: str, chance: Any) -> None:
    written = "".join(
        (letter.upper() if chance.random() < 0.5 else letter)
        + chance.choice(["", "", " ", "_", "-", ".", "$"])
        for letter in name
    )
    assert [rank(written, names) for names in LISTS] == [rank(name, names) for names in LISTS]


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("examples/shop.ndjson", SHOP),
        ("examples/flow-1-new-user.ndjson", ("Sign Up", "Purchase", "amount", None, None, *PAGE)),
        ("examples/flow-3-shared-device.ndjson", (None, *NOTHING, *PAGE)),
        *(
            (f"tests/data/field/{name}", ("Sign Up", "Purchase", "amount", None, "utm_campaign", *PAGE))
            for name in (
                "mp_master_event.ndjson",
                "mp_master_event_json.parquet",
                "mp_master_event_struct.parquet",
                "dups.parquet",
            )
        ),
        ("tests/data/field/fivetran_event.parquet", ("Sign Up", *NOTHING, *PAGE)),
        ("tests/data/field/singer_flat.ndjson", ("Sign Up", *NOTHING, *PAGE)),
        ("tests/data/field/simplified.ndjson", ("Sign Up", *NOTHING, None, None)),
        ("tests/data/field/ids.ndjson", (None, *NOTHING, None, None)),
        ("tests/data/field/mappings.csv", (None, *NOTHING, None, None)),
        (
            "tests/data/vendors/amplitude.ndjson",
            (None, "Order Completed", "total", None, None, "Product Viewed", "sku"),
        ),
        (
            "tests/data/vendors/posthog.ndjson",
            (None, "Order Completed", "total", None, None, "$pageview", "$current_url"),
        ),
        (
            "tests/data/vendors/rudderstack.ndjson",
            (None, "Order Completed", "total", None, None, "page", "path"),
        ),
        ("tests/data/vendors/segment.ndjson", (None, "Order Completed", "total", None, None, "page", "path")),
        (
            "tests/data/vendors/snowplow.ndjson",
            (None, "order", None, None, None, "page_view", "page_urlpath"),
        ),
    ],
)
def test_names_in_files_that_people_hold_are_known(file: str, expected: tuple[str | None, ...]) -> None:
    assert tuple(values(guess(ROOT / file)).values()) == expected


def test_every_name_has_a_reason_and_a_way_to_give_another_one() -> None:
    for each in guess(ROOT / "examples/flow-3-shared-device.ndjson").names:
        assert each.reason
        assert each.way_out.startswith(f"--{each.name.replace('_', '-')} names ")


def test_a_name_that_is_given_is_not_guessed_and_others_follow_it(tmp_path: Path) -> None:
    file = written(
        tmp_path / "e.ndjson",
        event("Purchase", "ana", amount=5),
        event("Renewed", "ana", price=7, amount="seven"),
        event("Page View", "ana", page="/"),
        event("Opened", "ana", title="x"),
    )
    found = guess(file, purchase="Renewed", content_event="Opened")
    assert (values(found)["amount"], values(found)["content"]) == ("price", "title")
    assert reasons(found)["purchase"] == reasons(found)["content_event"] == "given"
    assert values(guess(file, amount="price"))["purchase"] == "Renewed"
    assert values(guess(file, content="title"))["content_event"] is None


def test_an_amount_is_a_number_in_nearly_all_purchases(tmp_path: Path) -> None:
    sold = [event("Order Completed", f"u{n}", revenue="n/a", total=str(n), value=n) for n in range(40)]
    found = guess(written(tmp_path / "e.ndjson", *sold))
    assert values(found)["amount"] == "total"
    assert reasons(found)["amount"] == 'by its name; a number in 40 of 40 events; not "value"'


@pytest.mark.parametrize("amount", ["NaN", "Infinity", 1e30, True, "5 EUR", "1,000"])
def test_an_amount_that_revenue_does_not_count_is_no_number(amount: Any, tmp_path: Path) -> None:
    sold = [event("Purchase", f"u{n}", amount=amount, price=n) for n in range(4)]
    found = guess(written(tmp_path / "e.ndjson", *sold))
    assert values(found)["amount"] == "price"


def test_a_property_is_told_from_one_that_differs_in_case(tmp_path: Path) -> None:
    cart, sold = event("Cart", "ana", Amount="many"), event("Purchase", "ana", 5, amount=7)
    found = guess(written(tmp_path / "e.ndjson", cart, sold))
    assert (values(found)["amount"], reasons(found)["amount"]) == (
        "amount",
        "by its name; a number in 1 of 1 event",
    )


def test_every_event_that_could_have_been_taken_is_said(tmp_path: Path) -> None:
    file = written(
        tmp_path / "e.ndjson",
        event("Purchase", "ana", amount=5),
        event("Order Completed", "ana", total=5),
        event("Read Post", "ana", post="p"),
        event("Screen", "ana", screen="s"),
    )
    found = reasons(guess(file))
    assert found["purchase"] == 'by its name; 1 event of 1 person; not "Order Completed"'
    assert found["content_event"] == 'by its name; 1 event of 1 person; not "Screen"'
    paid = written(tmp_path / "p.ndjson", event("Abo", "ana", revenue=5), event("Kauf", "ana", order_total=5))
    assert reasons(guess(paid))["purchase"].endswith('with a number as "revenue"; not "Kauf"')


def test_rare_events_are_known_among_very_many_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "MOST_EVENTS", 3)
    many = [event(f"Event {n % 9}", "ana", n, utm_campaign="c" if n % 9 == 8 else None) for n in range(90)]
    rare = (event("Sign Up", "ana"), event("Zed", "ana", amount=4))
    found = guess(written(tmp_path / "e.ndjson", *many, *rare), purchase="Zed")
    assert (values(found)["signup"], values(found)["amount"]) == ("Sign Up", "amount")
    assert reasons(found)["campaign"] == "by its name; in 10 events"
    assert found.reading.events == 92


def test_a_cart_is_no_purchase_and_revenue_is_one_under_any_name(tmp_path: Path) -> None:
    carts = [event("Add to Cart", f"u{n}", revenue=n + 1) for n in range(5)]
    assert values(guess(written(tmp_path / "a.ndjson", *carts)))["purchase"] is None
    sold = [event("Abo gekauft", f"u{n}", revenue=n + 1) for n in range(5)]
    found = guess(written(tmp_path / "b.ndjson", *carts, *sold))
    assert (values(found)["purchase"], values(found)["amount"]) == ("Abo gekauft", "revenue")
    assert reasons(found)["purchase"] == '5 events of 5 persons, 5 of 5 events with a number as "revenue"'


def test_currencies_are_told_apart_if_there_are_several(tmp_path: Path) -> None:
    def sold(*currencies: str) -> Path:
        return written(
            tmp_path / "e.ndjson", *(event("Purchase", "ana", amount=5, currency=of) for of in currencies)
        )

    one, two = guess(sold("EUR", "EUR")), guess(sold("EUR", "USD"))
    assert (values(one)["currency"], reasons(one)["currency"]) == (None, '"currency" has one value')
    assert values(two)["currency"] == "currency"
    report = idmerge.report(tmp_path / "e.ndjson", campaign="currency")
    assert report.sections[1].answer is not None
    assert {row["currency"] for row in report.sections[1].answer} == {"EUR", "USD"}
    assert report.sections[1].headline.number == ""


def test_properties_within_others_are_found(tmp_path: Path) -> None:
    context = {"campaign": {"name": "spring"}, "page": {"path": "/a"}}
    file = written(tmp_path / "e.ndjson", event("page", "ana", context=context), event("Sign Up", "ana", 5))
    assert values(guess(file))["campaign"] == "context.campaign.name"
    assert values(guess(file))["content"] == "context.page.path"
    assert [row["value"] for row in idmerge.report(file).sections[2].answer or ()] == ["/a"]


def test_urls_count_by_their_paths_unless_an_option_says_otherwise(tmp_path: Path) -> None:
    urls = ("https://x.io/a?q=1", "https://x.io/a/", "https://x.io/a#z")
    file = written(
        tmp_path / "e.ndjson", *(event("$pageview", "ana", **{"$current_url": url}) for url in urls)
    )
    assert guess(file).options.by_path is True
    assert reasons(guess(file))["content"].endswith("; its URLs count by their paths")
    assert guess(file, by_path=False).options.by_path is False
    paths = written(tmp_path / "p.ndjson", *(event("$pageview", "ana", path=path) for path in ("/a", "/b")))
    assert guess(paths).options.by_path is False


def known_by(name: str, count: int, *, repeats: int = 1) -> list[dict[str, Any]]:
    """Return events of persons who do ``name`` when they become known, then log in again."""
    events = []
    for n in range(count):
        device, user, start = f"5c3c0e5d-9a1f-4c39-8f8e-3e7a9d2d6{n:03x}", f"user-{n}", 86_400 * n
        events += [
            event("Home", device, start),
            event("$identify", user, start + 60, **{"$anon_distinct_id": device}),
            event("Log In", user, start + 61),
            *(event(name, user, start + 62 + again) for again in range(repeats)),
            event("Home", user, start + 3600),
        ]
    return events


def test_a_sign_up_of_another_name_is_what_people_do_once_when_they_become_known(tmp_path: Path) -> None:
    found = guess(written(tmp_path / "e.ndjson", *known_by("Konto angelegt", 12)))
    assert values(found)["signup"] == "Konto angelegt"
    assert reasons(found)["signup"] == (
        "12 of 12 persons did it within a minute of becoming known by a user ID, and few do it twice"
    )


@pytest.mark.parametrize(
    ("name", "count", "repeats"), [("Konto", 9, 1), ("Konto", 12, 2), ("Purchase", 12, 1)]
)
def test_few_persons_repetitions_and_other_names_make_no_sign_up(
    name: str, count: int, repeats: int, tmp_path: Path
) -> None:
    found = guess(written(tmp_path / "e.ndjson", *known_by(name, count, repeats=repeats)))
    assert values(found)["signup"] is None


def test_properties_in_a_column_are_known_by_their_keys(tmp_path: Path) -> None:
    properties = [json.dumps({"Order Total": 9, "UTM Campaign": "x"}), "no JSON", None]
    names = ["Order Placed", "Sign Up", "Sign Up"]
    table = pa.table({"event": names, "distinct_id": ["a", "b", "c"], "properties": properties})
    parquet.write_table(table, tmp_path / "e.parquet")
    found = values(guess(tmp_path / "e.parquet"))
    assert (found["purchase"], found["amount"], found["campaign"]) == (
        "Order Placed",
        "Order Total",
        "UTM Campaign",
    )


def test_no_event_is_no_error_and_no_guess(tmp_path: Path) -> None:
    _ = idmerge.stitch(ROOT / "examples/shop.ndjson", output=tmp_path / "s.parquet")
    table = parquet.read_table(tmp_path / "s.parquet")
    parquet.write_table(table.slice(0, 0), tmp_path / "none.parquet")
    found = guess(tmp_path / "none.parquet")
    assert [*values(found)] == [*NAMES]
    assert {*values(found).values()} == {None}
    assert found.reading.events == 0


def test_a_name_that_no_event_has_is_an_error_with_the_nearest() -> None:
    file = ROOT / "examples" / "shop.ndjson"
    with pytest.raises(QuestionError, match="no event is called \"Sing Up\".*Did you mean 'Sign Up'"):
        idmerge.report(file, signup="Sing Up")
    with pytest.raises(ColumnError, match="no column 'amuont'.*Did you mean 'amount'"):
        idmerge.report(file, amount="amuont")


@pytest.mark.parametrize("name", [name for name in NAMES if name != "signup"])
def test_a_name_that_no_event_has_is_an_error_even_if_its_question_lacks_others(
    name: str, tmp_path: Path
) -> None:
    wrong: dict[str, Any] = {name: "nope"}
    file = written(tmp_path / "e.ndjson", event("Home", "ana"))
    with pytest.raises((ColumnError, QuestionError), match="nope"):
        guess(file, **wrong)
    empty = written(tmp_path / "none.ndjson")
    assert guess(empty, **wrong).reading.events == 0


@settings(max_examples=30)
@given(st.lists(st.text(min_size=1).filter(lambda text: text.isprintable()), max_size=6, unique=True))
def test_any_names_of_events_and_properties_give_a_guess_or_a_reason(names: list[str]) -> None:
    # The names are those of columns and of events at once.
    count = len(names) + 1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        table = pa.table(
            {"event": [*names, "Sign Up"], "distinct_id": ["ana"] * count, "time": [*range(count)]}
        )
        for name in {name.casefold(): name for name in names if name.isascii()}.values():
            if name not in table.column_names:
                table = table.append_column(name, pa.array([None, *["1"] * len(names)]))
        stitched = idmerge.stitch(table)
    with tempfile.TemporaryDirectory() as place:
        parquet.write_table(stitched, Path(place) / "s.parquet")
        found = guess(Path(place) / "s.parquet")
    assert values(found)["signup"] is not None
    assert all(each.reason for each in found.names)
