"""Generator, freeze, and what built-in methods share."""

import asyncio
import json
import threading
from dataclasses import dataclass
from typing import Any, cast

import dspy
import pytest
from dspy.utils.exceptions import AdapterParseError

import synthwright as sw
from synthwright.errors import ConfigError, ParseError, TruncatedResponseError, UnknownMethodError
from synthwright.lms.adapters import SchemaAdapter
from synthwright.pool import Pool
from synthwright.portal import run_coroutine
from synthwright.programs.base import Frozen, Generator, data_path, freeze, read_jsonl, reject, unparsable
from synthwright.testing import ScriptedLM


class Riddle(sw.Row):
    word: str
    riddle: str


class WriteRiddle(dspy.Signature):
    """Write a riddle."""

    word: str = dspy.InputField()
    riddle: str = dspy.OutputField()


class JudgeRiddle(dspy.Signature):
    """Judge a riddle."""

    riddle: str = dspy.InputField()
    good: bool = dspy.OutputField()


class Riddles(Generator[Riddle]):
    roles = {"judge": ("judge", "quick")}
    presets = {"practical": {"lines": 2}, "faithful": {"lines": 4, "style": "old"}}

    def __init__(self, lines: int = 2, style: str = "new") -> None:
        super().__init__()
        self.lines, self.style = lines, style
        self.write = dspy.ChainOfThought(WriteRiddle)
        self.polish = dspy.Predict(WriteRiddle)
        self.judge = freeze(dspy.ChainOfThought(JudgeRiddle))
        self.quick = Frozen(JudgeRiddle, temperature=0.0)
        self.variants = [dspy.Predict(WriteRiddle), dspy.Predict(WriteRiddle)]

    async def aforward(self, word: str, hint: str = "") -> dspy.Prediction:
        riddle = (await self.write.acall(word=word)).riddle
        return dspy.Prediction(rows=[Riddle(word=word, riddle=riddle)])


class Plain(Riddles):
    def forward(self, word):
        return dspy.Prediction(rows=[Riddle(word=word, riddle=threading.current_thread().name)])

    aforward = Generator.aforward


lm = ScriptedLM(
    {
        "write": {"reasoning": "so", "riddle": "about it"},
    }
)
context = {"lm": lm, "adapter": SchemaAdapter()}


# Arguments and presets


def test_params_are_the_arguments_it_was_made_with():
    assert Riddles(3).params() == {"lines": 3, "style": "new"}


def test_an_argument_that_is_not_stored_is_named():
    class Forgetful(Riddles):
        def __init__(self, depth=1):
            super().__init__()

    with pytest.raises(ConfigError, match=r"Forgetful.__init__ must store its argument as `self.depth = depth`"):
        Forgetful().params()


def test_presets_are_arguments_of_which_some_may_be_replaced():
    assert Riddles.preset().params() == Riddles().params()
    assert Riddles.preset("faithful").params() == {"lines": 4, "style": "old"}
    assert Riddles.preset("faithful", lines=9).params() == {"lines": 9, "style": "old"}
    assert isinstance(Riddles.preset(), Riddles)


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("faithfull", {}, "Riddles has no preset 'faithfull'. Did you mean 'faithful'?"),
        ("x", {}, "Riddles has no preset 'x'. Known: faithful, practical."),
        ("practical", {"line": 3}, "Riddles has no argument 'line'. Did you mean 'lines'?"),
    ],
)
def test_presets_and_arguments_that_do_not_exist_are_named(name, arguments, message):
    with pytest.raises(ConfigError) as error:
        Riddles.preset(name, **arguments)
    assert str(error.value).startswith(message)


def test_a_generator_without_presets_has_a_practical_one():
    class Bare(Generator[Riddle]):
        pass

    assert Bare.preset().params() == {}


# What it is made of


