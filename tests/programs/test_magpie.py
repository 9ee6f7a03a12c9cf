import asyncio
import inspect
from typing import Any

import dspy
import pytest

import synthwright as sw
from synthwright.errors import ConfigError
from synthwright.filters import as_filter
from synthwright.programs.blocks.chat import without_thinking
from synthwright.programs.evol_instruct import EvolInstruct
from synthwright.programs.magpie import Magpie
from synthwright.programs.magpie_queries import UsableQuery, sanitize
from synthwright.programs.magpie_templates import SENTINEL, split_at_user_turn, stop_strings
from synthwright.signatures.magpie import MULTI_ROUND, MagpieRow
from synthwright.signatures.rows import Message
from synthwright.testing import Reply, ScriptedLM

QUERY, ANSWER = "How do I keep basil alive in winter?", "Give it light and little water."
DIFFICULTY = {"intent": "Keep basil alive.", "knowledge": "Plants.", "difficulty": "easy"}
QUALITY = {"quality_assessment": "Clear and specific.", "quality": "good"}
CATEGORY = {"category": "advice seeking", "other_categories": ["planning"]}


def scripted(**answers):
    defaults = {
        "query": QUERY,
        "respond": ANSWER,
        "rate_difficulty": DIFFICULTY,
        "rate_quality": QUALITY,
        "classify": CATEGORY,
    }
    return ScriptedLM({**defaults, **answers})


def run_of(tmp_path, magpie, *, n=None, seeds=None, **answers):
    lm = scripted(**answers)
    seeds = seeds or [{"draw": i} for i in range(n or 1)]
    return sw.generate(magpie, seeds=seeds, out=tmp_path, lms=lm), lm


def lost(run):
    return {(stage, reason): count for stage, reason, count in run.funnel.lost}


def calls_of(lm, predictor):
    return [call for call in lm.calls if call.predictor == predictor]


def names(magpie):
    return [as_filter(f).name for f in magpie.filters]


def row_of(*texts, **fields):
    roles = ("user", "assistant")
    talk = tuple(Message(role=roles[i % 2], content=text) for i, text in enumerate(texts))
    return MagpieRow(instruction=texts[0], response=texts[1], messages=talk, **fields)


# One exchange


def test_a_query_is_sampled_from_the_bare_user_slot_answered_as_a_plain_chat_and_tagged(tmp_path):
    run, lm = run_of(tmp_path, Magpie(), query=f" {QUERY}\n")
    (row,) = run.rows
    assert (row.instruction, row.response) == (QUERY, ANSWER)
    assert [(m.role, m.content) for m in row.messages] == [("user", QUERY), ("assistant", ANSWER)]
    assert (row.intent, row.knowledge, row.difficulty) == tuple(DIFFICULTY.values())
    assert (row.quality_assessment, row.quality) == tuple(QUALITY.values())
    assert (row.category, row.other_categories) == ("advice seeking", ("planning",))
    assert (row.instruction_length, row.response_length) == (8, 6)
    assert row.raw_instruction is None and row.sanitized == () and row.reward is row.safety is row.language is None
    ask, answer, *tags = lm.calls
    assert (ask.predictor, ask.inputs, ask.temperature) == ("query", {"prefix": "<|user|>\n"}, 1.0)
    assert (answer.predictor, answer.messages, answer.temperature) == (
        "respond",
        [{"role": "user", "content": QUERY}],
        0.0,
    )
    assert [call.predictor for call in tags] == ["rate_difficulty", "rate_quality", "classify"]
    assert [call.temperature for call in tags] == [0.0] * 3 and tags[0].inputs == {"query": QUERY}


def test_equal_prefixes_are_independent_draws(tmp_path):
    _, lm = run_of(tmp_path, Magpie(tags=False), n=4)
    seeds = [call.seed for call in calls_of(lm, "query")]
    assert len(set(seeds)) == 4


def test_queries_are_sampled_until_there_are_enough_rows(tmp_path):
    lm = scripted(query=["Where is Oslo?", "", "Who wrote Emma?", "What is rye?"])
    run = sw.generate(Magpie(tags=False), n=3, out=tmp_path, lms=lm)
    assert [row.instruction for row in run] == ["Where is Oslo?", "Who wrote Emma?", "What is rye?"]
    assert run.funnel.asked == 4 and lost(run) == {("query", "empty"): 1}


