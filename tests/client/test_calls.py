"""The calls of the client make the events that mixpanel-browser makes of them."""

from __future__ import annotations

import json
import random
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idmerge import DurableResolver, Profiles, Resolver, reference
from idmerge.client import AsyncClient, Client, FileState
from real_clients import of_npm, of_the_sdk
from sdk_calls import OF_A_BROWSER, OF_THE_LIBRARY, RECORDED, comparable, played, sequences
from web_page import CHROMIUM, PACKAGES, page_of

if TYPE_CHECKING:
    from sdk_calls import Call, Sent

CAPTURE = Path(__file__).parents[1] / "data" / "wire" / "requests" / "browser-guide.json"
RECORDS = [json.loads(line) for line in RECORDED.read_text("utf-8").splitlines()]


class Visits:
    """A client of a resolver, and all that it sends."""

    def __init__(self, state: dict[str, Any] | None = None) -> None:
        self.sent: Sent = []
        self.resolver = Resolver()
        self.client = Client(
            self.resolver, "shop", state=state, sink=lambda route, item: self.sent.append((route, item))
        )

    def last(self) -> dict[str, Any]:
        found: dict[str, Any] = self.sent[-1][1]
        return found


def test_calls_send_what_the_browser_sent() -> None:
    for record in RECORDS:
        assert comparable(played(record["calls"])) == record["sent"], record["calls"]


def test_the_records_have_all_calls_and_all_that_they_send() -> None:
    calls = {call[0] for record in RECORDS for call in record["calls"]}
    assert {"identify", "reset", "alias", "reload", "stored", "people.union", "people.delete_user"} <= calls
    sent = [json.loads(text)[1] for record in RECORDS for text in record["sent"]]
    keys = {key for item in sent for key in (*item, *item.get("properties", {}))}
    assert {"$set", "$unset", "$delete", "$had_persisted_distinct_id", "$anon_distinct_id", "alias"} <= keys
    assert len(sent) > 800


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
def test_calls_send_what_the_browser_sends(tmp_path: Path) -> None:
    node_modules = of_npm(tmp_path / "npm", PACKAGES)
    (folder := tmp_path / "page").mkdir()
    seed = random.randrange(10**6)
    calls = sequences(seed, 200)
    with page_of(node_modules, folder) as page:
        sent = of_the_sdk(calls, page, str(CHROMIUM), node_modules)
    for each, made in zip(calls, sent, strict=True):
        assert comparable(played(each)) == comparable(made), f"seed {seed}: {each}"


def test_the_guides_flow_has_the_properties_that_a_browser_posts() -> None:
    requests = json.loads(CAPTURE.read_text("utf-8"))["requests"]
    of_a_page = {"utm_source", "utm_campaign", "$initial_referrer", "$initial_referring_domain"}
    left_out = OF_A_BROWSER | OF_THE_LIBRARY | of_a_page | {"mp_sent_by_lib_version", "company", "ab", "at"}
    events = [item for sent in requests for item in sent.get("decoded") or [] if "event" in item]
    events.sort(key=lambda event: event["properties"]["time"])
    visits = Visits()
    client = visits.client
    client.track("Viewed page", {"page": "home", "price": 12.5, "tags": ["a", "b"]})
    client.identify("ana")
    client.track("Signed up")
    client.track("Bought")
    client.track("Used")
    client.reset()
    client.track("Viewed page", {"page": "after reset"})
    client.identify("ben")
    client.track("Logged in")
    client.alias("ben@example.com")
    client.identify("carla")
    client.track("No reset")
    client.track("Left page")

    def plain(found: list[Any]) -> list[str]:
        for _, item in found:
            item["properties"] = {k: v for k, v in item["properties"].items() if k not in left_out}
        return comparable(found)

    assert plain(visits.sent) == plain([("track", event) for event in events])


