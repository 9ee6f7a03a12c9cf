"""The generator that the benchmarks run: one call of a two-field signature a seed, two filters."""

import dspy

import synthwright as sw
from synthwright.filters import ExactDuplicate, Length


class Pair(sw.Row):
    topic: str
    question: str
    answer: str


class WritePair(dspy.Signature):
    """Write a question about the topic, and its answer."""

    topic: str = dspy.InputField()
    question: str = dspy.OutputField()
    answer: str = dspy.OutputField()


class Pairs(sw.Generator[Pair]):
    """A question and its answer for each topic."""

    filters = (Length("question", 1, 200), ExactDuplicate())

    def __init__(self) -> None:
        super().__init__()
        self.write = dspy.Predict(WritePair)

    async def aforward(self, topic: str) -> dspy.Prediction:
        made = await self.write.acall(topic=topic)
        return dspy.Prediction(rows=[Pair(topic=topic, question=made.question, answer=made.answer)])