def test_without_a_target_there_is_one_pass_over_the_total():
    assert list(Magpie(total=3).plan(sw.Pool())) == [{"draw": 0}, {"draw": 1}, {"draw": 2}]
    assert list(Magpie(total=3).plan(sw.Pool(round=1))) == []
    endless = iter(Magpie(total=3).plan(sw.Pool(target=9)))
    assert [next(endless)["draw"] for _ in range(5)] == [0, 1, 2, 3, 4]


def test_a_given_instruction_is_answered_and_tagged_and_a_given_response_leaves_only_the_tags(tmp_path):
    seeds = [{"instruction": "Name a tree."}, {"instruction": "Name a river.", "response": "The Elbe."}]
    run, lm = run_of(tmp_path, Magpie(), seeds=seeds)
    assert [(row.instruction, row.response) for row in run] == [
        ("Name a tree.", ANSWER),
        ("Name a river.", "The Elbe."),
    ]
    assert len(calls_of(lm, "query")) == 0 and len(calls_of(lm, "respond")) == 1 and len(calls_of(lm, "classify")) == 2


def test_a_response_without_its_instruction_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="needs its `instruction`"):
        run_of(tmp_path, Magpie(), seeds=[{"response": "The Elbe."}])


# The user slot of a chat template


TEMPLATES = {  # family: rendered text around the user's words, where the query ends
    "llama 3": (
        "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\n",
        "<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n",
        ("<|eot_id|>", "<|start_header_id|>", "<|end_header_id|>"),
    ),
    "qwen 2.5": (
        "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n",
        "<|im_end|>\n<|im_start|>assistant\n",
        ("<|im_end|>", "<|im_start|>"),
    ),
    "gemma 2": (
        "<bos><start_of_turn>user\n",
        "<end_of_turn>\n<start_of_turn>model\n",
        ("<end_of_turn>", "<start_of_turn>"),
    ),
    "mistral": ("<s>[INST] ", " [/INST]", ("[/INST]",)),
    "vicuna": ("A chat.\n\nUSER: ", " ASSISTANT:", ("ASSISTANT:",)),
    "thinking": ("<|im_start|>user\n", "<|im_end|>\n<|im_start|>assistant\n<think>\n", ("<|im_end|>", "<|im_start|>")),
}


@pytest.mark.parametrize("family", TEMPLATES)
def test_the_user_slot_is_found_in_any_template_default_system_turn_included(family):
    before, after, stop = TEMPLATES[family]
    assert split_at_user_turn(before + SENTINEL + after) == (before, after)
    assert stop_strings(after) == stop


@pytest.mark.parametrize("rendered", ["", SENTINEL * 2])
def test_a_template_that_drops_or_repeats_the_users_words_is_refused(rendered):
    with pytest.raises(ConfigError, match="needs them once"):
        split_at_user_turn(rendered)


@pytest.mark.parametrize("bos", ["", "<s>", "<|begin_of_text|>"])
def test_a_base_model_without_a_user_header_is_refused(tmp_path, bos):
    lm = ScriptedLM({"*": QUERY}, template=(bos, "\n"))
    with pytest.raises(ConfigError, match="base model"):
        sw.generate(Magpie(), n=1, out=tmp_path, lms=lm)


def test_a_chat_only_lm_is_refused(tmp_path):
    lm = scripted()
    engine: Any = lm.engine
    engine.supports_raw = False
    with pytest.raises(ConfigError, match="cannot continue a bare text"):
        sw.generate(Magpie(), n=1, out=tmp_path, lms=lm)
    assert lm.calls == []


def test_a_given_prefix_stands_in_for_the_template(tmp_path):
    prefix = "<|im_start|>user\n"
    _, lm = run_of(tmp_path, Magpie(prefix=prefix, tags=False))
    assert calls_of(lm, "query")[0].inputs == {"prefix": prefix}
    assert slot(Magpie(prefix=prefix)) == (prefix, ("<|im_start|>",))


def slot(magpie, talk=()):
    with dspy.context(lm=scripted()):
        return asyncio.run(magpie._user_slot(talk))


