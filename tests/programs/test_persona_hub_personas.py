"""Names and private data are taken out; what is no persona, or one that must not be, is dropped."""

import pytest

from synthwright.programs.persona_hub_personas import CHECKS, clean_persona, problem_of, repeats, text_problem
from synthwright.programs.persona_hub_privacy import private_data, without_private_data


@pytest.mark.parametrize(
    ("reply", "persona"),
    [
        ("Anna Nowak, a nurse who works nights", "A nurse who works nights"),
        ("Jane is a retired teacher who keeps bees", "A retired teacher who keeps bees"),
        ("John Smith, 42, a carpenter who restores boats", "A carpenter who restores boats"),
        ("Wilhelmina Ode-Brandt is a roofer who thatches barns", "A roofer who thatches barns"),
        ("A nurse named Anna Nowak who works nights", "A nurse who works nights"),
        ("A cousin of Maria Lopez who bakes", "A cousin of somebody who bakes"),
        ("A collector of John's letters", "A collector of somebody's letters"),
        ("Dr. Jane Smith, a cardiologist in rural Kenya", "A cardiologist in rural Kenya"),
        ("A student of Professor Ivan Petrov who dyes silk", "A student of a professor who dyes silk"),
        ("A friend of Mark Twain and Emma who fishes", "A friend of some people who fishes"),
        ("A baker (anna@bread.org) who ships rye loaves", "A baker who ships rye loaves"),
        ("A plumber reachable at +1 555-123-4567 who mends pumps", "A plumber who mends pumps"),
        ("A tenant at 12 Baker Street who collects stamps", "A tenant who collects stamps"),
        ("A blogger found at https://knots.example/me who ties knots", "A blogger who ties knots"),
        ("A potter with the account @clay_hands who sells cups", "A potter with the account who sells cups"),
        ("A clerk with card 4111 1111 1111 1111 who counts coins", "A clerk with card who counts coins"),
    ],
)
def test_names_and_private_data_are_taken_out(reply, persona):
    assert clean_persona(reply) == persona and private_data(persona) is None


@pytest.mark.parametrize(
    "persona",
    [
        "A will writer who may mark tests in May",
        "A gardener in New York who grows roses and sage",
        "A Russian translator of old novels",
        "A mother of a 5-year-old who runs a bakery",
        "The captain of a coal barge on the Rhine",
        "A fan of the Summer Olympics in 1984",
    ],
)
def test_words_that_are_no_names_stay(persona):
    assert without_private_data(persona) == persona


def test_what_is_taken_out_once_is_not_found_again():
    text = "Maria Garcia, a friend of Peter Novak (peter@x.org, 555-123-4567), paints."
    assert without_private_data(without_private_data(text)) == without_private_data(text)
    assert private_data(without_private_data(text)) is None


@pytest.mark.parametrize(
    "reply",
    [
        "A night nurse who mends radios.",
        'Persona: "A night nurse who mends radios."',
        "**Persona:** A night nurse who mends radios.",
        "1. A night nurse\n who mends radios.",
        "- A night nurse who mends radios.",
    ],
)
def test_labels_numbers_and_quotes_are_taken_off(reply):
    assert clean_persona(reply) == "A night nurse who mends radios."


@pytest.mark.parametrize(
    ("persona", "reason"),
    [
        ("A person", "generic"),
        ("someone who likes reading", "generic"),
        ("People who are interested in many different things", "generic"),
        ("A nurse " + "who works at night " * 20, "too_long"),
        ('{"persona": "A nurse who works nights"}', "not_a_person"),
        ("A wooden chair with carved legs and a red cushion", "not_a_person"),
        ("A company that sells medical pumps to clinics", "not_a_person"),
        ("A reader of this text about sluice gates", "meta_persona"),
        ("The editor of the passage on frozen mill ponds", "meta_persona"),
        ("A data annotator who labels sentences on bees", "meta_persona"),
        ("An AI assistant that answers questions on bees", "meta_persona"),
        ("A beekeeper who wrote this article on hives", "meta_persona"),
        ("A 12-year-old chess player who wants to win cups", "minor"),
        ("A schoolgirl who keeps snails in a jar", "minor"),
        ("A high school student who repairs old phones", "minor"),
        ("A friend of the most loyal friend of the most loyal friend of the most loyal", "stutters"),
        ("A colony of bees with whom somebody is loyal", "not_a_person"),
        ("A white supremacist who runs a radio show", "unsafe_persona"),
        ("A hitman who poses as a florist in Rome", "unsafe_persona"),
        ("A retired miner who hates immigrants in his town", "unsafe_persona"),
    ],
)
def test_what_is_no_persona_or_must_not_be_one_is_dropped(persona, reason):
    assert (problem_of(persona, "", CHECKS, None) or "").partition(":")[0] == reason


@pytest.mark.parametrize(
    "persona",
    [
        "A school counsellor who helps children with dyslexia",
        "A mother of a 9-year-old chess player",
        "A museum guide who loves fossils and rain",
        "A criminologist who studies serial killers in Ohio",
        "A software engineer who tests brakes of trams",
        "A {curly} typesetter who prints braces",
        "A lawyer who defends a drug dealer's widow",
        "An author of crime novels set on night trains",
    ],
)
def test_people_who_have_to_do_with_such_things_are_kept(persona):
    assert problem_of(persona, "", CHECKS, "en") is None


def test_a_name_that_a_filter_alone_sees_is_dropped():
    assert (
        problem_of("A cousin of Maria Lopez who bakes rye bread", "", CHECKS, None)
        == "names_somebody: the name 'Maria Lopez'"
    )


def test_a_quotation_of_the_text_is_no_persona():
    text = "We broke the ice with poles and raised the gate by hand before the thaw came."
    persona = "A miller who broke the ice with poles and raised the gate by hand"
    assert (problem_of(persona, text, CHECKS, None) or "").startswith("copies_source")
    assert problem_of("A miller who raises his gate by hand in frost", text, CHECKS, None) is None


def test_checks_can_be_left_out_and_the_language_matters():
    assert problem_of("A person", "", (), None) is None
    german = "Ein alter Müller, der im Winter das Eis am Wehr mit Stangen bricht"
    assert (problem_of(german, "", (), "en") or "").startswith("other_language")
    assert problem_of(german, "", (), None) is None


@pytest.mark.parametrize(
    ("persona", "copy"),
    [
        ("A night nurse who mends radios.", True),
        ("a NIGHT nurse, who mends radios!", True),
        ("A colleague of a night nurse who mends radios", True),
        ("A day nurse who sells radios.", False),
    ],
)
def test_a_related_persona_must_not_hold_its_parent(persona, copy):
    assert (repeats(persona, "A night nurse who mends radios") is not None) == copy


def test_a_text_of_enough_words_is_a_source():
    assert text_problem("The tide table was wrong again, so the ferry waited an hour at the pier.", "en") is None
    assert text_problem("12 34 56", None) == "short_text: 3 words"


@pytest.mark.parametrize("text", ["a" * 50_000, "Anna " * 20_000, "((" * 20_000, "A 1 " * 20_000, "@ " * 30_000])
def test_hostile_lengths_cost_little(text):
    persona = clean_persona(text[:60_000])
    problem_of(persona, text, CHECKS, None)
