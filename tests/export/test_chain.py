"""Rows of one method as seeds of the next: the lineage goes on, and a split of the last run respects it."""

import pytest

import synthwright as sw
from synthwright.errors import ConfigError
from synthwright.programs.evol_instruct import EvolInstruct
from synthwright.programs.magpie import Magpie
from synthwright.testing import ScriptedLM

evolver = ScriptedLM(
    {
        "add_constraints": lambda call: {"evolved_instruction": f"{call['instruction']} Use exactly seven words."},
        "respond": {"response": "It has four legs and likes to sleep all day."},
    }
)


def evolve(seeds, out, rounds=1):
    generator = EvolInstruct(operators=("add_constraints",), rounds=rounds, judge=False, checks=())
    return sw.generate(generator, seeds=seeds, out=out, lms=evolver)


def test_the_first_evolution_has_the_parents_of_its_seed_and_the_second_the_first(tmp_path):
    run = evolve([{"instruction": "Describe a cat.", "parent_ids": ["a", "b"]}], tmp_path, rounds=2)
    first, second = run.rows
    assert first.parent_ids == ("a", "b") and second.parent_ids == (first.id,)


def test_parents_of_a_seed_must_be_a_list(tmp_path):
    with pytest.raises(ConfigError, match="`parent_ids`, a list"):
        evolve([{"instruction": "Describe a cat.", "parent_ids": "abc"}], tmp_path)


def test_two_methods_in_a_chain_split_by_their_common_ancestors(tmp_path):
    animals = ["cat", "dog", "cow", "owl"]
    evolved = evolve([{"instruction": f"Describe a {animal}."} for animal in animals], tmp_path / "one", rounds=2)
    assert len(evolved) == 8
    seeds = [{"instruction": row.instruction, "parent_ids": [row.root_id, row.id]} for row in evolved]
    lm = ScriptedLM({"*": "An animal with many habits."})
    generator = Magpie(tags=False, usable=False)
    answered = sw.generate(generator, seeds=seeds, out=tmp_path / "two", lms=lm, filters=[])
    assert [row.parent_ids for row in answered] == [(row.root_id, row.id) for row in evolved]
    data = answered.dataset("messages", test=0.25)
    asked = [talk[0]["content"].split()[2].rstrip(".") for talk in data["test"]["messages"]]
    assert len(asked) == 2 and len(set(asked)) == 1  # both evolutions of one animal