def test_names_roles_and_targets():
    riddles = Riddles()
    assert list(riddles.all_predictors()) == ["polish", "write", "judge", "quick", "variants[0]", "variants[1]"]
    assert [name for name, _ in riddles.named_predictors()] == [
        "write.predict",
        "polish",
        "variants[0]",
        "variants[1]",
    ], "what is frozen is hidden from optimizers"
    assert set(riddles.target_predictors()) == {"write", "polish", "variants[0]", "variants[1]"}
    assert riddles.all_roles() == ("generator", "judge")
    assert (riddles.role_of("judge"), riddles.role_of("quick"), riddles.role_of("write")) == (
        "judge",
        "judge",
        "generator",
    )


def test_targets_may_be_named_and_frozen_ones_are_none_even_then():
    class Narrow(Riddles):
        targets = ("write", "judge")

    assert list(Narrow().target_predictors()) == ["write"]


def test_the_row_type_and_the_stem_come_from_the_class():
    class Deeper(Riddles):
        pass

    class Untyped(Generator):
        pass

    assert Riddles.row_type() is Deeper.row_type() is Riddle and Untyped.row_type() is sw.Row
    assert Riddles.stem() == "riddles" and Deeper.stem() == "deeper"


def test_seed_fields_are_the_arguments_of_whichever_forward_there_is():
    class Neither(Generator[Riddle]):
        pass

    assert Riddles.seed_fields() == ["word", "hint"] and Plain.seed_fields() == ["word"]
    assert Neither.seed_fields() == []


def test_freeze_refuses_a_bare_predict_on_which_it_has_no_effect():
    with pytest.raises(TypeError, match=r"on a bare dspy.Predict \(word -> riddle\): use Frozen, or"):
        freeze(dspy.Predict(WriteRiddle))


def test_frozen_is_a_predict_that_optimizers_do_not_see():
    riddles = Riddles()
    with dspy.context(lm=ScriptedLM({"*": {"good": True}}), adapter=SchemaAdapter()):
        assert riddles.quick(riddle="r").good is True
        assert asyncio.run(riddles.quick.acall(riddle="r")).good is True
    assert riddles.quick.predict.config == {"temperature": 0.0} and riddles.deepcopy().quick._compiled


# Planning


def test_the_default_plan_asks_each_seed_once():
    assert list(Riddles().plan(Pool(seeds=[{"word": "a"}]))) == [{"word": "a"}]
    assert list(Riddles().plan(Pool(seeds=[{"word": "a"}], round=1))) == []


def test_a_generator_without_seeds_of_its_own_asks_for_some():
    with pytest.raises(ConfigError, match=r"Riddles has no seeds of its own: pass `seeds=.*arguments word, hint\."):
        Riddles().plan(Pool())


# Forward and aforward give each other


def test_a_program_with_aforward_can_be_called():
    with dspy.context(**context):
        assert Riddles()(word="snow").rows == [Riddle(word="snow", riddle="about it")]
        assert Riddles()("snow").rows[0].word == "snow"


def test_a_program_with_forward_can_be_awaited_and_does_not_block():
    async def main():
        made = await asyncio.gather(Plain().acall(word="snow"), Plain().acall("ice"))
        return [m.rows[0] for m in made]

    rows = asyncio.run(main())
    assert [row.word for row in rows] == ["snow", "ice"]
    assert all(row.riddle != threading.main_thread().name for row in rows)


def test_a_program_can_be_called_where_a_loop_runs_and_on_threads():
    async def notebook():
        with dspy.context(**context):
            return Riddles()(word="snow")

    assert asyncio.run(notebook()).rows[0].riddle == "about it"
    found = []

    def work():
        with dspy.context(**context):
            found.append(Riddles()(word="snow"))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8


def test_the_background_loop_does_not_wait_for_itself():
    async def inside():
        return Riddles()(word="snow")

    with dspy.context(**context), pytest.raises(RuntimeError, match=r"use `await program\.acall"):
        run_coroutine(inside)


def test_errors_and_exits_come_out_of_the_background_loop_and_it_goes_on():
    async def crash(error):
        raise error

    for error in (ValueError("x"), SystemExit(3), KeyboardInterrupt()):
        with pytest.raises(type(error)):
            run_coroutine(lambda error=error: crash(error))

    async def fine():
        return 1

    assert run_coroutine(fine) == 1


