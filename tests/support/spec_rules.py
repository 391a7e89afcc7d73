"""The rules of docs/SPEC.md by their addresses, and the tests that name them.

An address is the number of a section, and behind a full stop what the section calls the rule: the
number of a step (``2.3``), below the kind of link if each kind has its own (``2.identify.6``); the
bold words that open a paragraph (``9.as known``); or the name in the first cell of a table, without
quotes and the dollar (``5.stable``, ``10.set_once``).
"""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from paths import DOCS, ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

SPEC = (DOCS / "SPEC.md").read_text(encoding="utf-8")
_SECTION = re.compile(r"## (\d+)\. ")
_KIND = re.compile(r"`\$?(\w+)\(")
_STEP = re.compile(r"(\d+)\. ")
_BOLD = re.compile(r"(?:- )?\*\*(.+?)\*\*")
_ROW = re.compile(r'\| `"?\$?([\w ]+?)"?` ')


def rules(text: str = SPEC) -> list[str]:
    """Return the addresses of the rules in ``text``, in order; a section is before its rules."""
    found: list[str] = []
    section = kind = ""
    for line in text.splitlines():
        if opened := _SECTION.match(line):
            section, kind = opened[1], ""
            found.append(section)
        elif line.startswith("#"):
            kind = ""
        elif named := _KIND.match(line):
            kind = f"{named[1]}."
        elif section:
            if step := _STEP.match(line):
                found.append(f"{section}.{kind}{step[1]}")
            elif named := _BOLD.match(line) or _ROW.match(line):
                found.append(f"{section}.{named[1].rstrip('.,').lower()}")
    return found


def covers(address: str, rule: str) -> bool:
    """Whether a test of the rule at ``address`` is one of ``rule``: the same, or a part of it."""
    return address == rule or address.startswith(f"{rule}.")


def named_by_tests() -> Iterator[tuple[str, str]]:
    """Yield the address in each mark ``rule``, with the path of its file."""
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.rule":
                for address in node.args:
                    assert isinstance(address, ast.Constant), f"{path}:{node.lineno}"
                    yield str(address.value), str(path.relative_to(ROOT))
