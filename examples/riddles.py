"""Your own generator in one file: a riddle for every word, on whatever LM DSPy has, or on the embedded one."""

import dspy

import synthwright as sw


class Riddle(sw.Row):
    word: str
    riddle: str


class WriteRiddle(dspy.Signature):
    """Write a riddle of two to four lines whose only fair answer is the word. Never name the word."""

    word: str = dspy.InputField()
    riddle: str = dspy.OutputField()


class Riddles(sw.Generator[Riddle]):
    """One riddle per word."""

    def __init__(self) -> None:
        super().__init__()
        self.write = dspy.ChainOfThought(WriteRiddle)

    def forward(self, word: str) -> dspy.Prediction:
        return dspy.Prediction(rows=[Riddle(word=word, riddle=self.write(word=word).riddle)])


if __name__ == "__main__":
    words = ["candle", "snow", "river", "clock", "shadow", "bread"]
    run = sw.generate(Riddles(), seeds=[{"word": word} for word in words], out="runs/riddles")
    for row in run:
        print(f"{row.word}: {row.riddle}")
    print(run.funnel)
