"""The formats as TRL itself reads them: its own checks of dataset types, and what its trainers make of the data.

The trainers get a model of two small layers with random weights and a tokenizer that is trained here; nothing is
optimized and nothing is fetched. `make test-train` makes an environment with TRL and runs this file.
"""

import copy
import math

import pytest

trl = pytest.importorskip("trl", reason="TRL is not installed: make test-train, or pip install 'synthwright[train]'")

import torch  # noqa: E402  # pyright: ignore[reportMissingImports]  these come with trl
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers  # noqa: E402
from transformers import (  # noqa: E402  # pyright: ignore[reportMissingImports]
    LlamaConfig,
    LlamaForCausalLM,
    LlamaForSequenceClassification,
    PreTrainedTokenizerFast,
)
from trl import data_utils  # noqa: E402  # pyright: ignore[reportMissingImports]

pytestmark = pytest.mark.filterwarnings("ignore")

TEMPLATE = (
    "{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
QUESTIONS = ["Name a colour.", "What do bees make?", "Where is the sun at noon?", "Say hello in French."]
ANSWERS = ["Red is a colour.", "Bees make honey.", "High in the south.", "Bonjour!"]


@pytest.fixture(scope="module")
def tokenizer():
    """Byte-level BPE, so that every text can be encoded and decoded."""
    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer, inner.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    special = ["<|pad|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    inner.train_from_iterator(
        [*QUESTIONS, *ANSWERS],
        trainers.BpeTrainer(vocab_size=400, special_tokens=special, initial_alphabet=alphabet, show_progress=False),
    )
    made = PreTrainedTokenizerFast(tokenizer_object=inner, pad_token="<|pad|>", eos_token="<|end|>")
    made.chat_template = TEMPLATE
    return made


@pytest.fixture
def model(tokenizer):
    torch.manual_seed(0)
    size = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    ids = {"pad_token_id": tokenizer.pad_token_id, "eos_token_id": tokenizer.eos_token_id, "bos_token_id": None}
    return LlamaForCausalLM(LlamaConfig(vocab_size=len(tokenizer), max_position_embeddings=256, **size, **ids))


@pytest.fixture
def run(run_of, chat):
    """Rows with an answer and a better and a worse one."""
    pairs = zip(QUESTIONS, ANSWERS, strict=True)
    return run_of(*(chat(q, a, chosen=a, rejected="No.", chosen_reward=2.0, rejected_reward=0.5) for q, a in pairs))


@pytest.fixture
def settings(tmp_path):
    return {
        "output_dir": str(tmp_path / "out"),
        "per_device_train_batch_size": 2,
        "report_to": "none",
        "use_cpu": True,
        "bf16": False,
        "disable_tqdm": True,
    }


def batch_of(trainer):
    return next(iter(trainer.get_train_dataloader()))


def trained_on(batch, tokenizer):
    """The texts that the loss is taken on."""
    return [tokenizer.decode([t for t in row if t >= 0]) for row in batch["labels"].tolist()]


@pytest.mark.parametrize(
    ("format", "standard", "conversational"),
    [
        ("messages", False, True),
        ("text", False, False),
        *(
            (name, standard, not standard)
            for name in ("sft", "preference", "unpaired", "prompt-only")
            for standard in (0, 1)
        ),
    ],
)
def test_trl_recognizes_the_form(run, format, standard, conversational):
    example = run.dataset(format, standard=bool(standard))[0]
    assert data_utils.is_conversational(example) == conversational


@pytest.mark.parametrize("format", ["messages", "sft", "preference", "unpaired", "prompt-only"])
def test_trl_applies_a_chat_template_to_every_conversation(run, format, tokenizer):
    for example in run.dataset(format):
        texts = data_utils.apply_chat_template(example, tokenizer)
        whole = texts.get("text") or texts["prompt"]
        assert whole.startswith("<|user|>") and "<|end|>" in whole
        for name in {"completion", "chosen", "rejected"} & set(texts):
            assert texts["prompt"].endswith("<|assistant|>") and texts[name].endswith("<|end|>")


def test_unpaired_is_what_trl_makes_of_preference(run):
    pairs, ours = run.dataset("preference").remove_columns("margin"), run.dataset("unpaired")
    theirs = data_utils.unpair_preference_dataset(pairs)
    key = lambda record: (str(record["prompt"]), record["label"])  # noqa: E731
    assert sorted(ours, key=key) == sorted(theirs, key=key) and len(ours) == 8


def test_trl_reads_sharegpt_but_keeps_its_names_of_the_speakers(run):
    ours = run.dataset("sharegpt")
    assert data_utils.is_conversational_from_value(ours[0])
    theirs = ours.map(data_utils.maybe_convert_to_chatml)
    names = {"human": "user", "gpt": "assistant"}  # so `messages` is the format for TRL
    talks = [[{**turn, "role": names[turn["role"]]} for turn in talk] for talk in theirs["messages"]]
    assert talks == run.dataset("messages")["messages"][:]


@pytest.mark.parametrize(("format", "standard"), [("messages", 0), ("text", 0), ("sft", 0), ("sft", 1)])
def test_sft_prepares_the_data_and_takes_a_loss(run, format, standard, model, tokenizer, settings):
    data = run.dataset(format, standard=bool(standard))
    arguments = trl.SFTConfig(**settings, max_length=128)
    trainer = trl.SFTTrainer(model, args=arguments, train_dataset=data, processing_class=tokenizer)
    batch = batch_of(trainer)
    texts = trained_on(batch, tokenizer)
    assert len(texts) == 2
    for text in texts:
        (number,) = [i for i, answer in enumerate(ANSWERS) if answer in text]
        assert (QUESTIONS[number] in text) == (format != "sft")  # prompt and completion: the answer alone
        assert text.rstrip("\n").endswith("<|end|>")
    loss = trainer.compute_loss(trainer.model, batch)
    assert loss.item() == pytest.approx(math.log(len(tokenizer)), rel=0.1)  # what random weights know: nothing


@pytest.mark.parametrize("standard", [False, True])
def test_dpo_prepares_the_pairs_and_takes_a_loss(run, standard, model, tokenizer, settings):
    data = run.dataset("preference", standard=standard)
    arguments = trl.DPOConfig(**settings, max_length=128)
    trainer = trl.DPOTrainer(
        model, copy.deepcopy(model), args=arguments, train_dataset=data, processing_class=tokenizer
    )
    batch = batch_of(trainer)
    texts = [tokenizer.decode(ids) for ids in batch["input_ids"]]
    better, worse = texts[:2], texts[2:]
    assert all(any(answer in text for answer in ANSWERS) for text in better)
    assert all("No." in text and not any(answer in text for answer in ANSWERS) for text in worse)
    assert trainer.compute_loss(trainer.model, batch).item() == pytest.approx(math.log(2))  # no margin yet


def test_kto_prepares_the_unpaired_answers(run, model, tokenizer, settings):
    arguments = trl.KTOConfig(**settings, max_length=128)
    data = run.dataset("unpaired")
    trainer = trl.KTOTrainer(
        model, copy.deepcopy(model), args=arguments, train_dataset=data, processing_class=tokenizer
    )
    labels = [label for batch in trainer.get_train_dataloader() for label in list(batch["label"])]
    assert sorted(labels) == [False] * 4 + [True] * 4


def test_the_reward_trainer_reads_the_margin(run, model, tokenizer, settings):
    judge = LlamaForSequenceClassification(type(model.config)(**{**model.config.to_dict(), "num_labels": 1}))
    arguments = trl.RewardConfig(**settings, max_length=128)
    data = run.dataset("preference")
    trainer = trl.RewardTrainer(judge, args=arguments, train_dataset=data, processing_class=tokenizer)
    assert batch_of(trainer)["margin"].tolist() == [1.5, 1.5]


@pytest.mark.parametrize("standard", [False, True])
def test_grpo_gets_the_prompts_and_the_columns_for_its_reward(run, standard, model, tokenizer, settings):
    data = run.dataset("prompt-only", standard=standard, columns=["response"])
    arguments = trl.GRPOConfig(**settings, num_generations=2, max_completion_length=8)
    seen = []

    def reward(prompts, completions, response, **_):
        seen.extend(zip(prompts, response, strict=True))
        return [float(len(text)) for text in response]

    trainer = trl.GRPOTrainer(
        model, reward_funcs=reward, args=arguments, train_dataset=data, processing_class=tokenizer
    )  # fmt: skip
    batch = batch_of(trainer)
    prepared = trainer._prepare_inputs(batch)  # samples completions and asks for their rewards
    assert prepared["completion_ids"].shape[0] == 2 and len(seen) == 2
    for prompt, response in seen:
        question = prompt if standard else prompt[0]["content"]
        assert ANSWERS[QUESTIONS.index(question.strip())] == response


def test_what_lies_on_disk_trains_as_well(run, tmp_path, model, tokenizer, settings):
    import datasets

    run.export("messages", tmp_path / "data", test=0.25)
    data = datasets.load_dataset(str(tmp_path / "data"), cache_dir=str(tmp_path / "cache"))
    assert {split: len(part) for split, part in data.items()} == {"train": 3, "test": 1}
    arguments = trl.SFTConfig(**settings, max_length=128)
    trainer = trl.SFTTrainer(
        model, args=arguments, train_dataset=data["train"], eval_dataset=data["test"], processing_class=tokenizer
    )
    assert math.isfinite(trainer.evaluate()["eval_loss"])
