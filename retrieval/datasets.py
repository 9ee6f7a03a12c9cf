"""Corpora from Hugging Face data sets, in memory or streamed."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from synthwright.errors import ConfigError, did_you_mean
from synthwright.retrieval.chunks import Splitter
from synthwright.retrieval.documents import Document, DocumentCorpus
from synthwright.retrieval.readers import Fields

if TYPE_CHECKING:
    from datasets import Dataset, IterableDataset

__all__ = ["DatasetCorpus"]


class DatasetCorpus(DocumentCorpus):
    """The texts of a Hugging Face data set, cut into passages. Rows without text are counted in `skipped`.

    Args:
        dataset: What `datasets.load_dataset(..., split=...)` returns, with `streaming=True` or without.
        text_field: Column that holds the text.
        title_field: Column that holds the title; empty for none.
        url_field: Column that holds the address; empty for none.
        name: Name of the corpus, and `source` of its passages.
        version: What tells this data set from others, such as `wikipedia 20231101.en`. Needed only to keep the index
            of a streamed data set, which has no fingerprint of its own.
        split: As in `DocumentCorpus`, and so are the other arguments.
        licence: Licence of the texts; data sets name it on their card.
        language_filter: Says of a text whether to keep it.
        near_duplicates: How much near copies have in common; None for exact copies only. Take None for millions of
            rows: what is remembered costs about 1.5 KB a passage.

    Raises:
        ConfigError: The data set has no such column, or is a dictionary of splits.
    """

    def __init__(
        self,
        dataset: "Dataset | IterableDataset",
        *,
        text_field: str = "text",
        title_field: str = "",
        url_field: str = "",
        name: str = "dataset",
        version: str = "",
        split: Splitter | None = None,
        licence: str = "",
        language_filter: Callable[[str], bool] | None = None,
        near_duplicates: float | None = 0.8,
    ) -> None:
        super().__init__(
            name, split=split, licence=licence, language_filter=language_filter, near_duplicates=near_duplicates
        )
        if isinstance(dataset, dict):
            raise ConfigError(
                f"The data set has the splits {', '.join(map(str, dataset))}: pass one, `dataset['train']`."
            )
        columns = dataset.column_names  # None where a streamed data set does not know them yet
        for field in (text_field, title_field, url_field):
            if field and columns is not None and field not in columns:
                raise ConfigError(f"The data set has no column {field!r}. {did_you_mean(field, columns)}")
        self.dataset, self.version, self.fields = dataset, version, Fields(text_field, title_field, url_field)

    def _documents(self) -> Iterator[Document]:
        wanted = [field for field in (self.fields.text, self.fields.title, self.fields.url) if field]
        rows = self.dataset.select_columns(wanted) if self.dataset.column_names is not None else self.dataset
        for number, row in enumerate(rows):
            yield from self.fields.document(row, f"row {number}", self.skipped)

    def hash(self) -> str:
        return super().hash() if self.version or getattr(self.dataset, "_fingerprint", "") else ""

    def _origin(self) -> Iterator[Any]:
        yield self.fields
        yield self.version or getattr(self.dataset, "_fingerprint", "")