def test_the_practical_preset_ends_a_query_at_the_models_turn_tokens_only():
    assert slot(Magpie()) == ("<|user|>\n", ("<|end|>",))


def test_the_faithful_preset_also_ends_it_at_the_role_word_and_the_first_newline():
    faithful = Magpie.preset("faithful")
    assert slot(faithful)[1] == ("<|end|>", "assistant", "Assistant", "\n")
    talk = [Message(role="user", content=QUERY), Message(role="assistant", content=ANSWER)]
    assert slot(faithful, talk)[1] == ("<|end|>", "\n")  # as the authors' gen_mt.py


# Control and several turns


def test_a_system_message_steers_the_query_and_is_absent_when_it_is_answered(tmp_path):
    _, lm = run_of(tmp_path, Magpie(system="You tutor maths.", tags=False))
    assert calls_of(lm, "query")[0].inputs == {"prefix": "<|system|>\nYou tutor maths.<|end|>\n<|user|>\n"}
    assert calls_of(lm, "respond")[0].messages == [{"role": "user", "content": QUERY}]


def test_a_template_that_drops_system_messages_is_refused(tmp_path):
    lm = scripted()
    engine: Any = lm.engine
    engine.template = lambda messages: f"<|user|>\n{messages[-1]['content']}<|end|>"
    with pytest.raises(ConfigError, match="drops system messages"):
        sw.generate(Magpie(system="You tutor maths."), n=1, out=tmp_path, lms=lm)


def test_a_follow_up_is_sampled_after_the_finished_conversation_with_a_system_message_of_its_own(tmp_path):
    follow_up, second = "And how much light is enough?", "Six hours a day."
    run, lm = run_of(tmp_path, Magpie(turns=2, tags=False), query=[QUERY, follow_up], respond=[ANSWER, second])
    (row,) = run.rows
    assert [m.content for m in row.messages] == [QUERY, ANSWER, follow_up, second]
    assert (row.instruction, row.response) == (QUERY, ANSWER)
    first, later = calls_of(lm, "query")
    assert MULTI_ROUND not in first.inputs["prefix"]
    assert later.inputs["prefix"] == (
        f"<|system|>\n{MULTI_ROUND}<|end|>\n<|user|>\n{QUERY}<|end|>\n<|assistant|>\n{ANSWER}<|end|>\n<|user|>\n"
    )
    assert [m["role"] for m in calls_of(lm, "respond")[1].messages] == ["user", "assistant", "user"]


def test_bos_and_default_system_turn_stand_once_in_a_later_turn(tmp_path):
    lm = scripted(query=["Why is the sky blue?", "Does this hold on Mars?"])
    engine: Any = lm.engine

    def template(messages):
        return "<s>" + "".join(f"[{m['role'].upper()}]{m['content']}" for m in messages) + "[ASSISTANT]"

    engine.template = template
    sw.generate(Magpie(turns=2, tags=False), n=1, out=tmp_path, lms=lm)
    later = calls_of(lm, "query")[1].inputs["prefix"]
    assert later.count("<s>") == later.count("[SYSTEM]") == 1 and later.endswith("[USER]")


def test_a_conversation_whose_next_user_turn_is_empty_is_lost_with_what_it_had(tmp_path):
    run, _ = run_of(tmp_path, Magpie(turns=2, tags=False), query=[QUERY, " "])
    assert lost(run) == {("query", "empty"): 1} and len(run) == 0


@pytest.mark.parametrize(
    ("turn", "reason"),
    [
        ("Sure, here are five more tips.", "assistant_voiced"),
        ("3. Harvest the leaves from the top.", "continues_the_answer"),
        ("Keep it out of the draught and turn the pot, too.", "continues_the_answer"),
        (QUERY, "repeats_a_turn"),
        ("Thanks!<|im_end|>", "template_token"),
        ("<think>The user wants more", "template_token"),
        ("Now explain this:", "ends_with_colon"),
        ("42 ??", "no_words"),
    ],
)
def test_a_later_user_turn_that_no_user_would_send_drops_the_row(turn, reason):
    answer = "1. Give it light.\n2. Keep it out of the draught and turn the pot."
    found = UsableQuery().check(row_of(QUERY, answer, turn, "Fine."))
    assert found and found.partition(":")[0] == reason


