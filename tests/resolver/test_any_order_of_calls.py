"""The public interface in any order of calls: the resolver answers as the reference."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from idmerge import Kind, Policy, Resolver, reference
from idmerge.errors import UnknownIdError
from strategies import canonicals, events, friendly_ids, ids, kinds, many_links, policies

any_ids = st.one_of(friendly_ids, ids)


class BothResolvers(RuleBasedStateMachine):
    """Every call goes to both; every answer must be the same."""

    @initialize(policy=policies, canonical=canonicals)
    def start(self, policy: Policy, canonical: Any) -> None:
        self.ours = Resolver(policy, canonical)
        self.theirs = reference.Resolver(policy, canonical)

    def both(self, call: str, *arguments: Any) -> None:
        assert self.outcome(self.ours, call, arguments) == self.outcome(self.theirs, call, arguments)

    @staticmethod
    def outcome(resolver: Any, call: str, arguments: tuple[Any, ...]) -> Any:
        try:
            return getattr(resolver, call)(*arguments)
        except UnknownIdError as error:
            return str(error)

    @rule(kind=kinds, first=any_ids, second=any_ids)
    def link(self, kind: Kind, first: str, second: str) -> None:
        self.both("link", kind, first, second)

    @rule(device=any_ids, user=any_ids)
    def associate(self, device: str, user: str) -> None:
        self.both("associate", device, user)

    @rule(links=many_links)
    def link_many(self, links: Any) -> None:
        kinds_, left, right, *_ = zip(*links, strict=True) if links else ((), (), ())
        self.both("link_many", kinds_, left, right)

    @rule(text=any_ids)
    def observe(self, text: str) -> None:
        self.both("observe", text)

    @rule(texts=st.lists(any_ids, max_size=5))
    def observe_many(self, texts: list[str]) -> None:
        self.both("observe_many", texts)

    @rule(event=events, source=st.sampled_from(["import", "track"]))
    def apply(self, event: Any, source: str) -> None:
        self.both("apply", event, source)

    @rule(stated=st.lists(events, max_size=5))
    def apply_events(self, stated: list[Any]) -> None:
        self.both("apply_events", stated)

    @rule(text=any_ids)
    def ask_about_one(self, text: str) -> None:
        for call in ("resolve", "members", "size", "__contains__"):
            self.both(call, text)

    @rule(a=any_ids, b=any_ids)
    def ask_about_two(self, a: str, b: str) -> None:
        self.both("same", a, b)

    @rule(texts=st.lists(st.one_of(any_ids, st.none()), max_size=8))
    def resolve_many(self, texts: list[Any]) -> None:
        self.both("resolve_many", texts)

    @invariant()
    def they_agree_in_sum(self) -> None:
        if hasattr(self, "ours"):
            assert len(self.ours) == len(self.theirs)
            assert self.ours.cluster_count == self.theirs.cluster_count
            assert self.ours.stats() == self.theirs.stats()
            assert self.ours.mapping().to_pydict() == self.theirs.mapping()


TestBothResolvers = BothResolvers.TestCase
