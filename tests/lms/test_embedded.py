"""The embedded LM, for real: llama.cpp in this process with SmolLM2-135M-Instruct."""

import asyncio
import pickle
from typing import Literal

import dspy
import pytest
from dspy.lm15 import Config, Message, Request
from dspy.utils.exceptions import ContextWindowExceededError

import synthwright as sw
from synthwright.errors import ConfigError, ModelFileError, TruncatedResponseError
from synthwright.lms import RAW, EmbeddedEngine, Meter, weights
from synthwright.lms.adapters import AutoAdapter, SchemaAdapter, response_schema
from synthwright.lms.metered import metered

pytestmark = pytest.mark.embedded


class Colors(sw.Row):
    colors: list[str]
    mood: str


class NameColors(dspy.Signature):
    """Name one or two colors of the thing, and its mood."""

    thing: str = dspy.InputField()
    mood: Literal["warm", "cold"] = dspy.OutputField()
    colors: list[str] = dspy.OutputField()


class NameThings(sw.Generator[Colors]):
    def __init__(self):
        super().__init__()
        self.name = dspy.Predict(NameColors, temperature=1.0, max_tokens=28)

    async def aforward(self, thing):
        made = await self.name.acall(thing=thing)
        return dspy.Prediction(rows=[Colors(colors=made.colors, mood=made.mood)])


def request(lm, text, **config):
    return Request(lm.model, messages=(Message.user(text),), config=Config(**config))


def raw(lm, text, **config):
    return lm(request(lm, text, extensions={RAW: True}, temperature=0.0, **config))


def test_it_chats_and_counts_tokens(embedded):
    response = embedded(request(embedded, "Say hello.", max_tokens=60, temperature=0.0))
    assert "hello" in response.message.text.lower() and response.finish_reason == "stop"
    assert 20 < response.usage.input_tokens < 60 and 2 <= response.usage.output_tokens < 60


def test_the_same_seed_gives_the_same_text_and_another_another(embedded):
    texts = [embedded("Write a sentence about snow.", seed=seed, max_tokens=24, temperature=1.0) for seed in (1, 1, 2)]
    assert texts[0] == texts[1] != texts[2]


def test_twenty_draws_at_temperature_one_all_have_the_types_they_should(embedded):
    schema = {"type": "json_schema", "name": "outputs", "schema": response_schema(NameColors)}

    async def draw(seed):
        text = f"Name two colors of the {('sea', 'snow', 'sky', 'sun')[seed % 4]}."
        call = request(embedded, text, response_format=schema, seed=seed, temperature=1.0, max_tokens=40)
        return await embedded.acall(call)

    async def main():
        return await asyncio.gather(*(draw(seed) for seed in range(20)))

    replies = [reply for reply in asyncio.run(main()) if reply.finish_reason == "stop"]
    assert len(replies) >= 4, "many hit the limit of 40 tokens, lists being what they are"
    made = [SchemaAdapter().parse(NameColors, reply.message.text) for reply in replies]
    assert all(set(fields) == {"mood", "colors"} and fields["mood"] in ("warm", "cold") for fields in made)
    assert all(isinstance(color, str) for fields in made for color in fields["colors"])
    assert len({str(fields) for fields in made}) > len(made) // 2, "draws are independent"


def test_a_run_on_it_gives_rows_with_the_types_they_should_have(embedded, tmp_path):
    run = sw.generate(NameThings(), seeds=[{"thing": "snow"}, {"thing": "fire"}], lms=embedded, out=tmp_path)
    assert {reason for _, reason, _ in run.funnel.lost} <= {"truncated"}, "whatever is whole can be read"
    assert run.funnel.asked == run.funnel.made == run.total_usage.calls == 2
    assert run.total_usage.input_tokens > 200 and all(row.mood in ("warm", "cold") for row in run)


def test_a_reply_that_hits_its_limit_is_an_error_and_not_mended(embedded):
    lm = metered(embedded, role="r", meter=Meter())
    with dspy.context(lm=lm, adapter=AutoAdapter()), pytest.raises(TruncatedResponseError, match="limit of 6") as error:
        dspy.Predict("thing -> story", max_tokens=6)(thing="snow")
    assert error.value.text.startswith("{") and not error.value.text.endswith("}")


def test_it_continues_a_bare_text_and_stops_where_it_should(embedded):
    cut = raw(embedded, "The capital of France is", max_tokens=4)
    assert cut.message.text.startswith(" Paris") and cut.finish_reason == "length" and cut.usage.output_tokens == 4
    whole = raw(embedded, "The capital of France is", max_tokens=30, stop=(".",))
    assert whole.message.text == " Paris" and whole.finish_reason == "stop"