@pytest.mark.parametrize(
    "query",
    [
        "Sure-footed goats: how do they climb?",
        "Here are my symptoms: fever and a cough. What could it be?",
        "I'm sorry, I can't find my keys. Where do people usually lose them?",
        "Fix this:\n```python\nprint(f'{x}')\n```",
        "Was ist ein Fagott?",
        "1. What is rye? 2. What is barley?",
        "Write an essay on how an AI assistant answers.",
    ],
)
def test_what_a_user_would_send_passes(query):
    assert UsableQuery().check(row_of(query, ANSWER)) is None


# What a query or an answer can be


def test_an_assistant_style_opener_is_dropped_by_name(tmp_path):
    run, _ = run_of(tmp_path, Magpie(tags=False), query="Certainly! Here is a poem about the sea.")
    assert lost(run) == {("usable_query", "assistant_voiced"): 1}


def test_special_tokens_as_text_are_dropped_in_queries_and_answers(tmp_path):
    run, _ = run_of(
        tmp_path,
        Magpie(tags=False),
        n=2,
        query=["What is rye?<|im_start|>", "What is oats?"],
        respond=["A grain.", "A grain.[/INST]"],
    )
    assert lost(run) == {("usable_query", "template_token"): 2}


def test_a_query_or_an_answer_that_hits_its_token_limit_is_dropped_and_kept_as_a_reject(tmp_path):
    run, lm = run_of(
        tmp_path,
        Magpie(tags=False),
        n=2,
        query=[Reply("I have been wondering whether", "length"), QUERY],
        respond=Reply("It depends on", "length"),
    )
    assert lost(run) == {("query", "truncated"): 1, ("respond", "truncated"): 1}
    assert len(calls_of(lm, "respond")) == 1
    assert "I have been wondering whether" in (tmp_path / "rejected.jsonl").read_text()


def test_thinking_before_an_answer_is_left_out():
    assert without_thinking("<think>\nlight, water\n</think>\n\nGive it light.") == "Give it light."
    assert without_thinking("light, water\n</think>\nGive it light.") == "Give it light."  # opened by the template
    assert without_thinking("<think>\nlight, wa") == ""


def test_an_answer_that_is_empty_or_all_thinking_is_dropped(tmp_path):
    run, _ = run_of(tmp_path, Magpie(tags=False), n=2, respond=["", "<think>hm"])
    assert lost(run) == {("respond", "empty"): 2}


@pytest.mark.parametrize(
    ("raw", "clean", "rules"),
    [
        ("What is rye?", "What is rye?", ()),
        ("Question 1: What is rye?", "What is rye?", ("label",)),
        ("**User:** What is rye?", "What is rye?", ("label",)),
        ("## Step 1: Find x.", "Find x.", ("heading", "label")),
        ("3. What is rye?", "What is rye?", ("numbering",)),
        ("1. Name a tree.\n2. Name a river.", "1. Name a tree.\n2. Name a river.", ()),
        ("What is rye?\nAnswer: A grain.", "What is rye?", ("answer",)),
        ("What is 2 + 2? Solution: 4", "What is 2 + 2?", ("answer",)),
        ("What is rye?\n\n**Answer:**\nA grain.", "What is rye?", ("answer",)),
        ("Why is **rye** grown?", "Why is rye grown?", ("bold",)),
        ("Is 2**3 more than 3**2 in f(**a, **b)?", "Is 2**3 more than 3**2 in f(**a, **b)?", ()),
        ('"What is rye?"', "What is rye?", ("quotes",)),
        ("What is the answer: yes or no?", "What is the answer: yes or no?", ()),
    ],
)
def test_sanitizing_strips_what_is_not_the_users(raw, clean, rules):
    assert sanitize(raw) == (clean, rules)


def test_a_sanitized_query_keeps_its_raw_form(tmp_path):
    raw = "Question: What is rye?\nAnswer: A grain."
    run, lm = run_of(tmp_path, Magpie(tags=False), query=raw)
    assert (run.rows[0].instruction, run.rows[0].raw_instruction) == ("What is rye?", raw)
    assert run.rows[0].sanitized == ("label", "answer")
    assert calls_of(lm, "respond")[0].messages[0]["content"] == "What is rye?"


