"""Each rule of docs/SPEC.md has a test that names it, and no test names an absent rule."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from paths import ROOT
from spec_rules import covers, named_by_tests, rules

NAMED = sorted(set(named_by_tests()))


@pytest.mark.parametrize("rule", rules())
def test_each_rule_of_the_specification_is_named_by_a_test(rule: str) -> None:
    assert any(covers(address, rule) for address, _ in NAMED), f"no test has the mark rule({rule!r})"


@pytest.mark.parametrize(("address", "path"), NAMED)
def test_each_rule_that_a_test_names_is_in_the_specification(address: str, path: str) -> None:
    assert address in rules(), f"{path} names the rule {address}, which docs/SPEC.md does not have"


def test_rules_are_found_by_number_by_kind_by_bold_words_and_by_the_first_cell() -> None:
    text = """
## 2. Links

1. common
`$identify(a, b)`

6. of a kind

### Switches
| `alias_once` | `True` |

1. common again

## 10. Profiles
**In columns.** Text with **other** words, and `$identify(a)` within it.
- **Forget** an ID
| `"stable"` (default) | rule |
| `$set_once` | rule |
"""
    assert rules(text) == [
        *("2", "2.1", "2.identify.6", "2.alias_once", "2.1"),
        *("10", "10.in columns", "10.forget", "10.stable", "10.set_once"),
    ]


def test_a_section_is_covered_by_a_test_of_its_parts_and_by_no_other_section() -> None:
    assert covers("2.identify.6", "2.identify.6")
    assert covers("2.identify.6", "2")
    assert not covers("10.set", "1")
    assert not covers("2", "2.identify.6")
    assert not covers("10.set_once", "10.set")


def test_the_specification_has_the_rules_that_the_code_cites() -> None:
    assert {"2.1", "2.2", "2.3", "2.identify.8", "2.create_alias.7", "2.merge.6", "7.5"} <= set(rules())
    assert len(rules()) == len(set(rules()))


def collected(rule: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "--rule", rule, "--collect-only", "-q"]
    command.append("tests/resolver/test_rules.py")
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_the_tests_of_a_rule_are_found_by_its_number() -> None:
    chosen = set(re.findall(r"::(\w+)\[", collected("2.create_alias").stdout))
    assert chosen == {
        "test_an_unchanged_alias_is_recorded",
        "test_an_alias_is_used_once_and_chains_are_fine",
        "test_an_id_in_a_cluster_can_be_used_once_as_an_alias",
        "test_alias_and_merge_ignore_the_claim_on_an_anonymous_id",
    }


def test_a_number_that_is_no_rule_is_a_usage_error() -> None:
    ended = collected("2.create")
    assert ended.returncode == 4
    assert "--rule 2.create is no rule of docs/SPEC.md" in ended.stderr
