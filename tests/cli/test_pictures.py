"""Pictures of clusters: their content, their legibility, and IDs that try to do harm in them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from html.parser import HTMLParser
from itertools import combinations
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from command_line import run
from idmerge import DurableResolver, Kind, Outcome, Policy, Resolver
from idmerge._formatting import shortened
from idmerge.pages.clusters import page
from idmerge.pages.diagram import svg
from idmerge.pages.graph import MOST_NODES, Cluster, Graph, Role, graph_of
from idmerge.pages.layout import Layout, laid_out
from idmerge.pages.rules import RULES

ANY = Policy.unrestricted()
D1 = "5f0c1e2a-7b3d-4c58-9a61-2e8f4d7b9c03"
D2 = "b81d64f7-0a92-4e3b-8c5d-71f6a3e0d294"
HOSTILE = [
    "<script>alert(1)</script>",
    "</title></svg><script>alert(2)</script>",
    "\"' onload='alert(3)' x=\"",
    "]]><!--",
    "&lt;b&gt;&amp;&#60;",
    "nul\0 bell\a escape\x1b[2J\r\n\t",
    "$x_{1}$ and $\\frac{1}{0}$",
    "עברית \u202egnp.exe",
    "العربية",
    "𝄞 \U0001f98a",
    "x" * 255,
    " ",
    "日本" * 60,
]


def device(draw: Random) -> str:
    return str(UUID(int=draw.getrandbits(128), version=4))


def grown(count: int, seed: int, star: float = 0.5, name: str = "user") -> Cluster:
    """Return a cluster of ``count`` IDs: users, their devices and aliases, merges between users."""
    draw = Random(seed)
    resolver = Resolver(ANY, history=True)
    users = [f"{name}-{draw.randrange(10 ** draw.randrange(3, 12))}"]
    resolver.identify(device(draw), users[0])
    while len(resolver) < count:
        user = users[0] if draw.random() < star else draw.choice(users)
        kind = draw.random()
        if kind < 0.15:
            users.append(f"{name}-{draw.randrange(10**6)}@example.com")
            resolver.merge(user, users[-1])
        elif kind < 0.25:
            resolver.alias(f"crm:{draw.randrange(10**9)}", user)
        else:
            resolver.identify(draw.choice(["", "$device:"]) + device(draw), user)
    links = resolver.explain(users[0]) or []
    return Cluster(resolver.resolve(users[0]), resolver.members(users[0]), links)


def drawn(cluster: Cluster, **options: Any) -> Graph:
    return graph_of("A cluster", [cluster], **options)


def labelled_nodes(layout: Layout) -> set[int]:
    names = (name for name in layout.labels.placed if name.startswith("node-"))
    return {int(name.removeprefix("node-")) for name in names}


# That they can be read


@settings(max_examples=40)
@given(st.integers(2, 30), st.integers(0, 10**6), st.sampled_from([0.0, 0.5, 1.0]))
def test_up_to_thirty_ids_all_have_a_label_and_none_covers_another(
    count: int, seed: int, star: float
) -> None:
    shown = drawn(grown(count, seed, star))
    layout = laid_out(shown)
    assert labelled_nodes(layout) == set(range(len(shown.nodes)))
    assert len(layout.labels.placed) == len(shown.nodes) + len(shown.edges)
    boxes = [label.box for label in layout.labels.placed.values()]
    boxes += [layout.box_of(node) for node in range(len(shown.nodes))]
    for one, other in combinations(boxes, 2):
        assert (
            one.right <= other.left
            or other.right <= one.left
            or one.high <= other.low
            or other.high <= one.low
        )


def test_of_five_hundred_ids_only_the_canonical_and_identified_ones_have_labels() -> None:
    shown = drawn(grown(500, 1))
    layout = laid_out(shown)
    labelled = labelled_nodes(layout)
    roles = {shown.nodes[node].role for node in labelled if not shown.nodes[node].is_canonical}
    assert roles == {Role.IDENTIFIED}
    assert any(shown.nodes[node].is_canonical for node in labelled)
    assert not any(name.startswith("link-") for name in layout.labels.placed)


@pytest.mark.parametrize("count", [31, 60, 120, 500])
def test_nodes_of_large_clusters_do_not_hide_each_other(count: int) -> None:
    shown = drawn(grown(count, count))
    layout = laid_out(shown)
    nodes = sorted(layout.nodes)
    size = layout.style.marker / 72
    hidden = sum(
        abs(one[0] - other[0]) < size / 2 and abs(one[1] - other[1]) < size / 2
        for one, other in combinations(nodes, 2)
    )
    assert hidden <= count / 50


def test_a_chain_of_five_hundred_winds_rather_than_run_off_the_page() -> None:
    resolver = Resolver(ANY, history=True)
    for number in range(499):
        resolver.merge(f"u{number}", f"u{number + 1}")
    layout = laid_out(drawn(Cluster("u0", resolver.members("u0"), resolver.explain("u0") or [])))
    sides = [
        max(place[axis] for place in layout.nodes) - min(place[axis] for place in layout.nodes)
        for axis in (0, 1)
    ]
    assert max(sides) < 4 * min(sides)
    assert max(sides) < 30


@pytest.mark.parametrize(
    ("text", "label"),
    [
        (D1, "5f0c1e2a…"),
        (f"$device:{D1}", "$device:5f0c1e2a…"),
        ("ada@example.com", "ada@example.com"),
        ("ada.lovelace@example.com", "ada.lovelace@…le.com"),
        ("a\x1b", r"'a\x1b'"),
        ("x" * 10_000, "x" * 13 + "…" + "x" * 6),
    ],
)
def test_a_label_is_short(text: str, label: str) -> None:
    assert shortened(text) == label


# What they show


def journal(*links: tuple[str, str, str]) -> str:
    with DurableResolver.open("ids") as resolver:
        for kind, first, second in links:
            resolver.link(Kind[kind.upper()], first, second)
        resolver.commit()
    return "ids"


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def ids() -> str:
    return journal(
        ("identify", D1, "ada"),  # 0
        ("alias", "crm-1", "ada"),  # 1
        ("identify", D2, "grace"),  # 2
        ("identify", D1, "grace"),  # 3: ANON_CLAIMED
        ("merge", "ada", "zoe"),  # 4
    )


def parsed(path: str) -> Any:
    return ET.parse(path).getroot()  # noqa: S314 - our own


def groups(path: str) -> dict[str, Any]:
    """Return the groups of an SVG by their names."""
    root = parsed(path)
    return {str(group.get("id")): group for group in root.iter("{http://www.w3.org/2000/svg}g")}


def title_of(group: Any) -> str:
    return str(group.find("{http://www.w3.org/2000/svg}title").text)


def test_the_links_say_what_an_id_is() -> None:
    resolver = Resolver(ANY, history=True)
    resolver.identify("device", "user")
    resolver.alias("alias", "user")
    resolver.merge("user", "other")
    resolver.merge("other", D1)
    resolver.alias("user", "later")
    shown = drawn(Cluster("user", resolver.members("user"), resolver.explain("user") or []))
    assert {node.text: node.role.value for node in shown.nodes} == {
        "device": "anonymous",
        "user": "identified",
        "alias": "alias",
        "other": "other",
        D1: "anonymous",
        "later": "other",
    }


def test_every_id_and_every_link_has_its_title(ids: str) -> None:
    run("show", "ada", ids, "--svg", "x.svg")
    titles = {name: title_of(group) for name, group in groups("x.svg").items() if re.match("node|link", name)}
    assert {title for name, title in titles.items() if name.startswith("node")} == {
        f"{D1} (anonymous)",
        "ada (identified, canonical ID)",
        "crm-1 (alias)",
        "zoe (other)",
    }
    assert sorted(name for name in titles if name.startswith("link")) == ["link-0", "link-1", "link-4"]
    assert titles["link-1"].startswith("alias at position 1, ")
    assert titles["link-1"].endswith("MERGED: crm-1 → ada")


def test_rejected_links_are_dashed_and_red_between_both_clusters(ids: str) -> None:
    run("why", "ada", "grace", ids, "--svg", "x.svg")
    found = groups("x.svg")
    texts = {title_of(found[name]).split(" ")[0] for name in found if name.startswith("node")}
    assert texts == {D1, "ada", "crm-1", "zoe", D2, "grace"}
    rejected = ET.tostring(found["link-3"], encoding="unicode")
    assert "stroke: #d62728" in rejected
    assert "stroke-dasharray" in rejected
    assert "ANON_CLAIMED" in title_of(found["link-3"])
    assert "#d62728" not in ET.tostring(found["link-0"], encoding="unicode")


def test_the_chain_is_highlighted_and_nothing_else(ids: str) -> None:
    run("why", "crm-1", "zoe", ids, "--svg", "x.svg", "--html", "x.html")
    highlighted = Path("x.svg").read_text(encoding="utf-8").count("stroke: #ffd54a; stroke-width: 7.5")
    assert highlighted == 2
    rows = re.findall(r'<tr class="(\w+)"><td><bdi>(\d+)', Path("x.html").read_text(encoding="utf-8"))
    assert rows == [("accepted", "0"), ("chain", "1"), ("chain", "4")]


def test_links_between_the_same_ids_do_not_hide_each_other() -> None:
    ids = journal(("identify", D1, "ada"), *[("identify", D1, "grace")] * 3)
    with DurableResolver.open(ids, read_only=True) as resolver:
        clusters = [
            Cluster(name, resolver.members(name), resolver.explain(name) or []) for name in ("ada", "grace")
        ]
        rejected = resolver.why_not("ada", "grace")
    bends = laid_out(graph_of("Apart", clusters, rejected=rejected)).bends
    assert len(set(bends[1:])) == 3


def test_a_link_that_was_tried_a_thousand_times_is_drawn_a_few_times() -> None:
    ids = journal(("identify", D1, "ada"), *[("identify", D1, "grace")] * 6000)
    run("why", D1, "grace", ids, "--html", "x.html")
    text = Path("x.html").read_text(encoding="utf-8")
    assert text.count('id="link-') == 1 + 5
    assert "without 5,995 links between the same IDs" in text
    assert "6,001 links, the first 5,000 of them here" in text
    assert text.count("<tr") == 1 + 5000


def test_a_forgotten_id_keeps_its_place_without_its_name(ids: str) -> None:
    run("forget", "ada", ids, "--confirm")
    run("show", D1, ids, "--svg", "x.svg")
    titles = [title_of(group) for name, group in groups("x.svg").items() if name.startswith("node")]
    assert "1 forgotten ID (forgotten)" in titles
    assert len(titles) == 4
    assert b"ada" not in Path("x.svg").read_bytes()


def test_an_id_without_links_is_drawn_alone() -> None:
    with DurableResolver.open("ids") as resolver:
        resolver.observe("lonely")
        resolver.commit()
    run("show", "lonely", "ids", "--svg", "x.svg", "--html", "x.html")
    assert [title_of(group) for name, group in groups("x.svg").items() if name.startswith("node")] == [
        "lonely (other, canonical ID)"
    ]


def test_of_a_giant_cluster_the_nearest_ids_and_the_chain_are_drawn() -> None:
    resolver = Resolver(ANY, history=True)
    for number in range(2000):
        resolver.merge(f"u{number // 2}", f"u{number}")
    ends = ("u1999", "u1500")
    chain = resolver.explain(*ends)
    assert chain is not None
    cluster = Cluster("u0", resolver.members("u0"), resolver.explain("u0") or [])
    shown = drawn(cluster, chain=chain, requested=ends)
    assert len(shown.nodes) == MOST_NODES
    assert shown.hidden == 2000 - MOST_NODES
    assert {edge.link.position for edge in shown.edges if edge.is_in_chain} == {
        link.position for link in chain
    }
    assert len(shown.edges) == MOST_NODES - 1


def test_what_is_drawn_of_a_giant_cluster_hangs_together_however_far_apart_it_is() -> None:
    resolver = Resolver(ANY, history=True)
    resolver.identify("u0", "ada")
    for number in range(2000):
        resolver.merge(f"u{number}", f"u{number + 1}")
        resolver.alias(f"a{number}", "ada")
    cluster = Cluster("ada", resolver.members("ada"), resolver.explain("ada") or [])
    for far in (50, 1990):
        shown = drawn(cluster, requested=[f"u{far}"])
        assert len(shown.nodes) == MOST_NODES
        assert len(shown.edges) == MOST_NODES - 1
        assert any(node.is_requested for node in shown.nodes)
        assert any(node.is_canonical for node in shown.nodes) == (far == 50)


def test_of_a_giant_cluster_forgotten_ids_are_drawn_where_they_are_near() -> None:
    with DurableResolver.open(":memory:", ANY) as resolver:
        for number in range(1000):
            resolver.merge(f"u{number // 2}", f"u{number}")
        resolver.forget("u7")
        resolver.forget("u900")
        resolver.commit()
        links = resolver.explain("u1")
        assert links is not None
        cluster = Cluster(resolver.resolve("u1"), resolver.members("u1"), links)
    shown = drawn(cluster, requested=["u15"])
    assert [node.text for node in shown.nodes if node.role is Role.FORGOTTEN] == ["2 forgotten IDs"]
    assert laid_out(shown).nodes


# That no ID can do harm


class Tags(HTMLParser):
    """Collects the tags, the attributes and the texts of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.links: list[str] = []
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.links += [str(value) for name, value in attrs if name.endswith(("href", "src"))]

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def pages() -> Iterator[bytes]:
    """Yield pictures of hostile IDs, together and apart."""
    with DurableResolver.open("hostile", ANY) as resolver:
        for text in HOSTILE:
            resolver.merge(HOSTILE[0], text)
        resolver.keep_apart(HOSTILE[0], "other")
        for text in HOSTILE:
            resolver.alias(text, "other")
        resolver.commit()
    run("why", HOSTILE[1], HOSTILE[-1], "hostile", "--html", "x.html", "--svg", "x.svg")
    yield Path("x.html").read_bytes()
    run("why", HOSTILE[1], "other", "hostile", "--html", "x.html", "--svg", "y.svg")
    yield Path("x.html").read_bytes()


