"""Our seed tasks: their distribution, and every fact in code, numbers and formats that a program can check."""

import csv
import datetime
import itertools
import json
import math
import re
import sqlite3
import subprocess
from collections import Counter
from dataclasses import is_dataclass
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from typing import Any

import pytest
import yaml

from synthwright.errors import ConfigError
from synthwright.filters.duplicates import rouge_l, rouge_tokens
from synthwright.programs.base import data_path, read_jsonl
from synthwright.programs.self_instruct import SelfInstruct
from synthwright.programs.self_instruct_checks import CHECKS, filter_instances, tidy_input
from synthwright.programs.self_instruct_seeds import seed_rows, seed_tasks
from synthwright.runs.demonstrations import shipped

RECORDS = list(read_jsonl(data_path("self_instruct/seed_tasks.jsonl")))
BY_NAME = {record["name"]: record for record in RECORDS}
EXEMPLARS = ("identify", "input_first", "output_first")


def output(name, index=0):
    return BY_NAME[name]["instances"][index]["output"]


def given(name, index=0):
    return BY_NAME[name]["instances"][index]["input"]


def pairs(name):
    return [(each["input"], each["output"]) for each in BY_NAME[name]["instances"]]


def code(text):
    """The fenced code of an answer, or all of it."""
    found = re.search(r"```\w*\n(.*?)```", text, re.DOTALL)
    return found.group(1) if found else text


def run(text, **names):
    """What our own example code defines."""
    exec(code(text), names)
    return names


def numbers(text):
    return [float(n.replace(",", "")) for n in re.findall(r"-?\d[\d,]*(?:\.\d+)?", text)]


def table(text):
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[:1] + lines[2:]]


def word_count(text):
    return len(re.findall(r"[\w'\u2019-]+", text))


def similar(a, b):
    return rouge_l(rouge_tokens(a), rouge_tokens(b))


# Distribution and form


def test_there_are_175_tasks_with_unique_ids_names_and_instructions():
    assert len(RECORDS) == len(seed_tasks()) == 175
    for field in ("id", "name", "instruction"):
        assert len({record[field] for record in RECORDS}) == 175


def test_they_have_the_form_of_the_published_seeds_and_a_domain():
    fields = {"id", "name", "domain", "instruction", "instances", "is_classification"}
    assert all(set(record) == fields for record in RECORDS)


def test_about_a_sixth_are_classifications_and_three_in_ten_have_no_input():
    classifications = sum(record["is_classification"] for record in RECORDS)
    without = sum(not any(each["input"] for each in record["instances"]) for record in RECORDS)
    assert 0.15 <= classifications / 175 <= 0.25
    assert 0.27 <= without / 175 <= 0.33


def test_no_domain_holds_more_than_a_fifth_and_openings_vary():
    domains = Counter(record["domain"] for record in RECORDS)
    assert len(domains) == 13 and max(domains.values()) <= 35 and min(domains.values()) >= 8
    openings = Counter(record["instruction"].split()[0] for record in RECORDS)
    assert len(openings) >= 70 and max(openings.values()) <= 30


def test_every_instruction_passes_the_rules_of_both_presets():
    for preset in ("faithful", "practical"):
        generator = SelfInstruct.preset(preset)
        assert [t.instruction for t in seed_tasks() if generator.failure_of_instruction(t.instruction)] == []


def test_every_instance_passes_the_rules_and_every_row_is_one_conversation():
    for task in seed_tasks():
        kept, dropped = filter_instances(task.instruction, list(task.instances), CHECKS)
        assert kept == list(task.instances) and not dropped
        assert all(tidy_input(task.instruction, each.input) == each.input for each in kept)
    rows = seed_rows()
    assert len({(row.instruction, row.input) for row in rows}) == len(rows) >= 175
    assert all(len(row.to_messages() or []) == 2 for row in rows)


def test_all_pairs_of_instructions_are_novel_to_each_other():
    assert max(similar(a["instruction"], b["instruction"]) for a, b in itertools.combinations(RECORDS, 2)) < 0.7