# Replies that cannot be used


def test_a_verdict_is_a_reason_and_perhaps_a_detail():
    found = reject("write", "too_long: 9 words: many", word="snow", stage="of the content", verdict="also")
    assert (found.stage, found.reason, found.detail) == ("write", "too_long", "9 words: many")
    assert found.content == {"word": "snow", "stage": "of the content", "verdict": "also"}
    assert reject("write", "empty").reason == "empty" and reject("write", "empty").detail == ""


def test_an_unparsable_reply_is_kept_with_what_it_was_about():
    error = AdapterParseError(
        adapter_name="A", signature=cast(Any, WriteRiddle), lm_response="garbage", message="line one\nline two"
    )
    found = unparsable("write", error, word="snow")
    assert (found.stage, found.reason) == ("write", "unparsable") and isinstance(error, ParseError)
    assert found.content == {"word": "snow", "reply": "garbage"} and "\n" not in found.detail


def test_a_truncated_reply_is_kept_as_what_it_is():
    reject = unparsable("write", TruncatedResponseError("half", max_tokens=9), word="snow")
    assert (reject.reason, reject.content) == ("truncated", {"word": "snow", "reply": "half"})
    assert "limit of 9 tokens" in reject.detail


# Built-in methods


def test_every_built_in_method_is_found_by_any_spelling_of_its_name():
    methods = sw.list_generators()
    assert [cls.stem() for cls in methods] == sorted(cls.stem() for cls in methods)
    for cls in methods:
        stem = cls.stem()
        names = {stem, stem.replace("_", "-"), cls.__name__, cls.__name__.lower(), stem.upper(), f" {stem} "}
        assert {sw.get_generator(name) for name in names} == {cls}
        assert cls.__module__ == f"synthwright.programs.{stem}" and issubclass(cls.row_type(), sw.Row)


def test_a_name_that_is_nearly_right_is_suggested():
    methods = sw.list_generators()
    if not methods:
        pytest.skip("no built-in methods yet")
    name = methods[0].stem().replace("_", "-")
    with pytest.raises(UnknownMethodError, match=f"No method '{name}s'. Did you mean '{name}'"):
        sw.get_generator(name + "s")
    with pytest.raises(UnknownMethodError, match=r"No method 'zzz'. Known: "):
        sw.get_generator("zzz")


# Authored data


def test_lines_of_json_are_read_with_blank_ones_skipped(tmp_path):
    path = tmp_path / "data.jsonl"
    path.write_text('{"a": 1}\n\n  \n{"a": "é\u2028"}\n', encoding="utf-8")
    assert list(read_jsonl(path)) == [{"a": 1}, {"a": "é\u2028"}]
    assert data_path("x.jsonl").parent.name == "data"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"a": 1}\nnope\n', "data.jsonl, line 2: not JSON"),
        (b"[1]\n", r"data.jsonl, line 1: expected an object like \{...\}, got '\[1\]'"),
        (b"\xff\xfe", "Cannot read .*data.jsonl'"),
        (None, "Cannot read .*data.jsonl'.*No such file"),
    ],
)
def test_a_file_that_is_not_such_a_file_is_named_with_the_line(content, message, tmp_path):
    path = tmp_path / "data.jsonl"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=message):
        list(read_jsonl(path))


def test_errors_name_their_tree():
    assert issubclass(UnknownMethodError, ConfigError) and issubclass(ConfigError, ValueError)
    assert json.dumps(str(UnknownMethodError("x"))) == '"x"'


@dataclass
class Weights:
    """Stands for any object as an argument."""

    a: int = 1


def test_params_may_be_objects():
    class Weighted(Generator[Riddle]):
        def __init__(self, weights: Weights) -> None:
            super().__init__()
            self.weights = weights

    assert Weighted(Weights(2)).params() == {"weights": Weights(2)}
