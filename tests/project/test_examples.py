"""The files in examples/ show what they say they show (SPEC 7)."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from idmerge import Outcome, Resolver
from idmerge.cli.group import commands
from idmerge.files import read
from paths import EXAMPLES

D1 = "5f0c1e2a-7b3d-4c58-9a61-2e8f4d7b9c03"
D2 = "b81d64f7-0a92-4e3b-8c5d-71f6a3e0d294"
U1 = "ada@example.com"
U2 = "grace@example.com"


def resolved(name: str) -> Resolver:
    resolver = Resolver()
    for piece in read(EXAMPLES / name):
        piece.apply_to(resolver)
    return resolver


def clusters(resolver: Resolver) -> list[list[str]]:
    named = sorted(set(resolver.mapping().to_pydict()["canonical_id"]))
    return [resolver.members(canonical) for canonical in named]


@pytest.mark.rule("7")
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("flow-1-new-user.ndjson", [[D1, U1]]),
        ("flow-2-returning-user.ndjson", [[D1, U1, D2]]),
        ("flow-3-shared-device.ndjson", [[D1, U1], [D2, U2]]),
        ("flow-4-shared-device-without-reset.ndjson", [[D1, U1], [U2]]),
        ("flow-5-merge.ndjson", [[D1, U1, D2, U2]]),
    ],
)
def test_the_flows_of_the_guide_come_out_as_it_says(name: str, expected: list[list[str]]) -> None:
    assert clusters(resolved(name)) == expected


def test_only_the_flow_without_reset_has_a_rejected_link() -> None:
    rejected = {
        path.name: [outcome for outcome in resolved(path.name).stats().outcomes if not outcome.accepted]
        for path in EXAMPLES.glob("flow-*.ndjson")
    }
    assert rejected.pop("flow-4-shared-device-without-reset.ndjson") == [Outcome.ANON_CLAIMED]
    assert len(rejected) == 4
    assert not any(rejected.values())


def test_the_shop_shows_every_outcome_that_a_small_file_can_have() -> None:
    missing = set(Outcome) - set(resolved("shop.ndjson").stats().outcomes)
    # A file of what SDKs send has no verdict of Mixpanel's ($failure_reason), and the Original API has all
    # identity events.
    absent = {"TOO_MANY_IDS", "MERGE_NOT_ALLOWED", "KEPT_APART", "REFUSED_BEFORE", "VERB_NOT_ALLOWED"}
    assert {outcome.name for outcome in missing} == absent


def test_the_readme_says_how_the_shop_was_made() -> None:
    text = (EXAMPLES / "README.md").read_text()
    command = next(line for line in text.splitlines() if line.startswith("idmerge generate "))
    arguments = command.removesuffix(" -o examples/shop.ndjson").split()[1:]
    assert CliRunner().invoke(commands, arguments).output == (EXAMPLES / "shop.ndjson").read_text()


def test_the_readme_names_every_example() -> None:
    text = (EXAMPLES / "README.md").read_text()
    assert all(f"`{path.name}`" in text for path in EXAMPLES.glob("*.ndjson"))
    assert f"| {resolved('shop.ndjson').cluster_count} |" in text
