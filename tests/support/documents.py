"""The code blocks of the documents, and the output that their comments promise."""

from __future__ import annotations

import re

from paths import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str, text: str = README) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)


def promised_by(block: str) -> list[str]:
    """The output that a block promises in comments: behind a call of print, or on lines below."""
    promised, printing = [], False
    for line in block.splitlines():
        code, _, comment = line.strip().partition("# ")
        if (code.startswith("print(") and comment) or (not code and comment and printing):
            promised.append(comment)
        printing = code.startswith("print(") or (printing and not code)
    return promised