def test_sanitizing_is_off_in_the_faithful_preset(tmp_path):
    run, _ = run_of(tmp_path, Magpie.preset("faithful", tags=False), query="Question: What is rye?")
    assert run.rows[0].instruction == "Question: What is rye?" and run.rows[0].raw_instruction is None


def test_a_multi_line_query_survives_the_practical_preset(tmp_path):
    code = "Why does this fail?\n```python\nprint(1 / 0)\n```"
    assert run_of(tmp_path, Magpie(tags=False), query=code)[0].rows[0].instruction == code


def test_a_query_that_mentions_an_assistant_is_not_cut(tmp_path):
    query = "Write a job advert for a dental assistant in Bergen."
    assert run_of(tmp_path, Magpie(tags=False), query=query)[0].rows[0].instruction == query


# Tags and filters


def test_braces_in_an_assessment_and_the_category_others_are_not_lost(tmp_path):
    quality = {"quality_assessment": "It uses {braces} and a '}' well.", "quality": "good"}
    category = {"category": "others", "other_categories": ["others", "math", "math"]}
    (row,) = run_of(tmp_path, Magpie(), rate_quality=quality, classify=category)[0].rows
    assert row.quality_assessment == quality["quality_assessment"] and row.quality == "good"
    assert (row.category, row.other_categories) == ("others", ("math",))


@pytest.mark.parametrize("tagger", ["rate_difficulty", "rate_quality", "classify"])
def test_a_tag_that_cannot_be_read_drops_the_row_with_the_reply(tmp_path, tagger):
    run, _ = run_of(tmp_path, Magpie(), n=1, **{tagger: "no idea"})
    assert lost(run) == {(tagger, "unparsable"): 1}
    assert "no idea" in (tmp_path / "rejected.jsonl").read_text()


def test_an_error_of_the_lm_is_not_taken_for_a_bad_reply(tmp_path):
    run, _ = run_of(tmp_path, Magpie(), n=2, respond=[ANSWER, dspy.LMInvalidRequestError("the server is gone")])
    assert run.funnel.failed == 1 and lost(run) == {}


def test_rows_below_a_level_are_dropped_by_the_level(tmp_path):
    levels = iter(["very poor", "poor", "average", "good"])
    magpie = Magpie(min_difficulty="medium")
    run, _ = run_of(
        tmp_path,
        magpie,
        n=5,
        query=["What is rye?", "Where is Oslo?", "Who wrote Emma?", "How do bees dance?", "When was Rome built?"],
        rate_quality=lambda _: {"quality_assessment": "So.", "quality": next(levels, "excellent")},
        rate_difficulty=[{**DIFFICULTY, "difficulty": "hard"}] * 4 + [{**DIFFICULTY, "difficulty": "very easy"}],
    )
    assert lost(run) == {
        ("min_quality", "very_poor"): 1,
        ("min_quality", "poor"): 1,
        ("min_difficulty", "very_easy"): 1,
    }
    assert [row.quality for row in run] == ["average", "good"]


def test_a_query_that_ends_with_a_colon_is_dropped(tmp_path):
    run, _ = run_of(tmp_path, Magpie.preset("faithful", tags=False), query="Translate the following text:")
    assert lost(run) == {("ends_with", "ends_with"): 1}


def test_exact_and_near_copies_are_dropped_and_the_first_row_has_no_neighbour(tmp_path):
    run, _ = run_of(
        tmp_path,
        Magpie(tags=False),
        n=4,
        query=[QUERY, QUERY.upper(), "How do I keep my basil alive in the winter?", "Who wrote Emma?"],
    )
    assert lost(run) == {("exact_duplicate", "duplicate"): 1, ("min_hash_novelty", "near_duplicate"): 1}
    assert [row.instruction for row in run] == [QUERY, "Who wrote Emma?"]


def embed(texts):
    return [[1.0, 0.0] if "bread" in text else [0.0, 1.0] for text in texts]


