"""How good are the judges of CodecLM? Labelled sets of ours, and what an LM's verdicts on them are worth.

`optimizers/data/codeclm_metadata.jsonl` has 28 use cases with skills. In half of them all skills belong there, unusual
ones included; in the others a skill was planted that has no place, or all are foreign. `codeclm_answers.jsonl` has 12
instructions, each with a good answer and one with a planted error (a wrong result or fact, another subject, another
form, a part left out, nothing said, a refusal, stuttering).
"""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from synthwright.errors import ConfigError, ParseError
from synthwright.optimizers.metrics.pairwise import Preference, Verdict, win_rate
from synthwright.optimizers.metrics.verdicts import Verdicts, score_verdicts
from synthwright.programs.base import read_jsonl
from synthwright.programs.codeclm import CodecLM

__all__ = ["answers", "judge_answers", "judge_metadata", "metadata", "metadata_verdicts"]

_DATA = Path(__file__).parents[1] / "data"


def metadata() -> list[dict[str, Any]]:
    """The labelled metadata: `use_case`, `skills`, `plausible`, `kind`; both labels by turns."""
    return list(read_jsonl(_DATA / "codeclm_metadata.jsonl"))


def answers() -> list[dict[str, Any]]:
    """The labelled answers: `instruction`, `good`, `bad`, and the `kind` of the planted error."""
    return list(read_jsonl(_DATA / "codeclm_answers.jsonl"))


def metadata_verdicts(labelled: Sequence[Mapping[str, Any]], verdicts: Sequence[bool | None]) -> Verdicts:
    """Score verdicts on metadata; a verdict of None, a reply that was none, is wrong."""
    return score_verdicts(labelled, "plausible", verdicts)


async def judge_metadata(generator: CodecLM) -> Verdicts:
    """Ask the judge of metadata about the labelled cases, with the LM of the surrounding `dspy.context`.

    Args:
        generator: Made with `check_metadata=True`; its prompts may have been loaded.

    Raises:
        ConfigError: The generator has no such judge.
    """
    if not generator.check_metadata:
        raise ConfigError("The generator does not judge metadata: make it with `check_metadata=True`.")

    async def ask(case: Mapping[str, Any]) -> bool | None:
        try:
            return (await generator.vet.acall(use_case=case["use_case"], skills=case["skills"])).plausible
        except ParseError:
            return None

    labelled = metadata()
    return metadata_verdicts(labelled, await asyncio.gather(*map(ask, labelled)))


async def judge_answers(generator: CodecLM) -> Preference:
    """Have the judge score each good answer beside its bad one, in both orders.

    Args:
        generator: Made with `answer=True` and contrast; its prompts may have been loaded.

    Returns:
        How often the good answer has the higher score; a reply that gives none is a tie.

    Raises:
        ConfigError: The generator scores no answers.
    """
    if not generator.answer or generator.contrast == "never":
        raise ConfigError("The generator scores no answers: make it with `answer=True` and contrast.")

    async def better(case: Mapping[str, Any], good_first: bool) -> Any:
        first, second = (case["good"], case["bad"]) if good_first else (case["bad"], case["good"])
        try:
            said = await generator.score.acall(
                instruction=case["instruction"], first_answer=first, second_answer=second
            )
        except ParseError:
            return "tie"
        difference = said.first_score - said.second_score
        return "first" if difference > 0 else "second" if difference < 0 else "tie"

    async def verdict(case: Mapping[str, Any]) -> Verdict:
        return Verdict.of(await better(case, True), await better(case, False))

    return win_rate(await asyncio.gather(*map(verdict, answers())))
