"""The query of profiles: pages of one session, conditions, and clear answers to wrong requests."""

from __future__ import annotations

import json
import re
import threading
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idmerge import Profiles, Resolver
from idmerge.server.http.requests import Request
from idmerge.server.people.resolving import Unlinked, group_name
from idmerge.server.reading import engage
from idmerge.server.reading.engage import Sessions, engaged
from idmerge.server.reading.where import condition_of

if TYPE_CHECKING:
    from collections.abc import Mapping

ANA = {"plan": "pro", "n": 3, "tags": ["a", 1], "$email": "ana@example.com", "ok": True}
BEN = {"plan": "free", "city": None}


class Asked:
    """Profiles of some people and groups, and questions to them."""

    def __init__(self, count: int = 0) -> None:
        self.resolver = Resolver()
        self.people = Profiles(self.resolver)
        self.groups = Profiles(Unlinked())
        self.sessions = Sessions()
        for number in range(count):
            self.people.update({"$distinct_id": f"u{number}", "$set": {"n": number}})

    def request(self, request: Request) -> tuple[int, dict[str, Any]]:
        try:
            answer = engaged(request, "main", self.people, self.groups, self.sessions)
        except ValueError as error:
            return 400, {"error": str(error)}
        body = answer.body if isinstance(answer.body, bytes) else b"".join(answer.body)
        return answer.status, json.loads(body)

    def get(self, **fields: Any) -> dict[str, Any]:
        query = urlencode({name: text_of(value) for name, value in fields.items()})
        status, content = self.request(Request("GET", "/api/query/engage", query.encode()))
        assert status == 200, content
        return content

    def refused(self, **fields: Any) -> str:
        query = urlencode({name: text_of(value) for name, value in fields.items()})
        status, content = self.request(Request("GET", "/api/query/engage", query.encode()))
        assert status == 400, content
        error: str = content["error"]
        return error


