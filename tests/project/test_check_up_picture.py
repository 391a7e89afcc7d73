"""The picture of a check-up in docs/ is what the doctor's page shows now.

``python tests/support/check_up_picture.py`` draws it anew.
"""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

from check_up_picture import PICTURE, drawn


def test_the_picture_is_the_beginning_of_the_page_as_it_is_now() -> None:
    assert PICTURE.read_text(encoding="utf-8") == drawn()


def test_the_picture_is_xml_that_loads_nothing() -> None:
    root = ET.fromstring(drawn())  # noqa: S314 - our own
    tags = {element.tag.rpartition("}")[2] for element in root.iter()}
    assert {"foreignObject", "body", "h1", "article"} <= tags
    assert not tags & {"script", "img", "link", "iframe", "object", "a", "form", "meta"}
    assert not re.search(r"url\(|@import|https?:(?!//www\.w3\.org/)", drawn())
    assert [article.get("class") for article in root.iter("{http://www.w3.org/1999/xhtml}article")] == [
        "error"
    ]
