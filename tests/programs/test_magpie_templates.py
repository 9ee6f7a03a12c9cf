"""The user slot of chat templates: those of known families, against their Jinja forms, and any other."""

import asyncio
from pathlib import Path
from typing import Any

import dspy
import pytest
from jinja2.sandbox import ImmutableSandboxedEnvironment

import synthwright as sw
from synthwright.errors import ConfigError, UnusableLMError
from synthwright.programs.magpie import Magpie
from synthwright.programs.magpie_templates import SENTINEL, families, family_named, split_at_user_turn, stop_strings
from synthwright.signatures.magpie import DOMAINS, MULTI_ROUND
from synthwright.signatures.rows import Message
from synthwright.testing import ScriptedLM

ONE = [{"role": "user", "content": SENTINEL}]
TALK = [{"role": "user", "content": "Where is Oslo?"}, {"role": "assistant", "content": "In Norway."}, *ONE]
SYSTEM = [{"role": "system", "content": "You tutor maths."}]
TAKES_SYSTEM = [name for name, family in families().items() if family.system]

BEFORE = {  # what stands before the user's first words; the beginning-of-text token first
    "llama-3": "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\n",
    "qwen-2": "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n",
    "qwen-2.5": (
        "<|im_start|>system\nYou are Qwen, created by Alibaba Cloud. You are a helpful assistant.<|im_end|>\n"
        "<|im_start|>user\n"
    ),
    "gemma-2": "<bos><start_of_turn>user\n",
    "phi-3": "<s><|user|>\n",
    "mistral": "<s>[INST] ",
    "llama-2": "<s>[INST] ",
    "yi-1.5": "<|startoftext|><|im_start|>user\n",
}
AUTHORS = {  # the prefixes of Magpie's model_configs.json that differ from the models' own templates
    "qwen-2": "<|im_start|>user\n",
    "gemma-2": "<bos><start_of_turn>user\n\n",
    "phi-3": "<s> <|user|>\n",
    "mistral": "<s> [INST] ",
    "llama-2": "<s> [INST] ",
}


def refuse(message):
    raise ValueError(message)


def rendered(name, messages):
    """The messages by the Jinja form of a family's template."""
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    environment.globals["raise_exception"] = refuse
    text = (Path(__file__).parent / "chat_templates" / f"{name}.jinja").read_text(encoding="utf-8")
    template = environment.from_string(text)
    return template.render(
        messages=messages, bos_token=families()[name].bos, eos_token="</s>", add_generation_prompt=True
    )


@pytest.mark.parametrize("name", families())
def test_a_family_renders_what_its_chat_template_does_without_the_bos(name):
    family = family_named(name)
    for messages in (ONE, TALK):
        assert family.bos + family.render(messages) == rendered(name, messages)


@pytest.mark.parametrize("name", TAKES_SYSTEM)
def test_a_system_message_stands_where_the_template_puts_it(name):
    family = family_named(name)
    for messages in ([*SYSTEM, *ONE], [*SYSTEM, *TALK]):
        assert family.bos + family.render(messages) == rendered(name, messages)


@pytest.mark.parametrize("name", sorted(set(families()) - set(TAKES_SYSTEM)))
def test_a_family_without_system_turn_refuses_one_as_its_template_does(name):
    with pytest.raises(ValueError, match=r"role|system"):
        rendered(name, [*SYSTEM, *ONE])
    with pytest.raises(ConfigError, match=f"family '{name}' take no system message.*turn_system=None"):
        family_named(name).render([*SYSTEM, *ONE])


@pytest.mark.parametrize("name", BEFORE)
def test_the_prefix_of_each_family_is_that_of_its_template(name):
    before, after = split_at_user_turn(rendered(name, ONE))
    assert before == BEFORE[name]
    family = family_named(name)
    assert split_at_user_turn(family.render(ONE)) == (before.removeprefix(family.bos), after)
    assert AUTHORS.get(name, "another") != before


def test_every_family_has_a_template_and_an_expected_prefix():
    assert set(families()) == set(BEFORE) == {p.stem for p in (Path(__file__).parent / "chat_templates").iterdir()}


@pytest.mark.parametrize(
    ("name", "tokens"),
    [
        ("llama-3", {"<|eot_id|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>"}),
        ("qwen-2", {"<|im_end|>", "<|im_start|>", "<|endoftext|>"}),
        ("qwen-2.5", {"<|im_end|>", "<|im_start|>", "<|endoftext|>"}),
        ("gemma-2", {"<eos>", "<end_of_turn>"}),
        ("phi-3", {"<|end|>", "<|user|>", "<|assistant|>", "<|system|>"}),
        ("mistral", {"</s>", "[INST]", "[/INST]"}),
        ("llama-2", {"</s>"}),
        ("yi-1.5", {"<|im_end|>"}),
    ],
)
def test_a_query_ends_on_the_tokens_of_the_family(name, tokens):
    assert tokens <= set(slot(Magpie(family=name))[1])


