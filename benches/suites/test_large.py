"""The links of the largest run: their answer, and the same links however they are cut."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from benches.reports.large import Piece, Population, check, feed, permuted, permuted_back
from benches.support.process import in_own_process
from idmerge import Kind, Outcome
from idmerge._benchmark.plain_dict import DictResolver

FEW = 3000


def whole(population: Population, links_a_piece: int) -> Piece:
    """All links as one piece."""
    kinds, left, right, conflicts = zip(*population.pieces(links_a_piece), strict=True)
    return Piece(np.concatenate(kinds), pa.concat_arrays(left), pa.concat_arrays(right), sum(conflicts))


def test_a_resolver_and_a_dict_with_the_rules_come_to_what_the_population_says() -> None:
    population = Population(FEW)
    fed = feed(population, links_a_piece=100)
    check(fed.resolver.stats(), population, fed.conflicts)

    stated, plain = whole(population, FEW), DictResolver()
    kinds = [Kind(code) for code in stated.kinds.tolist()]
    outcomes = plain.link_many(kinds, stated.left.to_pylist(), stated.right.to_pylist())
    counts = {outcome: outcomes.count(outcome) for outcome in set(outcomes)}
    assert counts == population.expected(stated.conflicts)
    assert set(counts) == {Outcome.MERGED, Outcome.UNCHANGED, Outcome.ANON_CLAIMED}
    assert len(plain.parent) == population.ids
    assert len({plain.find(text) for text in plain.parent}) == population.users


def test_an_answer_that_is_not_expected_stops_the_run() -> None:
    population = Population(FEW)
    fed = feed(population, links_a_piece=FEW)
    stats = fed.resolver.stats()
    with pytest.raises(ValueError, match="outcomes: .*, expected"):
        check(stats, population, fed.conflicts + 1)
    with pytest.raises(ValueError, match=f"IDs: {population.ids - 1}, expected {population.ids}"):
        check(replace(stats, ids=stats.ids - 1), population, fed.conflicts)


def test_the_links_do_not_depend_on_how_they_are_cut() -> None:
    population = Population(FEW)
    at_once, cut = whole(population, 10 * FEW), whole(population, 77)
    assert np.array_equal(at_once.kinds, cut.kinds)
    assert at_once.left == cut.left
    assert at_once.right == cut.right
    assert at_once.conflicts == cut.conflicts
    assert len(at_once.kinds) == population.links


@pytest.mark.parametrize("bits", [1, 6, 13])
def test_the_order_is_a_permutation_that_can_be_undone(bits: int) -> None:
    numbers = np.arange(1 << bits, dtype=np.uint64)
    order = permuted(numbers, bits)
    assert np.array_equal(np.sort(order), numbers)
    assert np.array_equal(permuted_back(order, bits), numbers)


def test_old_ids_come_back_throughout_and_few_are_aliases_or_in_conflict() -> None:
    population = Population(28_000)
    stated = whole(population, 10_000)
    codes = stated.left.dictionary_encode().indices.to_numpy()
    _, first_seen = np.unique(codes, return_index=True)
    age = np.arange(len(codes)) - first_seen[codes]
    late = age[-len(codes) // 4 :] / len(codes)
    repeated = late[late > 0]
    assert len(repeated) > len(late) / 2
    # At random over all that came before: about as many from long ago as from not so long ago.
    assert 0.4 < np.median(repeated) < 0.7
    assert 0.015 < np.mean(stated.kinds == Kind.ALIAS) < 0.025
    assert 0.004 < stated.conflicts / (population.links - population.devices) < 0.006


def test_the_command_prints_what_a_run_took() -> None:
    figures = in_own_process("benches.reports.large", FEW)
    population = Population(FEW)
    assert (figures["ids"], figures["links"]) == (population.ids, population.links)
    assert figures["seconds"] < figures["seconds_with_making_the_links"]
    assert figures["slowest_piece"]["seconds"] <= figures["seconds"]
    assert figures["bytes_an_id"] > 0