def test_a_large_star_is_summed_up_by_day_with_its_picture_on_request() -> None:
    few, many = (page(drawn(grown(count, 1, star=1.0)), RULES).decode() for count in (30, 300))
    assert "<details>" not in few
    assert "<figure>" in few
    found = re.search(r"<h2>(user-\d+) and (\d+) devices", many)
    assert found is not None
    cluster = grown(300, 1, star=1.0)
    times = Counter(end for link in cluster.links for end in (link.first, link.second))
    arms = [link.first for link in cluster.links if link.second == found[1] and times[link.first] == 1]
    assert int(found[2]) == sum(_is_device(end) for end in arms if end is not None)
    summary, _, rest = many.partition("<details>")
    assert "<figure>" not in summary
    assert "<figure>" in rest
    assert ">in no journal<" in summary


def _is_device(text: str) -> bool:
    return len(text.removeprefix("$device:")) == 36


def test_a_star_beyond_what_is_drawn_is_counted_in_full() -> None:
    resolver = Resolver(Policy.unrestricted(), history=True)
    draw = Random(1)
    for _ in range(1000):
        resolver.identify(device(draw), "ana")
    cluster = Cluster(resolver.resolve("ana"), resolver.members("ana"), resolver.explain("ana") or [])
    content = page(drawn(cluster), RULES).decode()
    assert "<h2>ana and 1,000 devices" in content
    assert f"The picture, with {MOST_NODES} of 1,001 IDs" in content


