"""A small generator for tests of optimizers: riddles that must not name their word, and may be judged."""

import dspy
import riddles
from riddles import Riddle, WriteRiddle

import synthwright as sw

__all__ = ["GOOD", "SEEDS", "JudgeRiddle", "Riddle", "Riddles", "WriteRiddle", "hides_word", "learns", "long_enough"]


class JudgeRiddle(dspy.Signature):
    """Say whether the riddle is good."""

    riddle: str = dspy.InputField()
    good: bool = dspy.OutputField()


class Riddles(riddles.Riddles):
    roles = {"judge": ("judge",)}

    def __init__(self, judged: bool = False):
        super().__init__()
        self.judged = judged
        self.judge = sw.Frozen(JudgeRiddle)

    async def aforward(self, word):
        riddle = (await self.write.acall(word=word)).riddle
        if self.judged and not (await self.judge.acall(riddle=riddle)).good:
            return dspy.Prediction(rows=[], rejected=[sw.Rejected(stage="judge", reason="bad")])
        return dspy.Prediction(rows=[Riddle(word=word, riddle=riddle)])


def hides_word(example, pred, trace=None, pred_name=None, pred_trace=None):
    good = sum(row.word not in row.riddle for row in pred.rows)
    return dspy.Prediction(score=0.99 * good / max(1, len(pred.rows)), feedback="It names the word.")


def long_enough(example, pred, trace=None, pred_name=None, pred_trace=None):
    return 0.9 * sum(len(row.riddle) > 13 for row in pred.rows) / max(1, len(pred.rows))


SEEDS = [{"word": f"word{i}"} for i in range(24)]
GOOD = "I have no name."


def learns(call):
    """Hides the word by chance in one call of four, and always once it is told or shown how."""
    shown = sum(message["role"] == "assistant" for message in call.messages)
    told = "never name" in call.messages[0]["content"].lower()
    lucky = (call.seed or 0) % 4 == 0
    return {"riddle": GOOD if told or shown >= 2 or lucky else f"I am {call['word']}."}