class Page:
    """The SDK's state machine in a few lines: the links that its calls state."""

    def __init__(self, resolver: reference.Resolver) -> None:
        self.resolver = resolver
        self.alias_of: str | None = None
        self.id = self.device()

    def device(self) -> str:
        return f"$device:{uuid4()}"

    def track(self) -> None:
        self.resolver.apply({"event": "View", "properties": {"distinct_id": self.id}}, "track")

    def reset(self) -> None:
        self.id, self.alias_of = self.device(), None

    def identify(self, user: str) -> None:
        before = self.id
        if user == before:
            return
        if user != self.alias_of:
            self.id, self.alias_of = user, None
        properties = {"distinct_id": user, "$anon_distinct_id": before}
        self.resolver.apply({"event": "$identify", "properties": properties}, "track")

    def alias(self, alias: str) -> None:
        if alias != self.id:
            self.alias_of = alias
            properties = {"distinct_id": self.id, "alias": alias}
            self.resolver.apply({"event": "$create_alias", "properties": properties}, "track")
        self.identify(alias)

    def merge(self, first: str, second: str) -> None:
        self.resolver.apply({"event": "$merge", "properties": {"$distinct_ids": [first, second]}}, "import")


users = st.sampled_from(["ana", "ben", "carla", "null"])
steps = st.one_of(
    st.tuples(st.just("track")),
    st.tuples(st.just("reset")),
    st.tuples(st.sampled_from(["identify", "alias"]), users),
    st.tuples(st.just("merge"), users, users),
)


@given(st.lists(st.tuples(st.integers(0, 1), steps), max_size=30))
def test_the_clusters_are_those_of_the_sdks_links(walk: list[tuple[int, tuple[str, ...]]]) -> None:
    judge = reference.Resolver()
    pages = [Page(judge), Page(judge)]
    client = Client(resolver := Resolver(), "shop")
    clients = [client.bound({}), client.bound({})]
    devices: dict[str, str] = {}
    for visitor, (call, *given_values) in walk:
        devices[pages[visitor].id] = clients[visitor].distinct_id
        getattr(clients[visitor], call)(*([call] if call == "track" else given_values))
        getattr(pages[visitor], call)(*given_values)
    for one in {*devices, "ana", "ben", "carla"}:
        ours = devices.get(one, one)
        assert (one in judge) == (ours in resolver)
        if one in judge:
            assert resolver.members(ours) == [devices.get(member, member) for member in judge.members(one)]


def test_what_is_appended_or_united_before_an_identify_is_compared_as_javascript_does() -> None:
    visits = Visits()
    people = visits.client.people
    people.union("tags", [1, True, 1, "1", [1], [1]])
    people.append("seen", 1)
    people.remove("seen", True)
    visits.client.identify("ana")
    united, appended, removed = (item for _, item in visits.sent[:3])
    assert json.dumps(united["$union"]) == '{"tags": [1, true, "1", [1], [1]]}'
    assert (appended["$append"], removed["$remove"]) == ({"seen": 1}, {"seen": True})


def test_two_visitors_of_a_client_are_apart() -> None:
    client = Client(resolver := Resolver(), "shop")
    ana, ben = client.bound({}), client.bound({})
    assert ana.identify("ana")
    assert ben.identify("ben")
    assert (ana.distinct_id, ben.distinct_id, client.user_id) == ("ana", "ben", None)
    assert not resolver.same("ana", "ben")


def test_an_event_has_an_insert_id_of_its_own_and_the_time_of_its_route() -> None:
    visits = Visits()
    visits.client.track("Viewed page")
    visits.client.track("Viewed page")
    (_, first), (_, second) = visits.sent
    assert first["properties"]["$insert_id"] != second["properties"]["$insert_id"]
    assert first["properties"]["$insert_id"].isalnum()
    assert isinstance(first["properties"]["time"], float)
    visits.client.merge("ana", "ben")
    route, merged = visits.sent[-1]
    assert route == "import"
    assert isinstance(merged["properties"]["time"], int)


