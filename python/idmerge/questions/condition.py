"""A condition on events, as a caller writes it: one SQL expression over their columns.

DuckDB's own parser takes it apart, before any event is read: a subquery or a second statement is
refused there, and each name of a column is found where it stands, so that it can be written anew as
a statement needs it (a property in ``properties``, a column whose name differs in case alone).
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from idmerge.errors import QuestionError
from idmerge.questions.columns import quoted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import duckdb

TABLE = "events"
LONGEST = 10_000
"""Characters of a condition."""
SERIALIZE = "SELECT CAST(json_serialize_sql(?) AS VARCHAR)"
BARE, ENCLOSED = "SELECT ", "SELECT (\n"
ONE_EXPRESSION = "it must be one expression, without subqueries and parameters"
VOLATILE = "SELECT DISTINCT function_name FROM duckdb_functions() WHERE stability = 'VOLATILE'"
"""The functions whose value is another one each time, or that do something."""
EMPTY: tuple[object, ...] = (None, [], {"map": []})
VALUES = frozenset({"current_date", "current_time", "current_timestamp", "localtime", "localtimestamp"})
"""Names that stand for no column, unless there is one."""

_WORD = re.compile(rb'"(?:[^"]|"")*"|[A-Za-z_\x80-\xff][\w$\x80-\xff]*')
_DOT = re.compile(rb"\s*\.\s*")


class Reference(NamedTuple):
    """The place of a column's name in a condition, in bytes of UTF-8."""

    name: str
    start: int
    end: int


class Condition(NamedTuple):
    """An expression, and the names of columns in it."""

    text: str
    references: tuple[Reference, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The names, each once, but for those that may stand for no column."""
        names = dict.fromkeys(reference.name for reference in self.references)
        return tuple(name for name in names if name not in {*VALUES, TABLE})

    def written(self, term_of: Callable[[str], str | None]) -> str:
        """Return the expression with the term of each name in its place, if it has one."""
        text, pieces, end = self.text.encode(), [], 0
        for name, start, stop in self.references:
            term = term_of(name)
            if term is not None:
                pieces += [text[end:start], term.encode()]
                end = stop
        return b"".join([*pieces, text[end:]]).decode()


def parsed(connection: duckdb.DuckDBPyConnection, text: str) -> Condition:
    """Return the condition that ``text`` states.

    Raises:
        QuestionError: It is not one expression.
    """
    if len(text) > LONGEST:
        raise QuestionError(f"where: {ONE_EXPRESSION} of {LONGEST:,} characters at most, got {len(text):,}")
    _expression(connection, text, BARE, "\n")
    whole = _expression(connection, text, ENCLOSED, "\n)")
    _check_functions(connection, text, whole)
    own = text.encode()
    found = []
    for parts, location in _names(whole, frozenset()):
        start = location - len(ENCLOSED)
        words = _words(own, start, len(parts)) if 0 <= start < len(own) else []
        if [_unquoted(word[0].decode()).lower() for word in words] == [part.lower() for part in parts]:
            name = ".".join(parts[1:] if len(parts) > 1 and parts[0].lower() == TABLE else parts)
            found.append(Reference(name, start, words[-1].end()))
    return Condition(text, tuple(sorted(set(found), key=lambda reference: reference.start)))


def _expression(connection: duckdb.DuckDBPyConnection, text: str, before: str, behind: str) -> dict[str, Any]:
    """Return the syntax tree of ``text`` between two pieces of a statement."""
    [(written,)] = connection.execute(SERIALIZE, [f"{before}{text}{behind}"]).fetchall()
    try:
        answer = json.loads(written)
    except RecursionError as error:
        raise QuestionError(f"where {quoted(text)} is nested too deep") from error
    if answer["error"]:
        raise QuestionError(f"where {quoted(text)} is no SQL expression: {answer['error_message']}")
    statements = [statement["node"] for statement in answer["statements"]]
    is_one = len(statements) == 1 and statements[0]["type"] == "SELECT_NODE"
    if not is_one or len(statements[0]["select_list"]) != 1 or _has_more(statements[0]):
        raise QuestionError(f"where {quoted(text)}: {ONE_EXPRESSION}")
    expression: dict[str, Any] = statements[0]["select_list"][0]
    if expression["alias"] or any(
        node.get("class") in {"SUBQUERY", "PARAMETER", "STAR"} for node in _nodes(expression)
    ):
        raise QuestionError(f"where {quoted(text)}: {ONE_EXPRESSION}")
    return expression


def _check_functions(connection: duckdb.DuckDBPyConnection, text: str, expression: dict[str, Any]) -> None:
    """Check that the events alone decide: several statements read them, and must read the same.

    Raises:
        QuestionError: A function is called by which they could differ.
    """
    called = [node["function_name"] for node in _nodes(expression) if node.get("class") == "FUNCTION"]
    if not called:
        return
    volatile = {name for (name,) in connection.execute(VOLATILE).fetchall()}
    found = next((name for name in called if name.lower() in volatile), None)
    if found is not None:
        raise QuestionError(f"where {quoted(text)}: {found}() depends on more than the event")


def _has_more(node: dict[str, Any]) -> bool:
    """Return whether a SELECT has more than its list."""
    kept = {key: value for key, value in node.items() if key not in {"type", "select_list"}}
    if kept.pop("from_table")["type"] != "EMPTY" or kept.pop("aggregate_handling") != "STANDARD_HANDLING":
        return True
    return any(value not in EMPTY for value in kept.values())


def _nodes(tree: Any) -> Iterator[dict[str, Any]]:
    """Yield every object of a syntax tree, without recursion, which its depth could exhaust."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            yield node
            waiting += node.values()
        elif isinstance(node, list):
            waiting += node


def _words(text: bytes, start: int, count: int) -> list[re.Match[bytes]]:
    """Return so many words with dots between them."""
    words: list[re.Match[bytes]] = []
    while len(words) < count and (word := _WORD.match(text, start)) is not None:
        words.append(word)
        dot = _DOT.match(text, word.end())
        start = len(text) if dot is None else dot.end()
    return words


def _names(tree: Any, bound: frozenset[str]) -> Iterator[tuple[list[str], int]]:
    """Yield the parts of each column's name, and its place; parameters of lambdas are none."""
    waiting = [(tree, bound)]
    while waiting:
        node, known = waiting.pop()
        if isinstance(node, list):
            waiting += [(child, known) for child in node]
        elif isinstance(node, dict):
            if node.get("class") == "LAMBDA" and "lhs" in node:
                parameters = (child.get("column_names") or [] for child in _nodes(node["lhs"]))
                known |= {name for names in parameters for name in names}
            elif node.get("class") == "COLUMN_REF" and node["column_names"][0] not in known:
                yield node["column_names"], node["query_location"]
            waiting += [(child, known) for child in node.values()]


def _unquoted(word: str) -> str:
    return word[1:-1].replace('""', '"') if word.startswith('"') else word
