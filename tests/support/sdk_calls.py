"""Sequences of calls, and what mixpanel-browser and this project's client make of them.

``python tests/support/sdk_calls.py`` records what mixpanel-browser does anew, in `RECORDED`.
"""

from __future__ import annotations

import json
import random
import re
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from idmerge import Resolver
from idmerge.client import Client

if TYPE_CHECKING:
    from collections.abc import Iterable

RECORDED = Path(__file__).parents[1] / "data" / "wire" / "sdk-calls.json"
Call = list[Any]
Sent = list[tuple[str, dict[str, Any]]]

OF_A_BROWSER = {"$browser", "$browser_version", "$current_url", "$os", "$screen_height", "$screen_width"}
"""What a page alone can tell."""
OF_THE_LIBRARY = {"$insert_id", "$lib_version", "mp_lib", "time"}
"""What both send, each its own."""
_UUID = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

USERS = ["ana", "ben", "ana@example.com", "crm-17", "$device:5c3c0e5d-9a1f-4c39-8f8e-3e7a9d2d6a11"]
TEXTS = ["plan", "source"]
NUMBERS = ["visits", "credits"]
LISTS = ["seen", "tags"]
STORED = [
    {"distinct_id": "ana", "plan": "old"},
    {"distinct_id": "$device:0b0f7d52-55a8-4be5-a1f0-67c1c7a7a1f2", "plan": "free"},
    {"distinct_id": "18c4f0a1b2c3d4-0a1b2c3d4e5f67-1f2e3d4c-1fa400-18c4f0a1b2d5e6", "$user_id": None},
    {"distinct_id": "", "$device_id": "", "source": "x"},
    {"$device_id": "0b0f7d52-55a8-4be5-a1f0-67c1c7a7a1f2"},
    {"distinct_id": "ben", "$device_id": "0b0f7d52-55a8-4be5-a1f0-67c1c7a7a1f2", "$user_id": "ben"},
    {"distinct_id": "ana", "$people_distinct_id": "ben", "__alias": "crm-17"},
]


def sequences(seed: int, count: int) -> list[list[Call]]:
    """Return so many sequences of calls, few users and names in many calls."""
    chance = random.Random(seed)
    return [_sequence(chance) for _ in range(count)]


def _sequence(chance: random.Random) -> list[Call]:
    calls: list[Call] = [["stored", chance.choice(STORED)]] if chance.random() < 0.4 else []
    return calls + [_call(chance) for _ in range(chance.randint(1, 14))]


def _call(chance: random.Random) -> Call:
    user, value = chance.choice(USERS), chance.choice(["free", "pro", 3, 0, True, None, "é" * 260, ["a"]])
    super_property = {chance.choice(["plan", "ab", "distinct_id_of_crm"]): value}
    if chance.random() < 0.4:
        return _profile_call(chance, value)
    calls: list[Call] = [
        ["track", chance.choice(["Viewed page", "Bought"]), chance.choice([{}, {"plan": value}])],
        ["track", "Bought", {"nested": {"texts": ["x" * 260, value]}, "distinct_id": user}],
        ["identify", user],
        ["identify", user],
        ["alias", user],
        ["alias", user, chance.choice(USERS)],
        ["reset"],
        ["reload"],
        ["register", super_property],
        ["register_once", super_property],
        ["register_once", super_property, chance.choice(["free", 3, True])],
        ["unregister", chance.choice(["plan", "ab"])],
    ]
    return chance.choice(calls)


def _profile_call(chance: random.Random, value: Any) -> Call:
    text, number, listed = chance.choice(TEXTS), chance.choice(NUMBERS), chance.choice(LISTS)
    item = chance.choice(["a", "b", 1, True])
    calls: list[Call] = [
        ["people.set", text, value],
        ["people.set", {text: value, number: chance.randint(0, 3), "$token": "forged"}],
        ["people.set_once", {text: value}],
        ["people.set_once", text, value],
        ["people.unset", chance.choice([text, [text, number], [listed]])],
        ["people.increment", number],
        ["people.increment", {number: chance.choice([2, -1, 0.5])}],
        ["people.append", listed, item],
        ["people.append", {listed: item, text: "x"}],
        ["people.union", listed, chance.choice([item, [item, "c", "c"]])],
        ["people.union", {listed: [item]}],
        ["people.remove", listed, item],
        ["people.delete_user"],
    ]
    return chance.choice(calls)


def played(calls: Iterable[Call], token: str = "t0") -> Sent:  # noqa: S107 - of a test
    """Return what the client sends at some calls."""
    state: dict[str, Any] = {}
    sent: Sent = []
    resolver = Resolver()

    def load() -> Client:
        client = Client(resolver, token, state=state, sink=lambda route, item: sent.append((route, item)))
        assert client.distinct_id
        return client

    client: Client | None = None
    for name, *given in calls:
        if name == "stored":
            state[f"mp_{token}_mixpanel"] = given[0]
            continue
        if client is None or name == "reload":
            client = load()
        if name == "people.delete_user":
            client.people.delete()
        elif name.startswith("people."):
            getattr(client.people, name.removeprefix("people."))(*given)
        elif name != "reload":
            getattr(client, name)(*given)
    return sent


def comparable(sent: Iterable[Any]) -> list[str]:
    """Return what was sent, each as JSON, without what differs always.

    Random IDs are named in the order in which they come.
    """
    found = []
    for route, item in sent:
        kept = {}
        for key, value in item.items():
            hidden = OF_A_BROWSER | (OF_THE_LIBRARY if key == "properties" else set())
            is_inside = key in {"properties", "$set"}
            kept[key] = {k: v for k, v in value.items() if k not in hidden} if is_inside else value
        kept.pop("$token", None)
        kept.get("properties", {}).pop("token", None)
        if kept.get("$set") != {}:  # A browser's own properties outlast an `unset` of all others.
            found.append([route, kept])
    numbers: dict[str, str] = {}
    text = json.dumps(found, sort_keys=True, ensure_ascii=False)
    text = _UUID.sub(lambda match: numbers.setdefault(match[0], f"device {len(numbers)}"), text)
    return [json.dumps(item, ensure_ascii=False) for item in json.loads(text, parse_float=_number)]


def _number(text: str) -> float:
    """Return a number of JSON as JavaScript writes it: a whole one as an integer."""
    number = float(text)
    return int(number) if number.is_integer() else number


def main() -> None:
    """Record what mixpanel-browser does."""
    from real_clients import of_npm, of_the_sdk
    from web_page import CHROMIUM, PACKAGES, page_of

    calls = sequences(1, 200)
    with TemporaryDirectory() as directory:
        node_modules = of_npm(Path(directory), PACKAGES)
        (page := Path(directory, "page")).mkdir()
        with page_of(node_modules, page) as address:
            sent = of_the_sdk(calls, address, str(CHROMIUM), node_modules)
    lines = (
        json.dumps({"calls": each, "sent": comparable(made)}, ensure_ascii=False)
        for each, made in zip(calls, sent, strict=True)
    )
    RECORDED.write_text("\n".join([*lines, ""]), "utf-8")


if __name__ == "__main__":
    main()