def test_with_an_embedder_near_copies_are_neighbours_in_its_space(tmp_path):
    queries = ["How is bread made?", "Tell me the steps of baking bread.", "Who wrote Emma?"]
    run, _ = run_of(tmp_path, Magpie(tags=False, embedder=embed), n=3, query=queries)
    assert lost(run) == {("embedding_novelty", "near_duplicate"): 1}
    assert "min_hash_novelty" not in names(Magpie(embedder=embed))


def test_without_an_embedder_the_funnel_says_that_words_were_compared():
    assert "min_hash_novelty" in names(Magpie()) and "embedding_novelty" in names(Magpie(embedder="embedded"))
    (words,) = (f for f in Magpie().filters if as_filter(f).name == "min_hash_novelty")
    assert repr(words).startswith("MinHashNovelty(field_name='instruction', threshold=0.8")
    (meaning,) = (f for f in Magpie(embedder="embedded").filters if as_filter(f).name == "embedding_novelty")
    assert "Embedder(threads=1), threshold=0.05, metric='squared_l2'" in repr(meaning)


def word_count(instruction, response):
    return float(len(response.split()))


def minus(instruction, response):
    return -10.0 if "water" in response else -9.5


def test_rewards_are_stored_and_must_be_above_the_threshold(tmp_path):
    run, _ = run_of(
        tmp_path, Magpie(tags=False, reward=minus), n=2, query=["What is rye?", QUERY], respond=["A grain.", ANSWER]
    )
    assert [row.reward for row in run] == [-9.5]
    assert lost(run) == {("min_reward", "low_reward"): 1}


def test_without_a_reward_model_there_is_no_reward_filter_rather_than_one_that_passes_all():
    assert "min_reward" not in names(Magpie())
    assert "min_reward" in names(Magpie(reward=word_count))


def guard(instruction, response):
    return "violence" if "bomb" in instruction else "safe"


def english(instruction):
    return "en"


def test_safety_and_language_are_stored_and_unsafe_rows_dropped(tmp_path):
    run, _ = run_of(
        tmp_path, Magpie(tags=False, safety=guard, language=english), n=2, query=["How is a bomb made?", QUERY]
    )
    assert [(row.safety, row.language) for row in run] == [("safe", "en")]
    assert lost(run) == {("safe", "unsafe"): 1}


def test_seeking_queries_are_capped_at_their_share(tmp_path):
    queries = ["Where is Oslo?", "Who wrote Emma?", "What is rye?", "Add 2 and 2.", "How tall is K2?"]
    run, _ = run_of(
        tmp_path,
        Magpie(max_seeking=0.5),
        n=5,
        query=queries,
        classify=lambda inputs: {
            "category": "math" if "2." in inputs["query"] else "information seeking",
            "other_categories": [],
        },
    )
    assert [row.instruction for row in run] == ["Where is Oslo?", "Add 2 and 2."]
    assert lost(run) == {("seeking_share", "too_many"): 3}


# The base model


def length_of_answer(instruction, response):
    return float(len(response))


def test_the_gain_over_a_base_model_is_stored_and_must_be_above_the_threshold(tmp_path):
    generator = scripted(query=["What is rye?", QUERY], respond=["A grain of the north.", "Water."])
    base = ScriptedLM({"respond_base": "Grain, water."}, model="base")
    magpie = Magpie(tags=False, reward=length_of_answer, base_answers=True)
    lms = {"generator": generator, "base": base}
    run = sw.generate(magpie, seeds=[{"draw": 0}, {"draw": 1}], out=tmp_path, lms=lms)
    (row,) = run.rows
    assert (row.base_response, row.base_reward, row.reward) == ("Grain, water.", 13.0, 21.0)
    assert lost(run) == {("min_gain", "low_gain"): 1}
    assert base.calls[0].messages == [{"role": "user", "content": "What is rye?"}] and base.calls[0].temperature == 0


def test_one_lm_cannot_be_better_than_itself(tmp_path):
    with pytest.raises(ConfigError, match="`base` is served by the LM of `generator`"):
        run_of(tmp_path, Magpie(tags=False, reward=length_of_answer, base_answers=True), respond_base="Grain.")


