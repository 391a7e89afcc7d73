"""Everything that a resolver answers, for comparison with another one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from idmerge import Resolver, reference


def state(resolver: Resolver | reference.Resolver) -> dict[str, Any]:
    """Everything that a resolver says of itself."""
    mapping = resolver.mapping()
    columns = mapping if isinstance(mapping, dict) else mapping.to_pydict()
    known = columns["distinct_id"]
    return {
        "mapping": columns,
        "members": [resolver.members(text) for text in known],
        "sizes": [resolver.size(text) for text in known],
        "resolved": [resolver.resolve(text) for text in known],
        "len": len(resolver),
        "clusters": resolver.cluster_count,
        "stats": resolver.stats(),
    }