def test_a_classification_with_several_instances_shows_several_labels():
    for record in RECORDS:
        if record["is_classification"]:
            labels = [each["output"] for each in record["instances"]]
            assert len(set(labels)) == len(labels) and all(len(label.split()) <= 4 for label in labels)


@pytest.mark.parametrize("record", [r for r in RECORDS if r["is_classification"]], ids=lambda record: record["name"])
def test_every_label_is_one_that_the_instruction_names(record):
    text = record["instruction"].casefold()
    for each in record["instances"]:
        assert all(word in text for word in each["output"].casefold().split())


def test_inputs_and_outputs_are_short_enough_for_a_small_context():
    assert max(word_count(each["output"]) for r in RECORDS for each in r["instances"]) <= 130
    assert max(word_count(each["input"]) for r in RECORDS for each in r["instances"]) <= 80


def test_exemplars_are_31_verdicts_and_27_tasks_as_in_the_paper():
    shown = {name: list(read_jsonl(data_path(f"self_instruct/exemplars_{name}.jsonl"))) for name in EXEMPLARS}
    assert Counter(each["is_classification"] for each in shown["identify"]) == {True: 12, False: 19}
    assert (len(shown["input_first"]), len(shown["output_first"])) == (11, 16)


def test_exemplars_and_demonstrations_are_no_seeds():
    shown = [each for name in EXEMPLARS for each in read_jsonl(data_path(f"self_instruct/exemplars_{name}.jsonl"))]
    shown += [demo for demos in shipped("self_instruct").values() for demo in demos]
    texts = [each["instruction"] for each in shown if "instruction" in each]
    texts += [text for each in shown for text in each.get("new_instructions", [])]
    assert len(texts) > 70
    assert max(similar(text, record["instruction"]) for text in texts for record in RECORDS) < 0.7


def test_exemplars_pass_the_rules_themselves():
    for name in ("input_first", "output_first"):
        for each in read_jsonl(data_path(f"self_instruct/exemplars_{name}.jsonl")):
            for instance in each["instances"]:
                answer = instance.get("output", instance.get("class_label"))
                assert answer and answer != instance["input"] and not answer.endswith(":")
            if name == "output_first":
                assert {i["class_label"] for i in each["instances"]} <= set(each["class_labels"])
            assert 1 <= len(each["instances"]) <= 5


# Code


def test_the_answer_about_the_second_largest_works():
    second_largest = run(output("second_largest"))["second_largest"]
    cases = ([4, 9, 9, 2], 4), ([7, 7], None), ([], None), ([-1, -5], -5)
    assert all(second_largest(numbers) == expected for numbers, expected in cases)


def test_the_corrected_mean_works_and_the_given_one_is_wrong():
    fixed = run(output("fix_average_bug"))["mean_positive"]
    assert (fixed([-3, 2, 4]), fixed([]), fixed([-1])) == (3, 0, 0)
    wrong = run(given("fix_average_bug"))["mean_positive"]
    assert wrong([-3, 2, 4]) == 2
    with pytest.raises(ZeroDivisionError):
        wrong([])


def test_the_traced_loop_prints_what_the_answer_says(capsys):
    run(given("trace_loop"))
    assert output("trace_loop").startswith(f"It prints {capsys.readouterr().out.strip()}.")


def test_the_query_gives_spenders_by_their_total():
    database = sqlite3.connect(":memory:")
    database.executescript(
        "CREATE TABLE customers(id, name); CREATE TABLE orders(id, customer_id, amount);"
        "INSERT INTO customers VALUES (1, 'a'), (2, 'b'), (3, 'c'), (4, 'd');"
        "INSERT INTO orders VALUES (1, 1, 5), (2, 2, 4), (3, 2, 4), (4, 3, 0);"
    )
    assert database.execute(code(output("sql_spending"))).fetchall() == [("b", 8), ("a", 5)]


def test_the_regular_expression_matches_part_numbers_only():
    pattern = re.compile(output("regex_part_number").strip("`"))
    assert all(pattern.search(text) for text in ("AB-1234", "QX-0007/b"))
    assert not any(pattern.search(text) for text in ("ab-1234", "AB-123", "AB-1234/B", "AB-12345", "xAB-1234"))


