"""The smallest generator, for tests of what happens around one; pytest finds this folder by `pythonpath`."""

import dspy

import synthwright as sw


class Riddle(sw.Row):
    word: str
    riddle: str


class WriteRiddle(dspy.Signature):
    """Write a riddle about the word."""

    word: str = dspy.InputField()
    riddle: str = dspy.OutputField()


class Riddles(sw.Generator[Riddle]):
    def __init__(self) -> None:
        super().__init__()
        self.write = dspy.Predict(WriteRiddle)

    async def aforward(self, word: str) -> dspy.Prediction:
        return dspy.Prediction(rows=[Riddle(word=word, riddle=(await self.write.acall(word=word)).riddle)])