def test_a_page_says_its_title_once_and_what_is_not_drawn() -> None:
    shown = drawn(grown(40, 1))
    content = page(shown, RULES).decode()
    assert content.count("A cluster") == 2  # The window's title, and the heading.
    assert f'<p class="sources">{len(shown.nodes)} IDs · {len(shown.links)} links</p>' in content
    assert "A cluster" in svg(shown).decode()


def test_a_page_holds_hostile_ids_as_text_and_needs_nothing_else() -> None:
    for content in pages():
        tags = Tags()
        tags.feed(content.decode())
        html = {
            "html",
            "head",
            "meta",
            "title",
            "style",
            "body",
            "header",
            "main",
            "h1",
            "figure",
            "p",
            "section",
            "table",
            "tr",
            "th",
            "td",
            "bdi",
        }
        assert tags.tags <= html | {"svg", "g", "path", "defs", "use", "text", "clippath", "rect"}
        assert not any(name.startswith("on") for name in tags.attributes)
        assert all(link.startswith("#") for link in tags.links)
        for text in HOSTILE:
            shown = text if text.isprintable() and text.strip() else ascii(text)
            assert sum(shown in found for found in tags.texts) >= 2, text
        assert not any(bytes([code]) in content for code in range(32) if code != 10)
        assert "\u202e" not in content.decode()