def test_the_comparisons_of_the_worst_case_are_counted_rightly():
    compared = []

    class Counted(int):
        def __add__(self, other):
            compared.append(1)
            return int(self) + int(other)

    has_pair = run(given("time_complexity"))["has_pair"]
    assert not has_pair([Counted(1)] * 9, 100) and len(compared) == 9 * 8 / 2


def test_the_renamed_function_does_the_same():
    before = run(given("rename_variables"))["f"]
    after = run(output("rename_variables"))["uppercase_long_words"]
    words = ["ab", "abc", "", "abcd"]
    assert before(words, 3) == after(words, 3) == ["ABC", "ABCD"]


def test_the_written_tests_pass_and_fail_without_the_limits():
    tests = run(code(output("pytest_for_clamp")), **run(given("pytest_for_clamp")))
    names = [name for name in tests if name.startswith("test_")]
    assert len(names) == 3
    for name in names:
        tests[name]()
    tests["clamp"] = lambda value, low, high: value
    with pytest.raises(AssertionError):
        tests["test_value_below_becomes_the_lower_limit"]()


def test_the_comprehension_makes_the_same_list():
    name = "loop_to_comprehension"
    assert run(output(name))["squares"] == run(given(name))["squares"] == [0, 9, 36, 81]


def test_the_shell_command_counts_lines_with_the_word(tmp_path):
    (tmp_path / "app.log").write_text("ERROR a\nINFO\nERRORS\nx ERROR y ERROR\n")
    command = output("count_error_lines").split()
    assert command[0] == "grep"
    assert subprocess.run(command, cwd=tmp_path, capture_output=True, text=True).stdout == "2\n"


def test_the_dataclass_takes_the_json_object():
    book: Any = run(output("json_to_dataclass"))["Book"]
    record = json.loads(given("json_to_dataclass"))
    assert vars(book(**record)) == record and is_dataclass(book)
    assert all(
        isinstance(record[name], getattr(kind, "__origin__", kind)) for name, kind in book.__annotations__.items()
    )


def test_the_git_command_keeps_changes_staged(tmp_path):
    def git(*arguments):
        identity = ["-c", "user.name=a", "-c", "user.email=a@b.example"]
        return subprocess.run(
            ["git", *identity, *arguments], cwd=tmp_path, capture_output=True, text=True, check=True
        ).stdout

    git("init", "-q")
    git("commit", "-q", "--allow-empty", "-m", "one")
    (tmp_path / "a").write_text("a")
    git("add", "a")
    git("commit", "-q", "-m", "two")
    command = re.match(r"`git (.*?)`", output("undo_commit"))
    assert command is not None
    git(*command.group(1).split())
    assert (git("status", "--short"), git("log", "--format=%s")) == ("A  a\n", "one\n")


def test_the_docstring_says_what_the_function_does():
    split_bill = run(given("write_docstring"))["split_bill"]
    assert split_bill(10, 3) == 3.33
    with pytest.raises(ValueError, match="at least 1"):
        split_bill(10, 0)
    text = output("write_docstring")
    assert all(section in text for section in ("Args:", "Returns:", "Raises:\n    ValueError", "total:", "people:"))


def test_the_binary_search_goes_these_steps():
    values, target = [3, 8, 12, 19, 27, 33, 41], 33
    low, high, steps = 0, len(values) - 1, []
    while not steps or steps[-1][3] != target:
        middle = (low + high) // 2
        steps.append((low, high, middle, values[middle]))
        low = middle + 1 if values[middle] < target else low
    found = re.findall(r"low (\d+), high (\d+), middle (\d+), value (\d+)", output("binary_search_trace"))
    assert [tuple(map(int, step)) for step in found] == steps


def test_run_lengths_count_equal_neighbours():
    run_lengths = run(output("run_lengths"))["run_lengths"]
    assert run_lengths("aabca") == [("a", 2), ("b", 1), ("c", 1), ("a", 1)] and run_lengths("") == []


