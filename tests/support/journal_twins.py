"""A resolver with a journal beside the reference, and generators of the steps that both take."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

from hypothesis import strategies as st

from idmerge import DurableResolver, Kind, Link, Outcome, Policy, reference
from idmerge.errors import UnknownIdError
from idmerge.events import SENT_ID
from idmerge.journal import commit as commit_module
from strategies import friendly_ids, ids, kinds

_links = st.builds(
    Link,
    kinds,
    friendly_ids,
    friendly_ids,
    st.sampled_from(["import", "import", "track"]),
    st.sampled_from([None, None, None, "errManyIDs"]),
)
_any_links = st.builds(Link, kinds, ids, ids, st.just("import"))


def _rewritten(distinct_id: str, sent: str) -> dict[str, Any]:
    return {"event": "Buy", "properties": {"distinct_id": distinct_id, SENT_ID: sent}}


blocks = st.sampled_from([1, 30, 100, 300])
"""Bytes behind which a commit goes on in another batch."""

offsets = st.dictionaries(st.sampled_from("abc"), st.one_of(st.none(), st.integers(0, 3), st.just("x")))

steps = st.lists(
    st.one_of(
        st.tuples(st.just("link"), st.one_of(_links, _links, _any_links)),
        st.tuples(st.just("link"), st.builds(Link, st.just(Kind.MERGE), friendly_ids, friendly_ids)),
        st.tuples(st.just("observe"), friendly_ids),
        st.tuples(st.just("apply"), st.builds(_rewritten, friendly_ids, friendly_ids)),
        st.tuples(st.just("keep_apart"), friendly_ids, friendly_ids),
        st.tuples(st.just("forget"), friendly_ids),
        st.tuples(st.just("retract"), st.integers(0, 30)),
        st.tuples(st.just("commit")),
        st.tuples(st.just("commit"), offsets),
        st.tuples(st.just("block"), blocks),
        st.tuples(st.just("reopen")),
        st.tuples(st.just("compact")),
        st.tuples(st.just("checkpoint")),
    ),
    max_size=30,
)
"""Steps of a resolver with a journal, in order; both twins refuse what is not possible."""


@dataclass
class Twins:
    """A resolver with a journal and the reference's, told the same."""

    path: Any
    policy: Policy
    canonical: Any
    history: bool = True
    ours: DurableResolver = field(init=False)
    theirs: reference.Resolver = field(init=False)
    judged: list[Outcome] = field(default_factory=list)
    offsets: dict[str, int | str] = field(default_factory=dict)
    block: int = commit_module.BLOCK
    """Bytes behind which a commit goes on in another batch."""

    def __post_init__(self) -> None:
        self.ours = DurableResolver.open(self.path, self.policy, self.canonical, history=self.history)
        self.theirs = reference.Resolver(self.policy, self.canonical)

    def tell(self, name: str, *arguments: Any) -> None:
        if name == "block":
            (self.block,) = arguments
            return
        with patch.object(commit_module, "BLOCK", self.block):
            self._tell(name, *arguments)

    def _tell(self, name: str, *arguments: Any) -> None:
        if name == "commit":
            stated: dict[str, int | str | None] = arguments[0] if arguments else {}
            self.ours.commit(stated or None)
            moved = {**self.offsets, **stated}
            self.offsets = {source: at for source, at in moved.items() if at is not None}
            assert self.ours.offsets == self.offsets
        elif name == "compact":
            self.ours.compact()
        elif name == "checkpoint":
            self.ours.commit()
            self.ours.checkpoint()
        elif name == "reopen":
            self.ours.commit()
            self.ours.close()
            self.ours = DurableResolver.open(self.path, history=self.history)
            assert self.ours.offsets == self.offsets
        elif name == "link":
            (link,) = arguments
            assert self.ours.link(*link) is self.theirs.link(*link)
        else:
            said = [_answer(getattr(resolver, name), *arguments) for resolver in (self.ours, self.theirs)]
            assert said[0] == said[1]


def _answer(method: Any, *arguments: Any) -> type[Exception] | None:
    try:
        method(*arguments)
    except (UnknownIdError, ValueError) as error:
        return type(error)
    return None