def test_an_svg_of_hostile_ids_is_well_formed_and_titled() -> None:
    list(pages())
    for path in ("x.svg", "y.svg"):
        titles = [title_of(group) for name, group in groups(path).items() if name.startswith("node")]
        for text in HOSTILE:
            shown = text if text.isprintable() and text.strip() else ascii(text)
            assert any(title.startswith(f"{shown} (") for title in titles), text
        assert "script" not in {element.tag.rpartition("}")[2] for element in parsed(path).iter()}


def test_an_id_longer_than_anybody_reads_is_cut_and_says_so() -> None:
    giant = "x" * 10**5
    with DurableResolver.open("ids", ANY) as resolver:
        resolver.merge("a", giant)
        resolver.commit()
    for command in (["show", giant, "ids"], ["why", "a", giant, "ids"]):
        run(*command, "--html", "x.html")
        content = Path("x.html").read_text(encoding="utf-8")
        assert len(content) < 50_000
        assert "… (100,000 characters)" in content
        width = re.search(r'<svg[^>]* width="(\d+)', content)
        assert width is not None
        assert int(width[1]) < 1000


# That they are always the same


def test_the_same_scene_gives_the_same_bytes_whatever_the_settings(ids: str) -> None:
    Path("matplotlibrc").write_text(
        "svg.fonttype: path\nfont.size: 30\nlines.linewidth: 9\n", encoding="utf-8"
    )
    drawings = set()
    for seed in ("0", "1", "2"):
        command = [sys.executable, "-m", "idmerge", "why", "ada", "grace", ids, "--html", f"{seed}.html"]
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        if seed == "2":
            environment["MATPLOTLIBRC"] = "matplotlibrc"
        subprocess.run(command, check=True, env=environment, capture_output=True)
        drawings.add(Path(f"{seed}.html").read_bytes())
    assert len(drawings) == 1
    (drawing,) = drawings
    assert b"<metadata" not in drawing


