"""Names of kinds in files: words, names of events, and numbers."""

from __future__ import annotations

from idmerge.events import Kind

_KINDS: dict[str | int, Kind] = {
    **dict.fromkeys(("identify", "$identify", "0", 0), Kind.IDENTIFY),
    **dict.fromkeys(("alias", "$create_alias", "1", 1), Kind.ALIAS),
    **dict.fromkeys(("merge", "$merge", "2", 2), Kind.MERGE),
    **dict.fromkeys(("mapping", "8", 8), Kind.MAPPING),
    **dict.fromkeys(("association", "13", 13), Kind.ASSOCIATION),
}


def kind_named(name: object) -> Kind | None:
    """Return the kind that a file calls ``name``: its word, its event's name or its number.

    Examples:
        >>> from idmerge.files import kind_named
        >>> kind_named("$create_alias"), kind_named("merge"), kind_named("unite")
        (<Kind.ALIAS: 1>, <Kind.MERGE: 2>, None)
    """
    return _KINDS.get(name) if isinstance(name, (str, int)) and not isinstance(name, bool) else None
