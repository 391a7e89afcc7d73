"""The picture of a check-up in docs/; run as a program, it draws that anew.

python tests/support/check_up_picture.py

It is the beginning of the page of `idmerge doctor examples/shop.ndjson`, within an SVG: the numbers
and the first finding, in the page's own style, light or dark. The height is what these take with
wide fonts.
"""

from __future__ import annotations

from html import escape
from html.parser import HTMLParser

from idmerge.doctor import examine
from paths import DOCS, EXAMPLES

PICTURE = DOCS / "check-up.svg"
WIDTH, HEIGHT = 880, 630
FINDINGS = 1
LEFT_OUT = {"charts", "missing"}
"""Classes of parts that the picture has no room for."""
VOID = {"meta"}
SHAPE = ".cards { grid-template-columns: repeat(6, 1fr) !important }"
"""The page's look in a wide window, however wide the picture is shown."""


class Excerpt(HTMLParser):
    """Writes the style and the body of a page as XML, without the parts that are left out."""

    def __init__(self) -> None:
        super().__init__()
        self.style: list[str] = []
        self.body: list[str] = []
        self._open: list[str] = []
        self._outside = 0
        """Elements that are open from the outermost one on that is left out."""
        self._findings = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in VOID:
            return
        self._open.append(tag)
        self._findings += tag == "article"
        classes = {*(dict(attrs).get("class") or "").split()}
        is_left_out = bool(classes & LEFT_OUT) or (tag == "article" and self._findings > FINDINGS)
        if self._outside or is_left_out:
            self._outside += 1
        elif "body" in self._open[:-1]:
            given = "".join(f' {name}="{escape(value or "")}"' for name, value in attrs if name != "id")
            self.body.append(f"<{tag}{given}>")

    def handle_endtag(self, tag: str) -> None:
        if self._open.pop() != tag:
            raise AssertionError(tag)
        if self._outside:
            self._outside -= 1
        elif "body" in self._open:
            self.body.append(f"</{tag}>")

    def handle_data(self, data: str) -> None:
        if "style" in self._open:
            self.style.append(data)
        elif "body" in self._open and not self._outside:
            self.body.append(escape(data, quote=False))


def drawn() -> str:
    """Return the picture."""
    diagnosis = examine(EXAMPLES / "shop.ndjson")
    page = Excerpt()
    page.feed(diagnosis.html().replace(str(EXAMPLES), EXAMPLES.name))
    findings = "; ".join(finding.title for finding in diagnosis.findings[:FINDINGS])
    return f"""\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" \
role="img" aria-labelledby="title description">
<title id="title">The beginning of a check-up of a shop's events</title>
<desc id="description">{escape(findings)}</desc>
<style>{escape("".join(page.style), quote=False)}{SHAPE}</style>
<foreignObject width="{WIDTH}" height="{HEIGHT}">
<body xmlns="http://www.w3.org/1999/xhtml" style="height: {HEIGHT}px">{"".join(page.body).strip()}
</body>
</foreignObject>
</svg>
"""


if __name__ == "__main__":
    PICTURE.write_text(drawn(), encoding="utf-8")