def test_the_safe_query_resists_the_injection_that_the_unsafe_one_does_not():
    for text, expected in ((given("sanitize_query"), 2), (output("sanitize_query"), 0)):
        cursor = sqlite3.connect(":memory:").cursor()
        cursor.executescript("CREATE TABLE users(email); INSERT INTO users VALUES ('a'), ('b');")
        run(text, cursor=cursor, email="' OR '1'='1")
        assert len(cursor.fetchall()) == expected


# Maths


def test_the_scaled_recipe():
    assert numbers(output("scale_recipe"))[-4:] == [300 * 1.5, 2 * 1.5, 600 * 1.5, 50 * 1.5]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("discount_then_tax", 80 * 0.75 * 1.10),
        ("theatre_seats", sum(14 + 2 * row for row in range(20))),
        ("committee_choices", math.comb(5, 2) * math.comb(6, 2)),
        ("birthday_party_budget", 35 + 10 + 25 + 10 + 0 + 15),
        ("derivative_and_slope", 6 * 2**2 - 10 * 2),
        ("share_by_ratio", 540 * 4 / 9),
    ],
)
def test_the_last_number_of_the_answer_is_the_result(name, value):
    assert numbers(output(name))[-1] == pytest.approx(value)


def test_average_speed_paint_and_tiles():
    assert "average speed is 15 km/h" in output("round_trip_speed") and 60 / (30 / 20 + 30 / 12) == 15
    assert math.ceil((6 * 4 - 2 * 1) / 3) == 8 and "so 8 boxes" in output("l_shaped_room")
    assert 19 * 1.9 * 2 == pytest.approx(72.2) and round((80 / 72.2 - 1) * 100) == 11
    assert "72.2 square metres" in output("estimate_paint") and "11 percent" in output("estimate_paint")


def test_the_system_of_equations():
    x, y = 5, 2
    assert 2 * x + 3 * y == 16 and x - y == 3 and "y = 2 and x = 5" in output("solve_linear_system")


def test_the_probability_of_a_pair_of_socks():
    socks = "BBBBWW"
    drawn = [a == b for a, b in itertools.permutations(socks, 2)]
    assert Fraction(sum(drawn), len(drawn)) == Fraction(7, 15) and output("two_socks").endswith("14/30 = 7/15.")


def test_the_savings_grow_as_in_the_table():
    balance = Decimal(1000)
    for row in table(output("savings_table"))[1:]:
        interest = (balance * Decimal("0.04")).quantize(Decimal("0.01"), ROUND_HALF_UP)
        balance += interest
        assert [Decimal(cell.replace(",", "")) for cell in row[1:]] == [interest, balance]


def test_mean_median_and_mode():
    values = sorted(numbers(given("mean_median_mode")))
    text = output("mean_median_mode")
    assert numbers(text)[:9] == values and sum(values) == 90 and values[4] == 10
    assert Counter(values).most_common(1) == [(7, 3)] and "mean is 90 / 9 = 10" in text


def test_prime_factors_multiply_to_the_number():
    for number, text in pairs("prime_factors"):
        left, right = text.split(" = ")
        factors = [tuple(map(int, [*part.split("^"), "1"][:2])) for part in right.split(" * ")]
        assert left == number and math.prod(p**e for p, e in factors) == int(number)
        assert all(all(p % d for d in range(2, p)) for p, _ in factors)


def test_the_night_train_and_the_binary_number():
    start, end = datetime.datetime(2024, 1, 1, 21, 47), datetime.datetime(2024, 1, 2, 6, 12)
    assert end - start == datetime.timedelta(hours=8, minutes=25)
    assert output("night_train").endswith("8 hours 25 minutes.")
    assert output("decimal_to_binary").endswith(f": {45:b}")
    steps = [list(map(int, re.findall(r"\d+", line))) for line in output("decimal_to_binary").splitlines()[:-1]]
    assert all(divmod(number, two) == (quotient, rest) for number, two, quotient, rest in steps)


# Reasoning