def test_a_moment_of_the_caller_is_the_events() -> None:
    visits = Visits()
    moment = datetime(2026, 11, 30, 13, 0, tzinfo=timezone(timedelta(hours=2)))
    visits.client.track("Bought", {"time": moment, "$insert_id": "order-17"})
    assert visits.last()["properties"]["time"] == moment.timestamp()
    assert visits.last()["properties"]["$insert_id"] == "order-17"


def test_values_become_json() -> None:
    visits = Visits()
    ident = UUID("5c3c0e5d-9a1f-4c39-8f8e-3e7a9d2d6a11")
    given_values = {
        "at": datetime(2026, 11, 30, 13, 0, tzinfo=UTC),
        "local": datetime(2026, 11, 30, 13, 0),  # noqa: DTZ001 - one without a zone
        "day": date(2026, 11, 30),
        "id": ident,
        "both": (1, [2.5, float("nan")]),
        "wide": "😀" * 200,
    }
    visits.client.track("Bought", given_values)
    found = visits.last()["properties"]
    assert found["at"] == found["local"] == "2026-11-30T13:00:00"
    assert (found["day"], found["id"], found["both"]) == ("2026-11-30", str(ident), [1, [2.5, None]])
    assert found["wide"] == "😀" * 127  # 255 units of UTF-16 would end within a character.
    visits.client.identify("ana")
    visits.client.people.set("at", given_values["at"])
    assert visits.last()["$set"] == {"at": "2026-11-30T13:00:00"}


@pytest.mark.parametrize("wrong", [object(), b"bytes", {1: "a"}, {"a": object()}])
def test_what_json_has_no_form_for_is_refused_at_the_call(wrong: Any) -> None:
    visits = Visits()
    with pytest.raises(TypeError):
        visits.client.track("Bought", {"value": wrong})
    with pytest.raises(TypeError):
        visits.client.register({"value": wrong})
    assert visits.sent == []


def test_what_contains_itself_is_refused() -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(ValueError, match="nested"):
        Visits().client.track("Bought", {"value": endless})


def test_wrong_calls_say_what_is_wrong() -> None:
    client = Visits().client
    for call, message in [
        (lambda: client.track(""), "empty"),
        (lambda: Client("https://user:secret@example.com", "t"), "credentials="),
        (lambda: Client("ftp://example.com", "t"), "address"),
        (lambda: Client("http://[", "t"), "address"),
        (lambda: Client(Resolver(), "t", source="both"), "source must be"),  # type: ignore[arg-type]
        (lambda: Client("http://127.0.0.1:9", "t", sink=print), "sink"),
    ]:
        with pytest.raises(ValueError, match=message):
            call()
    for call, message in [
        (lambda: client.track(1), "name of an event"),  # type: ignore[arg-type]
        (lambda: client.identify(None), "an ID must be"),
        (lambda: client.identify(1.5), "an ID must be"),
        (lambda: Client(Resolver(), ""), "token"),
        (lambda: Client(1, "t"), "an address or a resolver"),  # type: ignore[arg-type]
        (lambda: client.people.increment("n", "1"), "numbers"),  # type: ignore[arg-type]
    ]:
        with pytest.raises(TypeError, match=message):
            call()


def test_a_user_with_the_prefix_of_devices_or_without_a_letter_is_refused(
    caplog: pytest.LogCaptureFixture,
) -> None:
    visits = Visits()
    assert not visits.client.identify("$device:0b0f7d52-55a8-4be5-a1f0-67c1c7a7a1f2")
    assert not visits.client.identify("")
    assert not visits.client.alias("")
    assert visits.sent == []
    assert len(caplog.records) == 3
    assert visits.client.identify(visits.client.distinct_id), "its own, which sends the updates that wait"


def test_integers_and_uuids_are_ids_by_their_texts() -> None:
    visits = Visits()
    ident = uuid4()
    assert visits.client.identify(17)
    assert visits.client.alias(ident)
    assert visits.resolver.same("17", str(ident))


