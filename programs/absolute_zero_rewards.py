"""Absolute Zero's rewards (section 3.3.2, equations 4 to 6), and the reward function for training on its rows."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from synthwright.errors import ConfigError
from synthwright.programs.absolute_zero_checks import Rules
from synthwright.programs.absolute_zero_sandbox import shared_sandbox
from synthwright.programs.absolute_zero_solving import judge_answer
from synthwright.programs.blocks.completions import completion_text
from synthwright.sandbox import Limits
from synthwright.signatures.absolute_zero import Pair, Puzzle, State

__all__ = ["answer_of", "intrinsic", "learnability", "proposer_reward", "reward_function", "solver_reward"]

WRONG = -0.5
MALFORMED = -1.0
_ANSWER = re.compile(r"<answer>(.*?)</answer>", re.DOTALL)
_SAID = re.compile(r"```(?:input|python|py)?[^\S\n]*\n(.*?)```", re.DOTALL)


def learnability(rate: float, target: Literal["hardest", "half"] = "hardest") -> float:
    """What a proposal is worth by the share of right samples, in [0, 1] (equation 4).

    Args:
        rate: Share of right samples, in [0, 1].
        target: `hardest`: 1 - rate, and 0 for what nobody or everybody solves, the paper's. `half`: largest at 0.5,
            an extension of ours.
    """
    if not 0 <= rate <= 1:
        raise ConfigError(f"`rate` must be in [0, 1], got {rate!r}.")
    if rate in (0, 1):
        return 0.0
    return 1 - rate if target == "hardest" else 1 - abs(2 * rate - 1)


def solver_reward(state: State) -> float | None:
    """1 for a right answer, -0.5 for a readable wrong one, -1 for a format error (equations 5 and 6).

    None where the sandbox crashed: that says nothing about the answer, and TRL leaves such a reward out.
    """
    return {"right": 1.0, "wrong": WRONG, "unreadable": MALFORMED, "crashed": None}[state]


def proposer_reward(state: Literal["valid", "invalid", "unreadable"], worth: float = 0.0, zero: float = 0.0) -> float:
    """The worth of a valid proposal, -0.5 for one that fails validation, -1 for a format error (equation 6).

    Args:
        state: What validation said.
        worth: `learnability` of a valid one.
        zero: What a worth of 0 becomes. The paper keeps 0; the released code makes it -0.5.
    """
    if state == "valid":
        return worth if worth else zero
    return WRONG if state == "invalid" else MALFORMED


def intrinsic(
    reward: float,
    values: Mapping[str, float],
    weights: Mapping[str, float],
    how: Literal["sum", "multiply"] = "sum",
) -> float:
    """A reward with measures of the task added, an option of the paper that is off there (appendix D.4).

    Each weight times value counts 0.5 at most. None of them helped clearly; the sum was the most stable.

    Args:
        reward: That of the proposal.
        values: Measures in [0, 1] by name, such as `cognitive`, `halstead`, `ast_distance`, `answer_diversity`.
        weights: Weight of each that counts.
        how: Add them, or multiply the reward by their sum.
    """
    if unknown := set(weights) - set(values):
        raise ConfigError(f"`weights` names {sorted(unknown)!r}, which was not measured; there is {sorted(values)!r}.")
    extra = sum(min(weight * values[name], 0.5) for name, weight in weights.items())
    return reward + extra if how == "sum" else reward * extra


def answer_of(completion: str) -> str | None:
    """What stands in the one answer tag of a reply, without a fence; None for a format error."""
    if completion.count("<answer>") != 1:  # before the search, which would look for the end of each
        return None
    found = _ANSWER.findall(completion)
    if len(found) != 1 or not found[0].strip():
        return None
    fenced = _SAID.findall(found[0])
    return fenced[0].strip("\n") if len(fenced) == 1 else found[0].strip()


def reward_function(
    sandbox: Literal["monty", "subprocess"] = "monty", seconds: float = 10.0, allow_list: bool = True
) -> Callable[..., list[float | None]]:
    """A reward function in TRL's form: it verifies every completion again, by running code.

    Export with `prompt-only` and the columns `role, task_type, program, input, output, given_pairs, hidden_pairs`.
    Proposals get None: their worth is measured by sampling a solver, not by a function of the text.

    Args:
        sandbox: Backend, see `synthwright.sandbox.get_sandbox`.
        seconds: Time of one run.
        allow_list: Whether programs may import modules of a list only.

    Example:
        >>> trainer = GRPOTrainer(model, reward_funcs=reward_function(), train_dataset=data)
    """
    rules = Rules(shared_sandbox(sandbox), Limits(seconds=seconds), (), allow_list)

    def self_play_reward(
        prompts: Sequence[Any], completions: Sequence[Any], **columns: Sequence[Any]
    ) -> list[float | None]:
        rewards: list[float | None] = []
        for index, completion in enumerate(completions):
            if columns.get("role", ["solver"] * len(completions))[index] == "proposer":
                rewards.append(None)
                continue
            answer = answer_of(completion_text(completion))
            if answer is None:
                rewards.append(solver_reward("unreadable"))
                continue
            rewards.append(solver_reward(judge_answer(_puzzle(columns, index), answer, rules)[0]))
        return rewards

    return self_play_reward


def _puzzle(columns: Mapping[str, Sequence[Any]], index: int) -> Puzzle:
    """The task of a row from the columns that were exported with it."""
    if missing := {"task_type", "program"} - set(columns):
        raise ConfigError(f"The reward needs the columns {sorted(missing)}: export with `columns=...`.")

    def pairs(name: str) -> tuple[Pair, ...]:
        return tuple(Pair.model_validate(pair) for pair in columns[name][index] or ()) if name in columns else ()

    def text(name: str) -> str:
        return (columns[name][index] or "") if name in columns else ""

    return Puzzle(
        task_type=columns["task_type"][index],
        program=text("program"),
        input=text("input"),
        output=text("output"),
        message=text("message"),
        given_pairs=pairs("given_pairs"),
        hidden_pairs=pairs("hidden_pairs"),
    )
