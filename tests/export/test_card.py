import json
import re

import datasets
import pytest
import yaml

import synthwright as sw
from synthwright.programs.evol_instruct import EvolInstruct
from synthwright.runs.run import load_run
from synthwright.testing import ScriptedLM

ANSWER = "Here it is.\n```\n</details> | <script>alert(1)</script>\n````"


@pytest.fixture
def run(tmp_path):
    """A real run of a built-in method."""
    lm = ScriptedLM(
        {
            "add_constraints": lambda call: {"evolved_instruction": f"{call['instruction']} Use exactly seven words."},
            "respond": {"response": ANSWER},
        },
        model="vendor/model-7b",
    )
    seeds = [{"instruction": f"Describe the animal number {i}."} for i in range(4)]
    generator = EvolInstruct(operators=("add_constraints",), rounds=1, judge=False)
    return sw.generate(generator, seeds=seeds, out=tmp_path / "run", lms=lm)


def card_of(run, tmp_path, **options):
    run.export("messages", tmp_path / "out", **options)
    text = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    _, header, body = text.split("---\n", 2)
    return yaml.safe_load(header), body


def test_the_header_is_what_the_hub_reads(run, tmp_path):
    header, _ = card_of(run, tmp_path, license="cc-by-4.0", test=0.25)
    assert header == {
        "pretty_name": "out",
        "license": "cc-by-4.0",
        "size_categories": ["n<1K"],
        "tags": ["synthetic", "synthwright", "evol-instruct", "messages", "arxiv:2304.12244"],
        "task_categories": ["text-generation"],
        "configs": [
            {
                "config_name": "default",
                "data_files": [
                    {"split": "train", "path": "data/train.parquet"},
                    {"split": "test", "path": "data/test.parquet"},
                ],
            }
        ],
    }


def test_the_card_says_how_the_data_was_made(run, tmp_path):
    _, body = card_of(run, tmp_path, test=0.25)
    facts = yaml.safe_load(re.search(r"```yaml\n(.*?)```", body, re.DOTALL)[1])  # pyright: ignore[reportOptionalSubscript]
    assert facts["method"] == "evol_instruct" and facts["preset"] == "practical, but for: operators, rounds, judge"
    assert facts["prompts_sha256"] == next(iter(run)).provenance.prompts
    assert facts["lms"]["generator"]["model"] == "vendor/model-7b"
    assert facts["filters"] == ["ExactDuplicate(fields=('instruction',))"]
    assert facts["arguments"]["operators"] == ["add_constraints"] and facts["seeds"].startswith("4 seeds, SHA-256")
    assert str(run.funnel) in body and "- train: 3 records\n- test: 1 records\n- split by lineage" in body
    assert "| generator | respond | 4 | 40 | 20 | 0.0000 |" in body
    assert "arXiv:2304.12244" in body and "No person has checked the records" in body


def test_an_unknown_licence_stays_unknown_and_the_reminder_names_the_lm(run, tmp_path):
    header, body = card_of(run, tmp_path)
    assert header["license"] == "unknown"
    licence = body.partition("## Licence")[2]
    assert licence.strip().startswith("Unknown:") and "(vendor/model-7b)" in licence


def test_text_of_a_model_stays_in_its_code_block(run, tmp_path):
    _, body = card_of(run, tmp_path)
    block = re.search(r"(?m)^(`{5,})json\n(.*?)\n\1$", body, re.DOTALL)
    assert block and json.loads(block[2])["messages"][1]["content"] == ANSWER
    outside = body.replace(block[0], "")
    assert "<script>" not in outside and "</details>" not in outside


def test_the_embedded_lm_is_said_to_be_unfit_for_training(run, tmp_path, monkeypatch):
    assert "not fit to" not in card_of(run, tmp_path)[1]
    config = {**run.config(), "lms": {"generator": {"model": "embedded/SmolLM2-135M-Instruct"}}}
    monkeypatch.setattr(type(run), "config", lambda self: config)
    assert "not fit to train on" in " ".join(card_of(run, tmp_path)[1].split())


def test_rows_left_out_are_counted_on_the_card(run, tmp_path):
    lines = (run.out / "rows.jsonl").read_text(encoding="utf-8").splitlines()
    lines[0] = json.dumps({**json.loads(lines[0]), "response": ""})
    (run.out / "rows.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert "- left out: 1 rows (no answer)" in card_of(load_run(run.out), tmp_path)[1]


def test_a_name_cannot_break_the_card(run, tmp_path):
    run.export("messages", tmp_path / "a: b <i> --- |")
    text = (tmp_path / "a: b <i> --- |" / "README.md").read_text(encoding="utf-8")
    header = text.split("---\n", 2)[1]
    assert yaml.safe_load(header)["pretty_name"] == "a: b <i> --- |"
    assert "# a: b &lt;i> --- \\|" in text
    loaded = datasets.load_dataset(str(tmp_path / "a: b <i> --- |"), cache_dir=str(tmp_path / "c"))
    assert len(loaded["train"]) == 4