def text_of(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def ids(content: Mapping[str, Any]) -> list[str]:
    return [one["$distinct_id"] for one in content["results"]]


def some() -> Asked:
    asked = Asked()
    asked.people.update({"$distinct_id": "ana", "$set": ANA})
    asked.people.update({"$distinct_id": "ben", "$set": BEN})
    return asked


def test_the_answer_has_mixpanels_shape() -> None:
    asked = some()
    content = asked.get()
    session_id = content.pop("session_id")
    assert isinstance(session_id, str)
    assert content == {
        "page": 0,
        "page_size": 1000,
        "status": "ok",
        "total": 2,
        "results": [
            {"$distinct_id": "ana", "$properties": ANA},
            {"$distinct_id": "ben", "$properties": BEN},
        ],
    }


def test_a_form_that_is_posted_asks_as_a_query_does() -> None:
    asked = some()
    long = json.dumps(["ana", *("x" * 100 for _ in range(100))])
    form = urlencode({"distinct_ids": long, "output_properties": '["plan"]'}).encode()
    headers = {b"content-type": b"application/x-www-form-urlencoded"}
    status, content = asked.request(Request("POST", "/api/query/engage", b"verbose=1", headers, form))
    assert (status, content["results"]) == (
        200,
        [{"$distinct_id": "ana", "$properties": {"plan": "pro"}}],
    )
    status, content = asked.request(
        Request("POST", "/api/query/engage", b"", {b"content-type": b"application/json"}, b'{"page": 0}')
    )
    assert (status, content["error"]) == (
        400,
        "parameters must come in the query or in a form, and the body is JSON",
    )


def test_people_are_asked_for_by_any_of_their_ids() -> None:
    asked = some()
    asked.resolver.merge("ana", "phone")
    asked.resolver.merge("carl", "laptop")
    assert ids(asked.get(distinct_id="phone")) == ["ana"]
    assert ids(asked.get(distinct_ids=["ben", "phone", "ana", "carl", "unknown", 5])) == ["ben", "ana"]
    assert asked.get(distinct_id="carl")["total"] == 0


@given(st.integers(0, 12), st.integers(1, 6))
def test_the_pages_of_a_session_are_all_people_once(count: int, page_size: int) -> None:
    asked = Asked(count)
    first = asked.get(page_size=page_size)
    found, session_id = ids(first), first["session_id"]
    assert first["total"] == count
    for page in range(1, -(-count // page_size)):
        asked.people.update({"$distinct_id": f"new{page}", "$set": {}})
        content = asked.get(page=page, page_size=page_size, session_id=session_id)
        assert (content["session_id"], content["total"], content["page"]) == (session_id, count, page)
        found += ids(content)
    assert found == [f"u{number}" for number in range(count)]
    last = asked.get(page=count, page_size=page_size, session_id=session_id)
    assert last["results"] == []


def test_who_was_merged_or_removed_during_a_session_is_in_no_later_page_twice() -> None:
    asked = Asked(6)
    first = asked.get(page_size=2)
    asked.resolver.merge("u0", "u2")
    asked.people.update({"$distinct_id": "u4", "$delete": ""})
    rest = [asked.get(page=page, page_size=2, session_id=first["session_id"]) for page in (1, 2)]
    assert [ids(one) for one in rest] == [["u3"], ["u5"]]


def test_a_session_is_of_its_project_and_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    sessions = Sessions(lambda: now)
    monkeypatch.setattr(engage, "MOST_SESSIONS", 3)
    monkeypatch.setattr(engage, "MOST_LISTED", 10)
    first = sessions.begin("main", None, ["ana"])
    assert sessions.find(first, "other", None) is None
    assert sessions.find(first, "main", "firm") is None
    assert sessions.find("unknown", "main", None) is None
    now = 599.0
    assert sessions.find(first, "main", None) == ["ana"]
    now = 1198.0
    assert sessions.find(first, "main", None) == ["ana"]
    now = 1800.0
    assert sessions.find(first, "main", None) is None
    kept = [sessions.begin("main", None, [str(number)]) for number in range(3)]
    assert sessions.find(kept[0], "main", None) == ["0"]
    last = sessions.begin("main", None, ["3"])  # Of three, the one that was used longest ago ends.
    assert [sessions.find(one, "main", None) for one in (*kept, last)] == [["0"], None, ["2"], ["3"]]
    large = sessions.begin("main", None, ["x"] * 20)
    assert sessions.find(large, "main", None) == ["x"] * 20
    assert sessions.find(last, "main", None) is None


def test_threads_can_share_sessions() -> None:
    asked = Asked(40)
    found: list[list[str]] = []
    first = asked.get(page_size=4)

    def pages(start: int) -> None:
        found.extend(
            ids(asked.get(page=page, page_size=4, session_id=first["session_id"]))
            for page in range(start, 10, 3)
        )

    threads = [threading.Thread(target=pages, args=(start,)) for start in (1, 2, 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(sum(found, ids(first))) == sorted(f"u{number}" for number in range(40))


def test_groups_are_asked_for_by_their_key() -> None:
    asked = some()
    for key, own in (("firm", "acme"), ("firm", "ajax"), ("team", "acme")):
        name = group_name(key, own)
        asked.groups.update({"$distinct_id": name, "$ignore_alias": True, "$set": {"key": key, "own": own}})
    content = asked.get(data_group_id="firm")
    assert content["results"] == [
        {"$distinct_id": own, "$properties": {"key": "firm", "own": own}} for own in ("acme", "ajax")
    ]
    assert ids(asked.get(data_group_id="team", distinct_id="acme")) == ["acme"]
    assert asked.get(data_group_id="other")["total"] == 0
    assert ids(asked.get(data_group_id="firm", where='properties["own"] == "ajax"')) == ["ajax"]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"page": 1}, "page needs the session_id that the answer without a page has"),
        ({"page": 1, "session_id": "x"}, "session_id is of no session, or of one that has ended"),
        ({"page": "x"}, "page must be a number from 0 to 1000000000"),
        ({"page": "9" * 5000}, "page must be a number from 0 to 1000000000"),
        ({"page_size": 0}, "page_size must be a number from 1 to 10000"),
        ({"page_size": 10_001}, "page_size must be a number from 1 to 10000"),
        ({"distinct_ids": "ana"}, 'distinct_ids must be a JSON list of texts, as in ["ana", "ben"]'),
        ({"distinct_ids": [["ana"]]}, 'distinct_ids must be a JSON list of texts, as in ["ana", "ben"]'),
        ({"output_properties": "{}"}, "output_properties must be a JSON list of texts"),
        ({"behaviors": [1]}, "behaviors is not supported"),
        ({"filter_by_cohort": {"id": 1}}, "filter_by_cohort is not supported"),
        ({"where": "plan"}, "where cannot be read at 'plan', character 1; supported are properties["),
        ({f"f{number}": 1 for number in range(101)}, "there must be at most 100 parameters"),
    ],
)
def test_a_wrong_request_is_named(fields: dict[str, Any], message: str) -> None:
    assert message in some().refused(**fields)


# Conditions


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('properties["plan"] == "pro"', ["ana"]),
        ("properties['plan'] != 'pro'", ["ben"]),
        ('"pro" == user["plan"]', ["ana"]),
        ('defined(properties["city"])', ["ben"]),
        ('not defined (properties["city"])', ["ana"]),
        ('properties["city"] == null', ["ben"]),
        ('properties["n"] > 2 and properties["n"] <= 3.0', ["ana"]),
        ('properties["n"] == 3.0', ["ana"]),
        ('properties["n"] < -2', []),
        ('properties["plan"] >= "p"', ["ana"]),
        ('properties["plan"] > 1', []),
        ('properties["n"] != 4', ["ana", "ben"]),
        ('properties["ok"] == 1', []),
        ('properties["ok"] == true', ["ana"]),
        ('"a" in properties["tags"]', ["ana"]),
        ('true in properties["tags"]', []),
        ('"@example" in properties["$email"]', ["ana"]),
        ('properties["missing"] == properties["missing"]', []),
        ('properties["plan"] == "free" or properties["n"] == 3 and false == true', ["ben"]),
        ('(properties["plan"] == "free" or properties["n"] == 3) and 1 == 1', ["ana", "ben"]),
        ('not (properties["plan"] == "free") and not properties["n"] == 4', ["ana"]),
        ('properties["plan"] == "\\u0070ro"', ["ana"]),
        (" ", ["ana", "ben"]),
    ],
)
def test_conditions_select_people(text: str, expected: list[str]) -> None:
    content = some().get(where=text)
    assert (ids(content), content["total"]) == (expected, len(expected))


@pytest.mark.parametrize(
    "text",
    [
        'properties["plan"]',
        'properties["plan"] == ',
        'properties[plan] == "pro"',
        'properties["plan"] == "pro" and',
        'properties["plan"] = "pro"',
        '(properties["plan"] == "pro"',
        'properties["plan"] == "pro")',
        'properties["plan"] == pro',
        'properties["plan"] == 1.2.3',
        'properties["plan"] == "pro',
        'properties["plan"] == "\\x"',
        'datetime(properties["plan"]) > 5',
        "defined(5)",
        "1 == 1 == 1",
        "(" * 1000,
        "not " * 1000,
        "1 == " + "x" * 10_000,
        '"' + "\\" * 9000,
        "é",
    ],
)
def test_other_conditions_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="^where "):
        condition_of(text)


@given(st.text(st.sampled_from('properties["a"] ==<>!(,)nordefined1.5e\'\\'), max_size=60))
def test_any_text_is_a_condition_or_refused_by_name(text: str) -> None:
    try:
        found = condition_of(text)({"a": 1})
    except ValueError as error:
        found = re.match("where ", str(error)) is not None
    assert isinstance(found, bool)