def test_two_large_clusters_are_drawn_side_by_side() -> None:
    clusters = [grown(150, 1, name="a"), grown(150, 2, name="b")]
    assert svg(graph_of("Apart", clusters)).count(b"<title>") == 598


# What stands in the way


@pytest.mark.parametrize("missing", ["matplotlib", "scipy"])
def test_without_what_draws_one_line_says_what_to_install(
    ids: str, missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    result = run("show", "ada", ids, "--svg", "x.svg", code=1)
    assert (
        result.stderr == "idmerge: error: drawing needs matplotlib and scipy: pip install matplotlib scipy\n"
    )
    assert not Path("x.svg").exists()


def test_a_place_that_cannot_be_written_is_one_line(ids: str) -> None:
    result = run("show", "ada", ids, "--svg", "missing/x.svg", code=1)
    assert result.stderr == "idmerge: error: missing/x.svg: No such file or directory\n"


def test_a_picture_does_not_take_the_place_of_the_journal(ids: str) -> None:
    before = Path(ids).read_bytes()
    for option, name in (("--svg", "ids.svg"), ("--html", "ids.html")):
        shutil.copy(ids, name)
        assert (
            "would be read and written over" in run("show", "ada", name, option, f"./{name}", code=2).stderr
        )
        assert "would be read and written over" in run("why", "ada", "zoe", name, option, name, code=2).stderr
        assert Path(name).read_bytes() == before
    with pytest.raises(AssertionError, match="has no suffix that names a format"):
        run("show", "ada", ids, "--svg", "x")
    assert Path(ids).read_bytes() == before


def test_outcomes_of_the_table_have_their_rule_and_code(ids: str) -> None:
    run("why", "ada", "grace", ids, "--html", "x.html")
    text = Path("x.html").read_text(encoding="utf-8")
    assert f"{Outcome.ANON_CLAIMED.name}: " in text
    assert "(errAnonDistinctIdAssignedAlready)" in text