def test_a_base_answer_that_is_cut_drops_the_row(tmp_path):
    magpie = Magpie(tags=False, reward=length_of_answer, base_answers=True)
    lms = {"generator": scripted(), "base": ScriptedLM({"*": Reply("Wat", "length")}, model="base")}
    run = sw.generate(magpie, seeds=[{"draw": 0}], out=tmp_path, lms=lms)
    assert lost(run) == {("respond_base", "truncated"): 1}


# Rows of another run


def test_rows_of_another_run_are_seeds_as_they_are_and_stay_in_the_lineage(tmp_path):
    evolved = row_of("Name a tree.", "An oak.").record()
    made = {"id": "a1", "provenance": None, "instruction": "Sort these.", "input": "3, 1", "output": "1, 3"}
    bare = {"id": "b2", "provenance": None, "instruction": "Name a river.", "response": " ", "root_id": "r7"}
    run, lm = run_of(tmp_path, Magpie(), seeds=[evolved, made, bare])
    assert [(row.instruction, row.response) for row in run] == [
        ("Name a tree.", "An oak."),
        ("Sort these.\n3, 1", "1, 3"),
        ("Name a river.", ANSWER),
    ]
    assert [row.parent_ids for row in run] == [(evolved["id"],), ("a1",), ("r7", "b2")]
    assert len(calls_of(lm, "respond")) == 1 and all(row.quality == "good" for row in run)


def test_a_row_without_an_instruction_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="Seed 0 is a row without an `instruction`; it has id, provenance, riddle"):
        run_of(tmp_path, Magpie(), seeds=[{"id": "a1", "provenance": None, "riddle": "?"}])


def test_a_chain_of_three_methods_keeps_its_lineage(tmp_path):
    task = {"id": "task1", "provenance": None, "instruction": "Describe a cat.", "input": "", "output": "Furry."}
    lm = ScriptedLM({"deepen": {"evolved_instruction": "Describe a cat that hunts at night, and say why it does."}})
    evolve = EvolInstruct(operators=("deepen",), rounds=1, judge=False, answer=False)
    evolved = sw.generate(evolve, seeds=[task], out=tmp_path / "evolved", lms=lm)
    run, _ = run_of(tmp_path / "tagged", Magpie(), seeds=evolved.records())
    (parent,), (row,) = evolved.rows, run.rows
    assert parent.parent_ids == ("task1",) and row.parent_ids == (parent.root_id, parent.id)
    assert (row.instruction, row.response, row.quality) == (parent.instruction, ANSWER, "good")


# Preference pairs


def test_the_best_and_the_worst_of_five_resampled_answers_make_a_pair(tmp_path):
    answers = ["a b", "a b c d", "a", Reply("a b c d e", "length"), "a b c"]
    magpie = Magpie(tags=False, reward=word_count, preferences=True)
    run, lm = run_of(tmp_path, magpie, resample=answers)
    (row,) = run.rows
    assert (row.chosen, row.chosen_reward, row.rejected, row.rejected_reward) == ("a b c d", 4.0, "a", 1.0)
    assert row.response == ANSWER and row.reward == 6.0
    resampled = calls_of(lm, "resample")
    assert [call.temperature for call in resampled] == [0.8] * 5 and len({call.seed for call in resampled}) == 5
    assert lost(run) == {("resample", "truncated"): 1}


def test_an_empty_resample_is_not_the_worst_answer_but_a_reject(tmp_path):
    magpie = Magpie(tags=False, reward=word_count, preferences=True, samples=3)
    run, _ = run_of(tmp_path, magpie, resample=["a b", "<think>hm", "a"])
    assert (run.rows[0].chosen, run.rows[0].rejected) == ("a b", "a")
    assert lost(run) == {("resample", "empty"): 1}


def test_a_pair_is_exported_with_its_margin_and_a_row_without_one_is_not():
    pair = {"chosen": "a b", "chosen_reward": 2.0, "rejected": "a", "rejected_reward": 0.5}
    found = row_of(QUERY, ANSWER, **pair).to_preference()
    assert found is not None and found.margin == 1.5
    assert [part[0].content for part in (found.prompt, found.chosen, found.rejected)] == [QUERY, "a b", "a"]
    assert row_of(QUERY, ANSWER).to_preference() is None


