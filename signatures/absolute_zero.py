"""Absolute Zero: the six calls, tasks as data, and the form in which a model is trained on them.

Source: Zhao et al., 2025, Absolute Zero: Reinforced Self-play Reasoning with Zero Data, arXiv:2505.03335, sections 3.2
and 3.3, and its released code, github.com/LeapLabTHU/Absolute-Zero-Reasoner (MIT). Prompts are our own: the released
ones have the difficulty sentences of deduction and abduction swapped.
"""

from collections.abc import Sequence
from typing import Literal

import dspy
from pydantic import BaseModel, ConfigDict

from synthwright.signatures.rows import Message, Preference, Row

__all__ = [
    "ROLES",
    "STAGES",
    "TASK_TYPES",
    "Attempt",
    "Measured",
    "Pair",
    "ProposeAbduction",
    "ProposeDeduction",
    "ProposeInduction",
    "Puzzle",
    "Role",
    "SelfPlayRow",
    "SolveAbduction",
    "SolveDeduction",
    "SolveInduction",
    "Stage",
    "State",
    "Task",
    "TaskType",
    "call_text",
    "enveloped",
    "proposal_text",
    "proposer_prompt",
    "reference_text",
]

TaskType = Literal["deduction", "abduction", "induction"]
Role = Literal["solver", "proposer"]
Stage = Literal["admit", "seed", "propose", "solve"]
State = Literal["right", "wrong", "unreadable", "crashed"]
TASK_TYPES: tuple[TaskType, ...] = ("deduction", "abduction", "induction")
ROLES: tuple[Role, ...] = ("solver", "proposer")
STAGES: tuple[Stage, ...] = ("admit", "seed", "propose", "solve")


class ProposeDeduction(dspy.Signature):
    """Write a new Python program and one call of it whose result is hard to predict.

    The program defines a function named f with at least one parameter, and f returns a value. It is unlike the
    reference programs. To find its result one must follow several steps and keep track of changing state. It gives the
    same result every time: no randomness, no clock, no files, no printing, no input from a person, and none of the
    forbidden modules. It ends within ten seconds. Imports and classes stand at the top.
    The arguments are Python literals, separated by commas, with quotes around strings. Plan first.
    """

    reference_programs: str = dspy.InputField()
    forbidden_modules: str = dspy.InputField()
    plan: str = dspy.OutputField(desc="one or two sentences")
    program: str = dspy.OutputField(desc="Python source that defines f")
    arguments: str = dspy.OutputField(desc="what stands between the brackets of f(...)")


class ProposeAbduction(dspy.Signature):
    """Write a new Python program and one call of it whose arguments are hard to recover from the result.

    The program defines a function named f with at least one parameter, and f returns a value. It is unlike the
    reference programs. Someone who sees the program and its result, not the arguments, must reason backwards through
    several steps to find arguments that give it. It gives the same result every time: no randomness, no clock, no
    files, no printing, no input from a person, and none of the forbidden modules. It ends within ten seconds. Imports
    and classes stand at the top.
    The arguments are Python literals, separated by commas, with quotes around strings. They do not stand in the
    program. Plan first.
    """

    reference_programs: str = dspy.InputField()
    forbidden_modules: str = dspy.InputField()
    plan: str = dspy.OutputField(desc="one or two sentences")
    program: str = dspy.OutputField(desc="Python source that defines f")
    arguments: str = dspy.OutputField(desc="what stands between the brackets of f(...)")


class ProposeInduction(dspy.Signature):
    """Choose calls of the program, and a message, from which someone who never sees the program can write it again.

    Give as many calls as `count` says. Each is the arguments of one call: Python literals, separated by commas, with
    quotes around strings. All differ, all are valid, their results differ, and together they show everything that the
    program does. The message is a hint in words: a description, a riddle or an exercise. It never holds the program or
    a part of it. The task should be hard and solvable. Plan first.
    """

    program: str = dspy.InputField()
    count: int = dspy.InputField()
    plan: str = dspy.OutputField(desc="one or two sentences")
    calls: list[str] = dspy.OutputField(desc="each what stands between the brackets of f(...)")
    message: str = dspy.OutputField()


class SolveDeduction(dspy.Signature):
    """Find what the call returns. Go through the program step by step. Give the result as a Python literal.

    Put quotes around a string. Several results together are a tuple.
    """

    program: str = dspy.InputField()
    call: str = dspy.InputField()
    reasoning: str = dspy.OutputField()
    result: str = dspy.OutputField(desc="a Python literal")


class SolveAbduction(dspy.Signature):
    """Find arguments for which the function f of the program returns the result. Any that do are right.

    Give Python literals, separated by commas, with quotes around strings.
    """

    program: str = dspy.InputField()
    result: str = dspy.InputField()
    reasoning: str = dspy.OutputField()
    arguments: str = dspy.OutputField(desc="what stands between the brackets of f(...)")