def test_it_tells_its_chat_template(embedded):
    text = embedded.engine.template([{"role": "user", "content": "Hi <b>"}])
    assert text.endswith("<|im_start|>user\nHi <b><|im_end|>\n<|im_start|>assistant\n")


def test_four_requests_at_once_are_answered_each_its_own(embedded):
    async def main():
        words = ("red", "blue", "seven", "cat")
        calls = (embedded.acall(f"Say only the word {word}.", temperature=0.0, max_tokens=12) for word in words)
        return dict(zip(words, await asyncio.gather(*calls), strict=True))

    replies = asyncio.run(main())
    assert sum(word in reply[0].lower() for word, reply in replies.items()) >= 3


def test_a_prompt_that_does_not_fit_says_what_to_do(embedded):
    with pytest.raises(
        ContextWindowExceededError, match=r"prompt has 9\d\d\d tokens and a slot .* holds 4096"
    ) as error:
        embedded("x " * 9000)
    assert "fewer demonstrations, shorter inputs, or embedded_lm(context=...)" in str(error.value)


def test_a_request_that_llama_cpp_cannot_compile_is_an_invalid_request(embedded):
    schema = {"type": "json_schema", "schema": {"type": "nonsense"}}
    with pytest.raises(dspy.LMInvalidRequestError, match="the embedded LM refused the request"):
        embedded(request(embedded, "x", response_format=schema))


def test_text_in_any_script_survives(embedded):
    response = raw(embedded, "日本語 é \U0001f600 \x00 \u2028", max_tokens=1)
    assert response.finish_reason == "length"


def test_equal_arguments_share_one_model_and_copies_one_server(embedded):
    assert sw.embedded_lm(slots=2) is embedded
    assert sw.embedded_lm(slots=2, temperature=0.1) is not embedded
    assert embedded.copy(temperature=0.1).engine.server() is embedded.engine.server()
    program = NameThings()
    program.name.lm = embedded
    twin = program.deepcopy().name.lm
    assert isinstance(twin, dspy.LM) and twin.engine is embedded.engine


def test_an_engine_can_be_pickled_without_its_server(embedded):
    twin = pickle.loads(pickle.dumps(embedded.engine))
    assert not any(twin._servers) and (twin.slots, twin.context) == (2, 4096)
    assert pickle.loads(pickle.dumps(embedded.async_engine)).engine.slots == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"slots": 0}, "`slots` must be at least 1, got 0"),
        ({"context": 100}, "`context` must be at least 512 tokens, got 100"),
        ({"threads": 0}, "threads >= 1 .*; got 0"),
        ({"slots": 2, "replicas": 3}, "replicas <= slots; got 1, 3, 2 slots"),
    ],
)
def test_arguments_out_of_range_are_named(arguments, message):
    with pytest.raises(ConfigError, match=message):
        EmbeddedEngine(**arguments)


# Files that are no weights


def test_a_file_that_is_no_model_is_found_before_a_run_asks_anything(tmp_path):
    path = tmp_path / "model.gguf"
    path.write_text("<html>not found</html>")
    with pytest.raises(ModelFileError, match=r"model.gguf' is not a GGUF file \(it starts with b'<htm'\)"):
        sw.generate(NameThings(), seeds=[{"thing": "x"}], lms=sw.embedded_lm(path), out=tmp_path / "run")


def test_a_path_that_does_not_exist_is_named(tmp_path):
    with pytest.raises(ModelFileError, match=r"No model file at '.*none.gguf' \(from argument\)"):
        sw.generate(
            NameThings(), seeds=[{"thing": "x"}], lms=sw.embedded_lm(tmp_path / "none.gguf"), out=tmp_path / "run"
        )


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (weights.FILE, r"is damaged \(3,000,000 bytes of 98,362,432.*Delete it and run `synthwright lm pull`"),
        ("mine.gguf", r"llama.cpp could not load .*mine.gguf' with 1 slots of 4096 tokens: .*the file is damaged"),
    ],
)
def test_a_cut_copy_of_the_weights_is_damaged(name, message, tmp_path):
    with weights.pull().path.open("rb") as whole:
        (tmp_path / name).write_bytes(whole.read(3_000_000))
    with pytest.raises(ModelFileError, match=message):
        EmbeddedEngine(tmp_path / name, slots=1).check()
