"""How each method is tuned in `optimize.py`: a setting in which one draw costs few calls, and what is tuned in it.

A method that is not named here is tuned as it is, all its targets at once. `why` goes into the table of results.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["EXPLANATIONS", "SETTINGS", "Setting"]


@dataclass(frozen=True)
class Setting:
    """A small setting of one method.

    Attributes:
        arguments: Arguments of the generator that differ from its defaults.
        targets: Predictors to tune; None for all targets.
        seeds: Which of the shipped seeds are used; they are all of the kind that reaches the targets.
        inputs: Inputs of each seed that are replaced.
        draws: Draws a seed.
        budget: LM calls of the search with its proof; 0 for the benchmark's own.
        why: Why it is not tuned as it is.
    """

    arguments: Mapping[str, Any] = field(default_factory=dict)
    targets: tuple[str, ...] | None = None
    seeds: Callable[[Any], bool] = lambda example: True
    inputs: Mapping[str, Any] = field(default_factory=dict)
    draws: int = 1
    budget: int = 0
    why: str = "as it is"


SETTINGS: dict[str, Setting] = {
    "absolute_zero": Setting(
        arguments={"samples": 2, "max_tokens": 160},
        targets=("propose_deduction",),
        seeds=lambda example: example.task_type == "deduction",
        why="one proposer of three; 2 solver samples instead of 4",
    ),
    "backtranslation": Setting(targets=("write",), inputs={"rate": False}, why="without the judge"),
    "bonito": Setting(
        targets=("summarization",),
        seeds=lambda example: example.get("applicable", True),
        inputs={"task_type": "summarization"},
        why="one of sixteen types: summaries",
    ),
    "codeclm": Setting(
        arguments={"contrast": "never", "iterations": 1, "check_metadata": False, "answer": False},
        targets=("decode",),
        why="the decoder alone: no check of metadata, no improvement, no answers",
    ),
    "condor": Setting(
        targets=("ask",),
        seeds=lambda example: "until" in example,
        why="questions alone",
    ),
    "debate_reflect": Setting(
        arguments={
            "students": ("student",),
            "teachers": ("teacher",),
            "rounds": 0,
            "student_tries": 1,
            "teacher_tries": 1,
        },
        targets=("solve",),
        seeds=lambda example: example.kind == "label",
        why="round 0 alone: two agents answer; questions with a choice of labels",
    ),
    "evol_instruct": Setting(
        arguments={"operators": ("add_constraints",), "rounds": 1, "judge": False, "answer": False},
        targets=("add_constraints",),
        why="one operator of six, one round, without judge and answers",
    ),
    "glan": Setting(
        arguments={"answers": 0, "safety": False},
        targets=("write",),
        seeds=lambda example: example.step == "question",
        why="questions alone: no screen for harm, no answers",
    ),
    "magpie": Setting(budget=240, why="the three taggers; sampling queries has no prompt"),
    "persona_hub": Setting(
        targets=("write_prompt",),
        budget=240,
        seeds=lambda example: "persona" in example and "relation" not in example,
        inputs={"data_type": "instruction", "detail": ""},
        why="one of six types: what a persona would ask",
    ),
    "sand_math": Setting(
        arguments={"ratings": 0, "hike": "none"},
        targets=("generate_easy",),
        why="easy problems with their solutions: no rating, no harder versions",
    ),
    "self_instruct": Setting(
        targets=("propose",),
        seeds=lambda example: "existing_instructions" in example,
        why="proposals alone",
    ),
    "synthetic_data_rl": Setting(
        arguments={"votes": 3, "min_margin": 1, "attempts": 2, "rewrite": False},
        targets=("generate",),
        budget=450,
        why="the question writer: 3 votes, 2 tries of the base, no rewriting",
    ),
    "targen": Setting(
        arguments={"self_correct": False, "illustrations": ()},
        targets=("write",),
        draws=2,
        budget=240,
        why="rows alone: no self-correction, no illustrations",
    ),
}

EXPLANATIONS: dict[str, str] = {
    "absolute_zero": "Proposals get further through the checks, but hardly any is valid: the held-out check counts "
    "those that are true when run again and more than one expression long, and finds none before and after.",
    "codeclm": "The search fell behind the shipped demonstrations: few validation seeds do not tell good candidates "
    "apart.",
    "evol_instruct": "Searches this small vary: another one of the same budget reached 0.22 (`optimizers.md`).",
    "magpie": "An LM of this size gives nearly every query the same three tags, whatever the demonstrations.",
}
"""By method: what the figures do not say, found by reading the draws."""