@pytest.mark.parametrize(
    "hostile",
    [None, 3, "text", [], {"distinct_id": None}, {"distinct_id": ["a"]}, {"__mps": 3, "__mpap": {"a": 1}}],
)
def test_a_state_that_is_no_visitors_is_a_new_one(hostile: Any) -> None:
    visits = Visits({"mp_shop_mixpanel": hostile})
    assert visits.client.distinct_id == f"$device:{visits.client.device_id}"
    assert visits.client.people.set("plan", "free")
    assert visits.client.people.append("seen", "x")
    assert visits.client.identify("ana")
    assert [item["$distinct_id"] for route, item in visits.sent if route == "engage"] == ["ana", "ana"]


def test_a_file_keeps_a_visitor(tmp_path: Path) -> None:
    path = tmp_path / "visitor.json"
    first = Client(Resolver(), "shop", state=FileState(path))
    first.register({"plan": "free"})
    first.identify("ana")
    other = Client(Resolver(), "other", state=FileState(path))
    assert other.distinct_id != "ana"
    again = Visits(FileState(path))  # type: ignore[arg-type]
    again.client.track("Viewed page")
    assert again.last()["properties"]["plan"] == "free"
    assert again.client.distinct_id == "ana"
    assert path.stat().st_mode & 0o077 == 0
    assert [*tmp_path.iterdir()] == [path]
    path.write_text("{", "utf-8")
    assert Client(Resolver(), "shop", state=FileState(path)).user_id is None


def test_calls_do_not_change_what_was_given_or_was_stored_before() -> None:
    state: dict[str, Any] = {}
    visits = Visits(state)
    tags = ["a"]
    visits.client.people.union("tags", tags)
    before = state["mp_shop_mixpanel"]
    kept = json.dumps(before)
    visits.client.people.union("tags", ["b"])
    visits.client.register({"tags": tags})
    assert json.dumps(before) == kept
    tags.append("c")
    assert state["mp_shop_mixpanel"]["tags"] == ["a"]


def test_a_resolver_with_a_journal_commits(tmp_path: Path) -> None:
    with DurableResolver.open(tmp_path / "ids.idmerge") as resolver:
        client = Client(resolver, "shop")
        client.identify("ana")
        assert client.flush()
        anonymous = f"$device:{client.device_id}"
        with DurableResolver.open(tmp_path / "ids.idmerge", read_only=True) as reader:
            assert reader.same("ana", anonymous)


def test_updates_can_go_to_profiles_in_this_process() -> None:
    resolver = Resolver()
    profiles = Profiles(resolver)

    def keep(route: str, item: dict[str, Any]) -> None:
        if route == "engage":
            profiles.update(item)

    client = Client(resolver, "shop", sink=keep)
    client.people.set("plan", "free")
    client.identify("ana")
    client.people.increment("visits", 2)
    assert profiles.get("ana") == {"plan": "free", "visits": 2}


def test_the_asynchronous_client_sends_the_same() -> None:
    for record in RECORDS[:40]:
        assert comparable(_played_by(record["calls"])) == record["sent"]


def _played_by(calls: list[Call]) -> Sent:
    sent: Sent = []
    state: dict[str, Any] = {}

    def load() -> AsyncClient:
        return AsyncClient(Resolver(), "t0", state=state, sink=lambda route, item: sent.append((route, item)))

    client: AsyncClient | None = None
    for name, *values in calls:
        if name == "stored":
            state["mp_t0_mixpanel"] = values[0]
            continue
        client = load() if client is None or name == "reload" else client
        if name != "reload":
            place = client.people if name.startswith("people.") else client
            getattr(place, name.removeprefix("people.").replace("delete_user", "delete"))(*values)
    return sent


def test_nothing_names_the_token_or_the_visitor() -> None:
    for client in (
        Client(Resolver(), "t0ken"),
        Client("https://example.com/in", "t0ken", credentials=("u", "s3cret")),
    ):
        client.bound({})
        assert "t0ken" not in repr(client)
        assert "s3cret" not in repr(client)
        assert client.distinct_id not in repr(client)
