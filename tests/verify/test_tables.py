"""Every pair of the tables: a reply, the known answer, and the reason that the verifier must give."""

from pathlib import Path

import pytest

from synthwright.programs.base import read_jsonl
from synthwright.verify import Choice, Label, Math, Number, Value

VERIFIERS = {
    "number": Number(),
    "math": Math(),
    "choice": Choice("ABCDE"),
    "label": Label(("entailment", "not_entailment", "neutral")),
    "value": Value(),
}
PAIRS = [
    (kind, pair["reply"], pair["answer"], pair["reason"])
    for kind in VERIFIERS
    for pair in read_jsonl(Path(__file__).with_name(f"{kind}.jsonl"))
]

# Every way to put an answer (of any kind) at the end of a reply; the traps in front of it must not count.
REPLIES = [
    "{}",
    "  {}\n",
    "**{}**",
    "Answer: {}",
    "answer: {}",
    "Answer:\n{}",
    "**Answer:** {}",
    "**Final answer:** {}",
    "The answer is {}.",
    "So the answer must be {}.",
    "The final answer is: {}",
    "The answer to the question is {}.",
    "\\boxed{{{}}}",
    "So $\\boxed{{{}}}$.",
    "Therefore \\boxed{{{}}}, which is what was asked.",
    "<answer>{}</answer>",
    "<answer>\n{}\n</answer>\n",
    "I reason first.\nIt takes 3 steps, A to B.\n#### {}",
    "Question: what is it? Answer: {trap}\nI think again.\nAnswer: {}",
    "\\boxed{{{trap}}} is wrong. \\boxed{{{}}}",
    "The answer is {trap}. Wait. The answer is {}.",
    "<answer>{trap}</answer> No. <answer>{}</answer>",
    "Write <answer>your answer</answer>.\n<answer>{}</answer>",
]
FORMS = {  # (forms of one answer, other answers of the kind)
    "number": (["0.5", "1/2", "\\frac12", "50%", ".50", "+0.5", "5e-1", "0.500"], ["0.33", "-0.5", "5", "0"]),
    "math": (
        ["2\\sqrt{3}", "\\sqrt{12}", "\\sqrt3 \\cdot 2", "\\frac{6}{\\sqrt{3}}"],
        ["3\\sqrt{2}", "0", "\\sqrt{13}"],
    ),
    "choice": (["C", "(C)", "c.", "C) Paris", "option C", "[C]"], ["A", "(B)", "d.", "E) Rome"]),
    "label": (["not_entailment", "Not entailment", "NOT-ENTAILMENT"], ["entailment", "neutral", "Neutral!"]),
    "value": (["(1, 'a')", "(1,'a',)", '(1, "a")'], ["[1, 'a']", "(True, 'a')", "(1.0, 'a')", "None"]),
}


def _in_every_place():
    for kind, (right, wrong) in FORMS.items():
        for reply in REPLIES:
            for form in right:
                yield kind, reply.format(form, trap=wrong[0]), right[0], True
            for form in wrong:
                yield kind, reply.format(form, trap=right[0]), right[0], False


@pytest.mark.parametrize(("kind", "reply", "answer", "reason"), PAIRS)
def test_a_hand_made_pair_is_judged_for_the_right_reason(kind, reply, answer, reason):
    verdict = VERIFIERS[kind](reply, answer)
    assert (verdict.reason, verdict.ok) == (reason, reason == "equal")


@pytest.mark.parametrize("kind", VERIFIERS)
def test_every_kind_has_a_few_hundred_pairs(kind):
    assert sum(pair[0] == kind for pair in PAIRS) + sum(pair[0] == kind for pair in _in_every_place()) >= 250


@pytest.mark.parametrize("kind", VERIFIERS)
def test_an_answer_counts_in_every_place_and_form_and_the_last_one_decides(kind):
    wrong = [
        (reply, ok, VERIFIERS[kind](reply, answer))
        for each, reply, answer, ok in _in_every_place()
        if each == kind and VERIFIERS[kind](reply, answer).ok is not ok
    ]
    assert not wrong


@pytest.mark.parametrize("kind", [kind for kind in VERIFIERS if kind != "math"])
def test_equal_answers_have_one_canonical_form_and_different_ones_another(kind):
    right, wrong = FORMS[kind]
    canonical = {VERIFIERS[kind].canonical(form) for form in right}
    assert len(canonical) == 1 and None not in canonical
    assert not canonical & {VERIFIERS[kind].canonical(form) for form in wrong}


@pytest.mark.parametrize(("kind", "reply", "answer", "reason"), [pair for pair in PAIRS if pair[0] != "math"])
def test_a_reply_is_equal_where_its_canonical_form_is(kind, reply, answer, reason):
    verifier = VERIFIERS[kind]
    same = verifier.canonical(reply) is not None and verifier.canonical(reply) == verifier.canonical(answer)
    if kind == "number" and same is not (reason == "equal"):  # what a tolerance, `percent` or `units` adds
        assert "%" in reply + answer or "cent" in reply or reason == "other_unit" or "." in reply + answer
    else:
        assert same is (reason == "equal")
