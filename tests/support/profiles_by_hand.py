"""Profiles as dicts of dicts over the reference, obviously right (SPEC 10), and their updates."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

from hypothesis import strategies as st

from idmerge import DurableResolver, Profiles, Resolver, reference
from idmerge.errors import RetractionError
from idmerge.profiles.updates import DEEPEST


def alike(a: Any, b: Any) -> bool:
    """JSON's equality: 1 is 1.0, but not true."""
    return json.dumps(a) == json.dumps(b) or (type(a) in (int, float) and type(b) in (int, float) and a == b)


def change(profile: dict[str, Any], operation: str, name: str, value: Any) -> None:
    old = profile.get(name)
    if operation == "$set" or (operation == "$set_once" and name not in profile):
        profile[name] = value
    elif operation == "$add" and (name not in profile or type(old) in (int, float)):
        profile[name] = profile.get(name, 0) + value
    elif operation == "$append" and (name not in profile or type(old) is list):
        profile[name] = [*(old or []), value]
    elif operation == "$union" and (name not in profile or type(old) is list):
        profile[name] = [*(old or [])]
        for item in value:
            if not any(alike(item, other) for other in profile[name]):
                profile[name].append(item)
    elif operation == "$remove" and type(old) is list:
        profile[name] = [item for item in old if not alike(item, value)]
    elif operation == "$unset":
        profile.pop(name, None)


class Twin:
    def __init__(self) -> None:
        self.resolver = reference.Resolver()
        self.stored: dict[str, dict[str, Any]] = {}

    def update(self, update: dict[str, Any]) -> None:
        own = update["$distinct_id"]
        place = own if update.get("$ignore_alias") else self.resolver.resolve(own)
        for operation in OPERATIONS:
            if operation not in update:
                continue
            if operation == "$delete":
                self.stored.pop(place, None)
            elif operation in ("$unset", "$remove"):
                for name in update[operation]:
                    if place in self.stored:
                        value = None if operation == "$unset" else update[operation][name]
                        change(self.stored[place], operation, name, value)
            else:
                profile = self.stored.setdefault(place, {})
                for name, value in update[operation].items():
                    change(profile, operation, name, value)

    def hidden(self, own: str) -> dict[str, dict[str, Any]]:
        canonical = self.resolver.resolve(own)
        members = self.resolver.members(canonical) if canonical in self.resolver else []
        return {m: self.stored[m] for m in members if m in self.stored and m != canonical}

    def get(self, own: str, mode: str) -> dict[str, Any] | None:
        canonical = self.resolver.resolve(own)
        shown = [self.stored[canonical]] if canonical in self.stored else []
        if mode == "fill":
            shown += self.hidden(own).values()
        filled: dict[str, Any] = {}
        for profile in shown:
            filled = {**filled, **{name: profile[name] for name in profile if name not in filled}}
        return filled if shown else None


# What comes: few IDs, few properties, so that types clash and people meet

OPERATIONS = ["$set", "$set_once", "$add", "$append", "$union", "$remove", "$unset", "$delete"]
PEOPLE = ["U1", "U2", "U3", "D", "unheard of"]
numbers = st.one_of(st.integers(-3, 3), st.sampled_from([0.5, 1.0, -2.25]))
scalars = st.one_of(st.sampled_from(["a", "b", ""]), numbers, st.booleans(), st.none())
lists = st.lists(scalars, max_size=3)
names = st.sampled_from(["plan", "$email", "n", "list"])


def of(values: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(names, values, max_size=3)


several = st.fixed_dictionaries(
    {"$distinct_id": st.sampled_from(PEOPLE)},
    optional={
        "$set": of(st.one_of(scalars, lists)),
        "$set_once": of(scalars),
        "$add": of(numbers),
        "$append": of(scalars),
        "$union": of(lists),
        "$remove": of(scalars),
        "$unset": st.lists(names, max_size=2),
        "$ignore_alias": st.booleans(),
        "$token": st.just("t"),
    },
).filter(lambda update: set(update) & set(OPERATIONS))
deletions = st.builds(lambda own: {"$distinct_id": own, "$delete": ""}, st.sampled_from(PEOPLE))
updates = st.one_of(several, several, several, several, deletions)
merges = st.tuples(st.just("merge"), st.sampled_from(PEOPLE[:4]), st.sampled_from(PEOPLE[:4]))
retractions = st.tuples(st.just("retract"), st.integers(0, 12))
steps = st.lists(st.one_of(updates, updates, merges, retractions), max_size=25)
modes = st.sampled_from(["hide", "fill"])


def take(resolver: Any, step: tuple[Any, ...]) -> None:
    """Give a link or a retraction to a resolver; what cannot be taken back is passed over."""
    call, *arguments = step
    with suppress(RetractionError):
        getattr(resolver, call)(*arguments)


def played(story: list[Any], mode: Any) -> tuple[Profiles, Resolver, Twin]:
    resolver, twin = DurableResolver.open(":memory:"), Twin()
    profiles = Profiles(resolver, merge_profiles=mode)
    for step in story:
        if isinstance(step, dict):
            profiles.update(step)
            twin.update(step)
        else:
            take(resolver, step)
            take(twin.resolver, step)
    return profiles, resolver, twin


deep: Any = "x"
for _ in range(DEEPEST):
    deep = [deep]