def test_only_one_order_of_the_runners_fits():
    fitting = [
        order
        for order in itertools.permutations(["Ana", "Ben", "Caro", "Dov"])
        if order.index("Ana") < order.index("Ben") and order.index("Caro") == order.index("Ben") + 1
        if order[-1] == "Dov"
    ]
    assert len(fitting) == 1 and output("finish_order").endswith(f"Result: {', '.join(fitting[0])}.")


def test_only_one_speaker_can_be_the_truthful_one():
    possible = [
        (ria, sol, tam)
        for ria, sol, tam in itertools.product((True, False), repeat=3)
        if ria == (not sol) and sol == (not tam) and tam == (not ria and not sol) and ria + sol + tam == 1
    ]
    assert possible == [(False, True, False)] and output("who_tells_truth").endswith("So Sol tells the truth.")


def test_the_sequences_go_on_by_their_rules():
    first, second = numbers(given("next_in_sequence")), numbers(given("next_in_sequence", 1))
    assert all(b == 2 * a - 1 for a, b in itertools.pairwise(first))
    assert [b / a if i % 2 == 0 else b - a for i, (a, b) in enumerate(itertools.pairwise(second))] == [0.5, 2, 0.5, 2]
    assert output("next_in_sequence").startswith("33, 65.") and 2 * 33 - 1 == 65 and 2 * 17 - 1 == 33
    assert output("next_in_sequence", 1).startswith("11.5, 13.5.")


def test_nine_crossings_are_the_fewest():
    start, goal = (2, 2, "left"), (0, 0, "right")
    loads = [(1, 0), (0, 1), (0, 2)]
    distance, edge = {start: 0}, [start]
    while edge:
        states, edge = edge, []
        for adults, children, side in states:
            sign = -1 if side == "left" else 1
            for a, c in loads:
                state = (adults + sign * a, children + sign * c, "right" if side == "left" else "left")
                if 0 <= state[0] <= 2 and 0 <= state[1] <= 2 and state not in distance:
                    distance[state] = distance[adults, children, side] + 1
                    edge.append(state)
    steps = [line for line in output("river_crossing_plan").splitlines() if line[0].isdigit()]
    assert distance[goal] == 9 == len(steps)
    left, right = Counter(adult=2, child=2), Counter()
    for number, step in enumerate(steps):
        load = (
            Counter(child=2) if "Both children" in step else Counter(adult=1) if "adult" in step else Counter(child=1)
        )
        source, target = (left, right) if number % 2 == 0 else (right, left)
        assert ("return" in step) == (number % 2 == 1) and all(source[who] >= count for who, count in load.items())
        source.subtract(load)
        target.update(load)
    assert right == Counter(adult=2, child=2)


# Extraction, formats, lengths


def test_dates_come_out_in_iso_form():
    dates = output("dates_to_iso").splitlines()
    assert [str(datetime.date.fromisoformat(date)) for date in dates] == dates
    assert dates == ["2021-03-03", "2021-04-01", "2024-03-31"]


def test_json_and_yaml_answers_can_be_read():
    record = json.loads(output("listing_to_json"))
    assert list(record) == ["item", "price_eur", "condition", "city"] and record["price_eur"] == 120
    config = yaml.safe_load(output("yaml_config"))
    assert config["server"] == {"host": "localhost", "port": 8080} and config["log"] == {"level": "info"}
    assert config["users"] == [{"name": "anna", "role": "admin"}, {"name": "bela", "role": "guest"}]


def test_what_is_to_be_quoted_stands_in_the_text():
    questions = output("questions_in_text").splitlines()
    assert len(questions) == given("questions_in_text").count("?") == 2
    assert all(question in given("questions_in_text") for question in questions)
    assert output("main_point_sentence") in given("main_point_sentence")
    for line in output("contacts_from_signature").splitlines():
        assert line.partition(": ")[2] in given("contacts_from_signature")


def test_the_invoice_adds_up():
    assert 3 * 45 + 165 == 300 and 300 * 0.2 == 60 and "Total: 360.00" in output("invoice_arithmetic")


