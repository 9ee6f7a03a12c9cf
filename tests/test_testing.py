"""The scripted LM that our tests and users' tests answer with."""

import asyncio

import dspy
import pytest

import synthwright as sw
from synthwright.lms.raw import RawCompletion
from synthwright.testing import Reply, ScriptedLM


class Pair(dspy.Module):
    def __init__(self):
        super().__init__()
        self.ask = dspy.Predict("topic, words: list[str] -> question")
        self.answer = dspy.ChainOfThought("question -> answer: int")


def test_predictors_are_answered_by_their_names_and_calls_recorded():
    lm = ScriptedLM({"ask": {"question": "How many?"}, "answer": {"reasoning": "one, two", "answer": 2}})

    class Both(Pair):
        def forward(self, topic):
            question = self.ask(topic=topic, words=["a", "b"]).question
            return self.answer(question=question)

    with dspy.context(lm=lm, adapter=dspy.JSONAdapter()):
        made = Both()(topic="sheep\n\nwith lines")
    assert made.answer == 2 and made.reasoning == "one, two"
    assert [call.predictor for call in lm.calls] == ["ask", "answer"]
    assert lm.calls[0].inputs == {"topic": "sheep\n\nwith lines", "words": '["a", "b"]'}
    assert lm.calls[1].inputs == {"question": "How many?"}
    assert [message["role"] for message in lm.calls[0].messages] == ["system", "user"]


@pytest.mark.parametrize("adapter", [dspy.JSONAdapter(), dspy.ChatAdapter()])
def test_inputs_are_read_from_the_prompt_of_any_adapter_also_with_demonstrations(adapter):
    predict = dspy.Predict("topic -> question")
    predict.demos = [dspy.Example(topic="demo", question="demo?")]
    json, chat = '{"question": "q"}', "[[ ## question ## ]]\nq\n\n[[ ## completed ## ]]"
    lm = ScriptedLM({"*": json if isinstance(adapter, dspy.JSONAdapter) else chat})
    with dspy.context(lm=lm, adapter=adapter):
        assert predict(topic="sheep").question == "q"
    assert lm.calls[0].inputs == {"topic": "sheep"} and lm.calls[0].predictor == ""


def ask(lm, count=1):
    predict = dspy.Predict("topic -> question")
    with dspy.context(lm=lm, adapter=dspy.JSONAdapter()):
        return [predict(topic=f"t{i}").question for i in range(count)]


def test_a_list_is_used_in_order_and_then_again():
    assert ask(ScriptedLM({"*": [{"question": "a"}, {"question": "b"}]}), 5) == ["a", "b", "a", "b", "a"]


def test_a_function_gets_the_inputs():
    assert ask(ScriptedLM({"*": lambda inputs: {"question": inputs["topic"].upper()}}), 2) == ["T0", "T1"]


def test_a_function_may_return_whatever_an_answer_may_be():
    answers = {"t0": '{"question": "verbatim"}', "t1": Reply('{"question": "reply"}')}
    assert ask(ScriptedLM({"*": lambda inputs: answers[inputs["topic"]]}), 2) == ["verbatim", "reply"]


@pytest.mark.parametrize("error", [dspy.lm15.RateLimitError("slow"), dspy.lm15.RateLimitError])
def test_an_exception_is_raised(error):
    with pytest.raises(dspy.LMRateLimitError, match=r"slow|scripted failure of the call"):
        ask(ScriptedLM({"*": error}))


def test_a_star_answers_those_without_a_key():
    lm = ScriptedLM({"answer": {"reasoning": "", "answer": 1}, "*": {"question": "other"}})

    class Both(Pair):
        def forward(self, topic):
            return dspy.Prediction(q=self.ask(topic=topic, words=[]).question, a=self.answer(question="q").answer)

    with dspy.context(lm=lm, adapter=dspy.JSONAdapter()):
        made = Both()(topic="t")
    assert (made.q, made.a) == ("other", 1)


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        ({"write": "x", "judge": "y"}, "no answer for the predictor ''; it has: write, judge"),
        ({"*": []}, r"the list of answers for '\*' is empty"),
    ],
)
def test_what_cannot_be_answered_is_named(answers, message):
    with pytest.raises(dspy.LMError, match=message):
        ask(ScriptedLM(answers))


def test_a_reply_says_how_it_ended_and_what_it_cost():
    lm = ScriptedLM({"*": Reply("cut", "length", input_tokens=3, output_tokens=4)})
    response = lm(dspy.lm15.Request("scripted", messages=(dspy.lm15.Message.user("x"),)))
    assert response.finish_reason == "length" and response.message.text == "cut"
    assert (response.usage.input_tokens, response.usage.output_tokens) == (3, 4)


def test_sampling_is_recorded():
    lm = ScriptedLM({"*": {"question": "q"}}, temperature=0.3)
    predict = dspy.Predict("topic -> question", seed=5)
    with dspy.context(lm=lm, adapter=dspy.JSONAdapter()):
        predict(topic="t")
        predict(topic="t", config={"temperature": 0.9})
    assert [(call.temperature, call.seed) for call in lm.calls] == [(0.3, 5), (0.9, 5)]


def test_raw_completions_and_the_template_are_scripted_too():
    class Raw(dspy.Module):
        def __init__(self):
            super().__init__()
            self.go_on = RawCompletion(max_tokens=9)

        async def aforward(self):
            start = await self.go_on.template([{"role": "user", "content": "Hi"}])
            return await self.go_on.acall(prefix=start + "<|assistant|>\n", stop=("<|end|>",))

    lm = ScriptedLM({"go_on": lambda inputs: "after " + inputs["prefix"]})
    with dspy.context(lm=lm):
        made = asyncio.run(Raw().acall())
    assert made.text == "after <|user|>\nHi<|end|>\n<|assistant|>\n" and made.truncated is False


def test_a_scripted_lm_serves_several_runs(tmp_path):
    class Riddle(sw.Row):
        riddle: str

    class Riddles(sw.Generator[Riddle]):
        def __init__(self):
            super().__init__()
            self.write = dspy.Predict("word -> riddle")

        def forward(self, word):
            return dspy.Prediction(rows=[Riddle(riddle=self.write(word=word).riddle)])

    lm = ScriptedLM({"write": {"riddle": "x"}})
    for name in "ab":
        assert len(sw.generate(Riddles(), seeds=[{"word": "w"}], lms=lm, out=tmp_path / name)) == 1
    assert len(lm.calls) == 2 and all(call.seed is not None for call in lm.calls)
