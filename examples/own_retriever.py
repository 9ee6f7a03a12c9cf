"""Your own retriever: any search that you have, behind the interface that generators use.

Here it counts shared words, over notes in memory; yours may ask a vector store or a search server. Open connections on
the first search of a process and leave them out of `__getstate__`: retrievers travel to worker processes.
"""

from collections.abc import Sequence

import dspy

import synthwright as sw
from synthwright.retrieval import Passage, Retriever

NOTES = {
    "Tides": "The moon pulls the water of the sea. Most coasts see two high tides a day.",
    "Bees": "A honey bee tells the others where flowers are by the direction and the length of a dance.",
    "Ice": "Ice floats because water expands when it freezes. Lakes freeze from the top.",
}


class SharedWords(Retriever):
    """Passages by the number of words that they share with the query."""

    name = "notes"

    def _search_all(self, queries: Sequence[str], k: int) -> list[list[Passage]]:
        return [self._best(set(query.lower().split()), k) for query in queries]

    def _best(self, words: set[str], k: int) -> list[Passage]:
        scored = [(len(words & set(text.lower().replace(".", "").split())), title) for title, text in NOTES.items()]
        found = sorted((-score, title) for score, title in scored if score)[:k]
        return [
            Passage(text=NOTES[title], title=title, source=self.name, score=float(-score)) for score, title in found
        ]


class AskAboutPassage(dspy.Signature):
    """Write one short question that the passage answers."""

    passage: str = dspy.InputField()
    question: str = dspy.OutputField()


class Question(sw.Row):
    passage_id: str
    question: str


class Questions(sw.Generator[Question]):
    """A question about each passage found."""

    def __init__(self) -> None:
        super().__init__()
        self.ask = dspy.Predict(AskAboutPassage)

    async def aforward(self, passage: str, passage_id: str) -> dspy.Prediction:
        asked = await self.ask.acall(passage=passage)
        return dspy.Prediction(rows=[Question(passage_id=passage_id, question=asked.question)])


if __name__ == "__main__":
    passages = SharedWords().search("how does water freeze", k=2)
    seeds = [{"passage": passage.prompt_text, "passage_id": passage.id} for passage in passages]
    for row in sw.generate(Questions(), seeds=seeds, out="runs/own-retriever"):
        print(f"{row.passage_id}: {row.question}")