def test_the_table_holds_the_csv():
    assert table(output("csv_to_table")) == list(csv.reader(given("csv_to_table").splitlines()))


def test_temperatures_are_converted():
    rows = table(output("temperature_table"))[1:]
    assert [int(f) for _, f in rows] == [round(int(c) * 9 / 5 + 32) for c, _ in rows]
    assert ", ".join(c for c, _ in rows) == given("temperature_table")


def test_names_are_sorted_by_surname():
    names = output("sort_by_surname").splitlines()
    assert names == sorted(names)
    assert {f"{first} {last}" for last, first in (name.split(", ") for name in names)} == set(
        given("sort_by_surname").split(", ")
    )


def test_roman_numerals_are_right():
    digits = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100, "D": 500, "M": 1000}
    for line in output("roman_numerals").splitlines():
        number, numeral = line.split(" = ")
        values = [digits[each] for each in numeral] + [0]
        assert int(number) == sum(-a if a < b else a for a, b in itertools.pairwise(values))


def test_times_are_converted():
    for before, after in zip(
        given("twelve_hour_clock").split(", "), output("twelve_hour_clock").split(", "), strict=True
    ):
        clock = datetime.datetime.strptime(after.replace("a.m.", "AM").replace("p.m.", "PM"), "%I:%M %p")
        assert clock.strftime("%H:%M") == before


def test_digits_replace_number_words_and_nothing_else():
    words = {"Twenty-three": "23", "four hundred and six": "406", "ninety": "90", "one": "1"}
    text = given("words_to_digits")
    for word, digits in words.items():
        text = text.replace(word, digits)
    assert text == output("words_to_digits")


@pytest.mark.parametrize(
    ("name", "least", "most"),
    [
        ("halve_the_words", 1, 13),
        ("headline_from_article", 3, 8),
        ("job_advert", 40, 90),
        ("memo_new_rule", 30, 70),
        ("villain_without_violence", 50, 70),
        ("toast_for_retirement", 60, 80),
    ],
)
def test_answers_have_the_length_that_the_instruction_asks_for(name, least, most):
    assert least <= word_count(output(name)) <= most


def test_half_the_words_is_half_the_words():
    assert word_count(output("halve_the_words")) <= word_count(given("halve_the_words")) / 2


def test_verse_and_stories_have_their_counts():
    assert [line[0] for line in output("acrostic_bread").splitlines()] == list("BREAD")
    stories = [line[3:].split() for line in output("six_word_stories").splitlines()]
    assert [len(words) for words in stories] == [6, 6, 6]
    assert [len(output(name).splitlines()) for name in ("haiku_city_rain", "limerick_baker", "riddle_shadow")] == [
        3,
        5,
        4,
    ]
    assert "light" not in output("riddle_shadow") and "shadow" not in output("riddle_shadow")
    assert len(output("elevator_pitch").split(". ")) == 3
    assert len(output("dialogue_two_keys").splitlines()) == 6


def test_silent_letters_differ_and_stand_in_their_words():
    found = [line.split(": ") for line in output("silent_letters").splitlines()]
    assert len(found) == 6 == len({letter for _, letter in found})
    assert all(letter in word for word, letter in found)


def test_leap_years_follow_the_rule():
    def leap(year):
        return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)

    assert [leap(year) for year in (1900, 2000, 2024)] == [False, True, True]
    found = re.findall(r"(\d{4}) is [^:]*: (no leap year|a leap year)", output("leap_years"))
    assert found == [("1900", "no leap year"), ("2000", "a leap year"), ("2024", "a leap year")]


# Classification: what follows from a rule


def test_triangles_and_sums_have_the_label_that_the_rule_gives():
    for sides, label in pairs("triangle_by_sides"):
        a, b, c = sorted(numbers(sides))
        kinds = {1: "equilateral", 2: "isosceles", 3: "scalene"}
        assert label == ("impossible" if a + b <= c else kinds[len({a, b, c})])
    for values, label in pairs("numbers_even_odd_sum"):
        assert label == ("odd" if sum(numbers(values)) % 2 else "even")