def test_a_conversation_is_exported_whole_and_its_prompt_ends_before_the_last_answer():
    row = row_of(QUERY, ANSWER, "And basil?", "The same.")
    assert [m.content for m in row.to_messages() or []] == [QUERY, ANSWER, "And basil?", "The same."]
    assert [m.content for m in row.to_prompt() or []] == [QUERY, ANSWER, "And basil?"]


def test_answers_of_equal_reward_make_no_pair(tmp_path):
    magpie = Magpie(tags=False, reward=word_count, preferences=True, samples=2)
    run, _ = run_of(tmp_path, magpie, resample="always the same")
    assert lost(run) == {("resample", "no_preference"): 1}


# Arguments, presets, predictors


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"turns": 0}, "`turns` must be at least 1"),
        ({"temperature": -1.0}, "`temperature` must be 0 or more"),
        ({"top_p": 0.0}, r"`top_p` in \(0, 1\]"),
        ({"max_seeking": 0.0}, "`max_seeking`"),
        ({"min_quality": "superb"}, "`min_quality` must be one of 'very poor'"),
        ({"min_difficulty": "tough"}, "`min_difficulty` must be one of 'very easy'"),
        ({"prefix": " "}, "cannot be empty"),
        ({"prefix": "<|user|>", "turns": 2}, "turns=2"),
        ({"prefix": "<|begin_of_text|><|user|>"}, r"begins with '<\|begin_of_text\|>', .*Leave that out"),
        ({"prefix": "<|user|>", "system": "Be brief."}, "write a system message into the prefix"),
        ({"preferences": True}, "needs `reward`"),
        ({"base_answers": True}, "got reward=None"),
        ({"embedder": "minilm"}, "must be a function, 'embedded' or None, got 'minilm'"),
        ({"preferences": True, "reward": word_count, "turns": 2}, "one turn"),
    ],
)
def test_wrong_arguments_say_what_to_do(arguments, message):
    with pytest.raises(ConfigError, match=message):
        Magpie(**arguments)


def test_practical_is_the_default_and_faithful_has_the_papers_numbers():
    defaults = {name: p.default for name, p in inspect.signature(Magpie.__init__).parameters.items()}
    assert dict(Magpie.presets["practical"]).items() <= defaults.items()
    faithful = Magpie.preset("faithful")
    assert (faithful.query_tokens, faithful.response_tokens, faithful.tag_tokens) == (2048, 4096, 1024)
    assert names(faithful) == ["ends_with", "min_quality", "exact_duplicate", "embedding_novelty"]
    assert Magpie().params()["turn_system"] == MULTI_ROUND


def test_optimizers_see_the_three_taggers_which_use_the_judge(tmp_path):
    magpie = Magpie()
    assert set(magpie.target_predictors()) == {"rate_difficulty", "rate_quality", "classify"}
    assert (
        magpie.role_of("rate_quality") == "judge"
        and magpie.role_of("query") == magpie.role_of("respond") == "generator"
    )
    judge, generator = scripted(), scripted()
    sw.generate(magpie, n=1, out=tmp_path, lms={"generator": generator, "judge": judge})
    assert [c.predictor for c in generator.calls] == ["query", "respond"] and len(judge.calls) == 3


# On a real LM


@pytest.mark.embedded
def test_the_embedded_lm_writes_and_answers_its_own_queries(embedded, tmp_path):
    magpie = Magpie(tags=False, response_tokens=128)  # with this seed the first draw has a short answer
    run = sw.generate(magpie, n=1, seed=5, out=tmp_path, lms=embedded, concurrency=1)
    (row,) = run.rows
    assert row.instruction and row.response and [m.role for m in row.messages] == ["user", "assistant"]
    assert "<|im" not in row.instruction + row.response


@pytest.mark.embedded
def test_the_embedded_lm_tags_a_given_exchange(embedded, tmp_path):
    seeds = [{"instruction": "What is the capital of Peru?", "response": "Lima."}]
    run = sw.generate(Magpie(min_quality=None), seeds=seeds, out=tmp_path, lms=embedded)
    assert len(run) + sum(lost(run).values()) == 1
    for row in run:
        assert row.difficulty and row.quality and row.category and row.response == "Lima."