class SolveInduction(dspy.Signature):
    """Write the Python program behind the calls: a function named f that gives all these results, and those of others.

    The message says more about it. Write the general rule, not a table of the calls. No randomness, no clock, no files,
    no printing. Imports stand at the top.
    """

    calls: list[str] = dspy.InputField(desc="calls with their results")
    message: str = dspy.InputField()
    reasoning: str = dspy.OutputField()
    program: str = dspy.OutputField(desc="Python source that defines f")


class Pair(BaseModel):
    """One call: the arguments as source text, and the result as a literal."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    input: str
    output: str


class Attempt(BaseModel):
    """One sample of a solver, judged by running code.

    Attributes:
        reasoning: What it says before the answer.
        answer: The result, the arguments or the program; or the whole reply, if that could not be read.
        state: `right`, `wrong`, `unreadable` (a format error), or `crashed` (trouble of the sandbox: it counts for
            nothing).
        detail: Why it is not right.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    reasoning: str
    answer: str
    state: State
    detail: str = ""

    @property
    def text(self) -> str:
        """The reply in the form that is trained."""
        return self.answer if self.state == "unreadable" else enveloped(self.reasoning, self.answer)


class Puzzle(Row):
    """A task that running code can judge.

    Attributes:
        task_type: `deduction` (program and input, find the output), `abduction` (program and output, find an input), or
            `induction` (pairs and message, find the program).
        program: Python source that defines `f`.
        input: Arguments of the call as source text; empty for induction.
        output: The result as a literal; empty for induction.
        given_pairs: Induction: the calls that a solver sees, the first half.
        hidden_pairs: Induction: the calls that judge its program, the rest.
        message: Induction: the hint.
        imports: Modules that the program imports, sorted.
    """

    task_type: TaskType
    program: str
    input: str = ""
    output: str = ""
    given_pairs: tuple[Pair, ...] = ()
    hidden_pairs: tuple[Pair, ...] = ()
    message: str = ""
    imports: tuple[str, ...] = ()

    def solver_prompt(self) -> str:
        """The task as a solver is trained on it: nothing in it tells the answer."""
        if self.task_type == "deduction":
            return f"{_DEDUCTION}\n\n{_fenced(self.program)}\n\nCall: f({self.input})"
        if self.task_type == "abduction":
            return f"{_ABDUCTION}\n\n{_fenced(self.program)}\n\nResult: {self.output}"
        calls = "\n".join(map(call_text, self.given_pairs))
        return f"{_INDUCTION}\n\n{calls}\n\nMessage: {self.message}"


class Task(Puzzle):
    """A valid task: an entry of a buffer. Intermediate result of a run.

    Attributes:
        origin: `seed` for those of the seed buffer, `proposed` for those of the loop.
        round: Round of the run that made it: buffers keep the order, and what is new is known by it.
        plan: What the proposer thought.
        original_program: As it was written, where comments and globals were taken out of a seed; else empty.
        reference_ids: Ids of the tasks that the proposer was shown.
        cognitive: Cognitive complexity over 15, the paper's scale (appendix C.4).
        halstead: Composite of Halstead's effort and volume and of McCabe's paths, 0 to 1.
        ast_distance: Mean distance of the syntax tree to those of the references, 0 to 1.
        attempts: The samples that measured its difficulty.
        solve_rate: Share of right samples; None if nothing was sampled.
        n_samples: Samples that count: crashed ones do not.
        distinct_answers: Different answers among them.
        identical_samples: All are the same text, so they were not independent and the rate says nothing.
        learnability: Reward of the proposal before format, see `learnability`.
    """

    origin: Literal["seed", "proposed"]
    round: int
    plan: str = ""
    original_program: str = ""
    reference_ids: tuple[str, ...] = ()
    cognitive: float = 0.0
    halstead: float = 0.0
    ast_distance: float = 0.0
    attempts: tuple[Attempt, ...] = ()
    solve_rate: float | None = None
    n_samples: int = 0
    distinct_answers: int = 0
    identical_samples: bool = False
    learnability: float | None = None


class Measured(Row):
    """The solve phase has had a task. Intermediate result of a run, by which the plan knows what is left."""

    task_id: str
    round: int
    n_samples: int
    correct: int