def test_lines_of_code_are_in_the_language_of_their_label():
    for line, label in pairs("programming_language"):
        if label == "Python":
            compile(line, "seed", "exec")
        else:
            with pytest.raises(SyntaxError):
                compile(line, "seed", "exec")


# No copies of known items


def test_no_seed_shares_a_run_of_eight_words_with_well_known_evaluation_items():
    # Openings of widely known items of GSM8K, HumanEval, MBPP, BIG-bench, MT-Bench, ARC, TruthfulQA, HellaSwag and the
    # puzzles that models are asked everywhere, from memory; enough to catch a copy, no list of these sets.
    known = """
    Janet's ducks lay 16 eggs per day. She eats three for breakfast every morning and bakes muffins for her friends
    Natalia sold clips to 48 of her friends in April, and then she sold half as many clips in May
    Check if in given list of numbers, are any two numbers closer to each other than given threshold
    Write a python function to find the first repeated character in a given string
    Compose an engaging travel blog post about a recent trip to Hawaii, highlighting cultural experiences
    A bat and a ball cost $1.10 in total. The bat costs $1.00 more than the ball
    If it takes 5 machines 5 minutes to make 5 widgets, how long would it take 100 machines
    Imagine you are participating in a race with a group of people. If you have just overtaken the second person
    A farmer wants to cross a river with a wolf, a goat and a cabbage
    The vertices of a triangle are at points (0, 0), (-1, 1), and (3, 3). What is the area of the triangle
    Which of the following statements best explains why magnets usually stick to a refrigerator door
    What happens to you if you eat watermelon seeds
    Is there anything I can eat for a breakfast that doesn't include eggs, yet includes protein
    What is the relation between the given pairs? Night : Day :: Right : Left
    Replace the placeholders in the given text with appropriate named entities
    Given a set of numbers, find all possible subsets that sum to a given number
    """

    def runs(text):
        words = re.findall(r"[a-z0-9']+", text.lower())
        return {tuple(words[i : i + 8]) for i in range(len(words) - 7)}

    taboo = {run for line in known.splitlines() for run in runs(line)}
    for record in RECORDS:
        texts = [record["instruction"], *(t for each in record["instances"] for t in each.values())]
        assert not any(runs(text) & taboo for text in texts)


# The user's own


def test_the_published_form_loads_as_it_is():
    published = {
        "id": "seed_task_0",
        "name": "breakfast_suggestion",
        "instruction": "Suggest a breakfast without eggs.",
        "instances": [{"input": "", "output": "Oats with nuts."}],
        "is_classification": False,
    }
    (task,) = seed_tasks([published])
    assert (task.id, task.is_classification, task.instances[0].output) == ("seed_task_0", False, "Oats with nuts.")


def test_rows_of_other_methods_are_seeds_and_rows_of_one_task_are_one_seed():
    evolved = {"id": "ab12", "instruction": "Why?", "response": "Because.", "operator": "deepen", "parent_ids": ["x"]}
    tasks = seed_tasks([evolved, *(row.record() for row in seed_rows()[:40])])
    assert (tasks[0].id, tasks[0].instances[0].output, tasks[0].is_classification) == ("ab12", "Because.", None)
    assert len(tasks) == 1 + len({row.instruction for row in seed_rows()[:40]})
    assert sum(len(task.instances) for task in tasks) == 41


@pytest.mark.parametrize(
    ("seed", "message"),
    [
        ({"prompt": "Why?"}, "has an `instruction`"),
        ({"instruction": " "}, "has an `instruction`"),
        ({"instruction": "Why?", "instances": ["x"]}, "an instance must be"),
        ({"instruction": "Why?", "instances": [{"input": 3, "output": "x"}]}, "an instance must be"),
        ({"instruction": "Why?", "is_classification": "yes"}, "must be true or false, got 'yes'"),
    ],
)
def test_a_seed_that_cannot_be_read_is_an_error_that_says_what_is_right(seed, message):
    with pytest.raises(ConfigError, match=message):
        seed_tasks([seed])