def slot(magpie, talk=(), lm=None):
    with dspy.context(lm=lm or ScriptedLM({})):
        return asyncio.run(magpie._user_slot(talk))


def test_a_family_serves_lms_that_do_not_tell_their_template(tmp_path):
    lm = without_template(ScriptedLM({"query": "What is rye?", "respond": "A grain."}))
    sw.generate(Magpie(family="phi-3", tags=False), n=1, out=tmp_path, lms=lm)
    assert lm.calls[0].inputs == {"prefix": "<|user|>\n"}


@pytest.mark.parametrize("name", ["qwen-2.5", "llama-2", "phi-3", "llama-3"])
def test_several_turns_work_for_every_family_with_a_system_turn(name):
    talk = [Message(role="user", content="Where is Oslo?"), Message(role="assistant", content="In Norway.")]
    before, _ = slot(Magpie(turns=2, family=name), talk)
    assert before.count(MULTI_ROUND) == 1 and before.index(MULTI_ROUND) < before.index("Where is Oslo?")
    assert before.endswith(family_named(name).user[0])


def test_several_turns_without_their_system_message_suit_the_other_families():
    talk = [Message(role="user", content="Where is Oslo?"), Message(role="assistant", content="In Norway.")]
    before, _ = slot(Magpie(turns=2, family="gemma-2", turn_system=None), talk)
    assert before == (
        "<start_of_turn>user\nWhere is Oslo?<end_of_turn>\n<start_of_turn>model\nIn Norway.<end_of_turn>\n"
        "<start_of_turn>user\n"
    )
    with pytest.raises(ConfigError, match="take no system message"):
        slot(Magpie(turns=2, family="gemma-2"), talk)


@pytest.mark.parametrize("domain", DOMAINS)
def test_a_domain_is_a_system_message_before_the_sampled_turn(domain):
    before, _ = slot(Magpie(domain=domain, family="llama-3"))
    assert before == (
        f"<|start_header_id|>system<|end_header_id|>\n\n{DOMAINS[domain]}<|eot_id|>"
        "<|start_header_id|>user<|end_header_id|>\n\n"
    )
    assert slot(Magpie(domain=domain))[0] == f"<|system|>\n{DOMAINS[domain]}<|end|>\n<|user|>\n"


# LMs that cannot be asked


def without_template(lm, refused=lambda messages: True):
    engine: Any = lm.engine
    template = engine.template

    def tell(messages):
        if refused(messages):
            raise UnusableLMError("the server does not tell its chat template (status 404).")
        return template(messages)

    engine.template = tell
    return lm


def test_a_hosted_chat_api_is_told_from_a_server_that_hides_its_template():
    with pytest.raises(UnusableLMError) as caught:
        slot(Magpie(), lm=without_template(ScriptedLM({})))
    said = str(caught.value)
    assert "status 404" in said and "hosted chat API" in said and "just greet" in said
    assert "`family` (llama-3, qwen-2" in said and "`prefix`" in said


def test_a_template_that_refuses_system_messages_is_named():
    lm = without_template(ScriptedLM({}), lambda messages: messages[0]["role"] == "system")
    with pytest.raises(ConfigError, match="refuses system messages: leave out `system` and `domain`"):
        slot(Magpie(domain="math"), lm=lm)
    assert slot(Magpie(), lm=lm)[0] == "<|user|>\n"


def test_a_real_server_without_the_endpoint_is_named_with_the_way_out(stub_server):
    lm = sw.openai_lm("gpt-x", f"{stub_server.root}/hosted")  # nothing answers below this address but errors
    with pytest.raises(UnusableLMError, match="A hosted chat API puts its own template"):
        slot(Magpie(), lm=lm)


def test_thinking_in_a_template_is_not_taken_for_a_stop():
    before, after = split_at_user_turn(f"<|im_start|>user\n{SENTINEL}<|im_end|>\n<|im_start|>assistant\n<think>\n")
    assert before == "<|im_start|>user\n" and stop_strings(after) == ("<|im_end|>", "<|im_start|>")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"family": "qwen2.5"}, "no family 'qwen2.5'. Did you mean 'qwen-2.5'"),
        ({"domain": "maths"}, "Did you mean 'math'"),
        ({"domain": "math", "system": "Be brief."}, "one of the two"),
        ({"family": "phi-3", "prefix": "<|user|>"}, "family='phi-3'"),
    ],
)
def test_wrong_arguments_say_what_to_do(arguments, message):
    with pytest.raises(ConfigError, match=message):
        Magpie(**arguments)
