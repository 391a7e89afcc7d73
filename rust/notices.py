"""Writes THIRD-PARTY-NOTICES: the licences of the crates in the core, each as its authors wrote it.

    python rust/notices.py          # writes the file, after a change of Cargo.lock
    python rust/notices.py --check  # exits 1 if it is not what Cargo.lock asks for

Crates are those that `idmerge-python` depends on for any system, but for what only builds or tests
it; their texts are in the sources that cargo has fetched. The standard library's notices come with
the toolchain.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parent.parent
NOTICES = ROOT / "THIRD-PARTY-NOTICES"
CRATE = "idmerge-python"
LICENCE = re.compile(r"(un)?licen[cs]e|copying|copyright|notice", re.IGNORECASE)
FOLDER = re.compile(r"licen[cs]es?", re.IGNORECASE)
CODE = {".rs", ".toml", ".json", ".py"}
RULE = "=" * 80
APACHE = "Apache-2.0"
BLOCKS = {"p", "h1", "h2", "h3", "li", "div", "pre", "br", "details", "summary"}


class Crate(NamedTuple):
    """A crate that is linked."""

    name: str
    version: str
    licence: str
    authors: tuple[str, ...]
    repository: str
    folder: Path

    @property
    def heading(self) -> str:
        """The line by which the notices list it."""
        return f"{self.name} {self.version} ({self.licence})"


def linked() -> list[Crate]:
    """Return the crates that are linked, on whatever system, by name."""
    command = ["cargo", "metadata", "--locked", "--offline", "--format-version", "1"]
    stated = json.loads(subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout)  # noqa: S603
    packages = {package["id"]: package for package in stated["packages"]}
    needs = {node["id"]: node["deps"] for node in stated["resolve"]["nodes"]}
    waiting = [identifier for identifier, package in packages.items() if package["name"] == CRATE]
    found: set[str] = set()
    while waiting:
        identifier = waiting.pop()
        if identifier not in found:
            found.add(identifier)
            waiting += [
                need["pkg"]
                for need in needs[identifier]
                if any(kind["kind"] is None for kind in need["dep_kinds"])
            ]
    return sorted(_crate(packages[identifier]) for identifier in found if packages[identifier]["source"])


def _crate(package: dict[str, Any]) -> Crate:
    licence = (package["license"] or "see its text").replace("/", " OR ")
    folder = Path(package["manifest_path"]).parent
    authors = tuple(re.sub(r"\s*<.*?>", "", author) for author in package["authors"])
    return Crate(package["name"], package["version"], licence, authors, package["repository"] or "", folder)


def texts(crate: Crate) -> list[str]:
    """Return the licences and notices in a crate's sources."""
    files = [
        file
        for file in sorted(crate.folder.rglob("*"))
        if file.is_file()
        and file.suffix not in CODE
        and (
            (file.parent == crate.folder and LICENCE.match(file.name))
            or any(FOLDER.fullmatch(folder) for folder in file.relative_to(crate.folder).parts[:-1])
        )
    ]
    return [_tidy(file.read_text("utf-8")) for file in files]


def _tidy(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.expandtabs().splitlines()).strip("\n")


def notices(crates: list[Crate]) -> str:
    """Return the whole file."""
    found = {crate: texts(crate) for crate in crates}
    apache = Counter(text for all_of in found.values() for text in all_of if "Apache License" in text[:200])
    standard = apache.most_common(1)[0][0]
    for crate, all_of in found.items():
        if not all_of:  # The licence asks for its text; its authors have left that to the manifest.
            if APACHE not in crate.licence:
                raise SystemExit(f"{crate.heading} has no text of its licence")
            all_of.append(standard)
    numbers: dict[str, int] = {}
    for all_of in found.values():
        for text in all_of:
            numbers.setdefault(text, len(numbers) + 1)
    lines = [
        "Notices of what idmerge's compiled core links",
        RULE,
        "",
        "Rust's standard library, whose notices stand at the end, and these crates, each under the licence",
        "in brackets. Numbers say which of the texts below are theirs; where a licence offers a choice,",
        "any of them may be chosen. This file is written by rust/notices.py.",
        "",
        *(f"{count:>4}  {licence}" for licence, count in licences(crates)),
        "",
    ]
    for crate, all_of in found.items():
        places = ", ".join(str(number) for number in sorted({numbers[text] for text in all_of}))
        lines.append(f"{crate.heading}: {places}")
        lines += [f"    by {', '.join(crate.authors)}"] if crate.authors else []
        lines += [f"    {crate.repository}"] if crate.repository else []
    for text, number in numbers.items():
        lines += ["", RULE, f"{number}", RULE, "", text]
    lines += ["", RULE, "Rust's standard library", RULE, "", _of_the_standard_library()]
    return "\n".join(lines) + "\n"


def licences(crates: list[Crate]) -> list[tuple[str, int]]:
    """Return how many crates have each licence, the commonest first."""
    counts = Counter(crate.licence for crate in crates)
    return sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))


class _Text(HTMLParser):
    """The text of a page, a line a block."""

    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []
        self._verbatim = 0

    def handle_starttag(self, tag: str, _attributes: Any) -> None:
        self._verbatim += tag == "pre"
        self.parts.append("\n" if tag in BLOCKS else "")

    def handle_endtag(self, tag: str) -> None:
        self._verbatim -= tag == "pre"
        self.parts.append("\n" if tag in BLOCKS else "")

    def handle_data(self, data: str) -> None:
        self.parts.append(data if self._verbatim else re.sub(r"\s+", " ", data))


def _of_the_standard_library() -> str:
    """Return the notices that the toolchain has of the standard library and of what that links."""
    command = ["rustc", "--print", "sysroot"]
    root = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True).stdout.strip()  # noqa: S603
    page = _Text()
    page.feed((Path(root) / "share/doc/rust/COPYRIGHT-library.html").read_text("utf-8"))
    return re.sub(r"\n\s*\n+", "\n\n", _tidy("".join(page.parts)))


def listed(text: str) -> set[str]:
    """Return the headings of the crates that the notices ``text`` lists."""
    return set(re.findall(r"^(\S+ \S+ \(.+\)): [\d, ]+$", text, re.MULTILINE))


def main(arguments: list[str]) -> int:
    """Write the notices, or check which crates they list."""
    crates = linked()
    if arguments == ["--check"]:
        differing = {crate.heading for crate in crates} ^ listed(NOTICES.read_text("utf-8"))
        sys.stderr.write("".join(f"not as in Cargo.lock: {heading}\n" for heading in sorted(differing)))
        return int(bool(differing))
    NOTICES.write_text(notices(crates), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