class SelfPlayRow(Puzzle):
    """A task with what was sampled for it (role `solver`), or a proposal with its references (role `proposer`).

    `prompt-only` gives the task for training from rewards, with `synthwright.programs.absolute_zero_rewards` as reward
    function; `sft` the right sample; `preference` the right one over a wrong one. The last two are ours: the paper
    trains by reinforcement alone.

    Attributes:
        role: Whose turn it is.
        response: A verified right reply, or the valid proposal; empty if there is none.
        rejected_response: A verified wrong reply, or a proposal that is invalid or teaches nothing; or empty.
        references: Proposer: the programs that it was shown, with a call each; for induction the one program.
        solve_rate: Share of right samples.
        n_samples: Samples behind it.
        distinct_answers: Different answers among them.
        identical_samples: All are the same text: the rate says nothing.
        learnability: Reward of the proposal.
        cognitive: See `Task`.
        halstead: See `Task`.
        ast_distance: See `Task`.
        origin: See `Task`.
        task_id: Id of the `Task`.
        root_id: Hash of the program up to comments and formatting: tasks of one program share it.
        step: Step of the self-play loop, from 1; 0 before it.
    """

    role: Role = "solver"
    response: str = ""
    rejected_response: str = ""
    references: tuple[str, ...] = ()
    solve_rate: float = 0.0
    n_samples: int = 0
    distinct_answers: int = 0
    identical_samples: bool = False
    learnability: float = 0.0
    cognitive: float = 0.0
    halstead: float = 0.0
    ast_distance: float = 0.0
    origin: Literal["seed", "proposed"] = "proposed"
    task_id: str = ""
    root_id: str = ""
    step: int = 0

    @property
    def task_key(self) -> str:
        """What two rows share that ask the same."""
        pairs = self.given_pairs + self.hidden_pairs
        return "\n".join((self.role, self.task_type, self.program, self.input, self.message, repr(pairs)))

    def to_prompt(self) -> list[Message]:
        user = proposer_prompt(self.task_type, self.references) if self.role == "proposer" else self.solver_prompt()
        return [Message(role="system", content=ENVELOPE), Message(role="user", content=user)]

    def to_messages(self) -> list[Message] | None:
        return [*self.to_prompt(), Message(role="assistant", content=self.response)] if self.response else None

    def to_preference(self) -> Preference | None:
        if not (self.response and self.rejected_response):
            return None
        better, worse = (Message(role="assistant", content=t) for t in (self.response, self.rejected_response))
        return Preference(prompt=tuple(self.to_prompt()), chosen=(better,), rejected=(worse,))


def call_text(pair: Pair) -> str:
    """A call with its result, as solvers read it."""
    return f"f({pair.input}) returns {pair.output}"


def reference_text(program: str, pair: Pair | None = None) -> str:
    """A program as proposers read it."""
    return f"{program}\n# {call_text(pair)}" if pair else program


def enveloped(reasoning: str, answer: str) -> str:
    """A reply with its reasoning and its answer told apart, after DeepSeek-R1 (the paper's Figure 33)."""
    return f"<think>\n{reasoning.strip()}\n</think>\n<answer>\n{answer.strip()}\n</answer>"


def proposal_text(plan: str, program: str, calls: Sequence[str], message: str | None = None) -> str:
    """A proposal as a proposer is trained to write it: for induction the calls and the message alone."""
    parts = [_fenced(program)] if message is None else []
    parts += [_fenced(call, "input") for call in calls]
    parts += [] if message is None else [_fenced(message, "message")]
    return enveloped(plan, "\n".join(parts))


def proposer_prompt(task_type: TaskType, references: Sequence[str]) -> str:
    """What a proposer is trained on."""
    shown = "\n\n".join(map(_fenced, references)) or "(none)"
    return f"{_PROPOSE[task_type]}\n\n{shown}"


ENVELOPE = (
    "Think first, then answer. Put your thoughts between <think> and </think> and nothing but the answer between "
    "<answer> and </answer>."
)
_DEDUCTION = "What does this call return? The answer is a Python literal."
_ABDUCTION = (
    "For which arguments does f return this result? Any that do are right. The answer is what stands between the "
    "brackets of the call: Python literals, separated by commas."
)
_INDUCTION = (
    "Which program is behind these calls? The answer is Python source that defines f. It is run on other calls too."
)
_CALL = "The answer is the program in a fence marked python, then the arguments of the call in a fence marked input."
_PROPOSE = {
    "deduction": (
        "Write a new deterministic Python program with a function f, and one call of it whose result is hard to "
        f"predict. {_CALL} It is unlike these programs:"
    ),
    "abduction": (
        "Write a new deterministic Python program with a function f, and one call of it whose arguments are hard to "
        f"recover from the result. {_CALL} It is unlike these programs:"
    ),
    "induction": (
        "Choose calls of this program, and a message without code, from which someone could write it again. The answer "
        "is the arguments of each call in a fence marked input, then the message in a fence marked message."
    ),
}


def _fenced(text: str, mark: str = "python") -> str:
    return f"```{mark}\n{text}\n```"
