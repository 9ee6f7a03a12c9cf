"""What a generator sees of its run when it plans the next round."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Generic, TypeVar, cast, overload

from synthwright.signatures.rows import Row

__all__ = ["Pool", "Seed"]

RowT = TypeVar("RowT", bound=Row)
ArtifactT = TypeVar("ArtifactT", bound=Row)

Seed = Mapping[str, Any]
"""The inputs of one unit of LM work: JSON-ready values by the argument names of the generator's `aforward`."""


class Pool(Sequence[RowT], Generic[RowT]):
    """A read-only view of a run at the start of a round: the rows kept so far, in the order of their admission.

    It does not change while the round runs, so that planning is a function of the round alone.

    Attributes:
        round: Number of the round that is planned, from 0.
        target: Rows that the user asked for, or None for as many as one pass over the material gives.
        seeds: Seeds that the user gave, or None.
    """

    def __init__(
        self,
        rows: Sequence[RowT] = (),
        *,
        artifacts: Sequence[Row] = (),
        seeds: Sequence[Seed] | None = None,
        target: int | None = None,
        round: int = 0,
    ) -> None:
        self._rows, self._artifacts = rows, artifacts
        self._size, self._artifacts_size = len(rows), len(artifacts)
        self.seeds, self.target, self.round = seeds, target, round

    def __len__(self) -> int:
        return self._size

    @overload
    def __getitem__(self, index: int) -> RowT: ...
    @overload
    def __getitem__(self, index: slice) -> list[RowT]: ...
    def __getitem__(self, index: int | slice) -> RowT | list[RowT]:
        if isinstance(index, slice):
            return [self._rows[i] for i in range(*index.indices(self._size))]
        if not -self._size <= index < self._size:
            raise IndexError(f"the pool has {self._size} rows, asked for {index}")
        return self._rows[index % self._size]

    def __iter__(self) -> Iterator[RowT]:
        for index in range(self._size):
            yield self._rows[index]

    def artifacts(self, kind: type[ArtifactT]) -> list[ArtifactT]:
        """The intermediate results of one type made so far, in order: what generators return as `artifacts`."""
        return list(self.each_artifact(kind))

    def each_artifact(self, kind: type[ArtifactT]) -> Iterator[ArtifactT]:
        """What `artifacts` lists, one at a time: a plan over very many need not hold them."""
        found = (self._artifacts[index] for index in range(self._artifacts_size))
        return (artifact for artifact in found if isinstance(artifact, kind))

    def artifact_values(self, kind: type[ArtifactT], *fields: str) -> Iterator[tuple[Any, ...]]:
        """Some fields of the artifacts of one type, in order, without making the artifacts: for plans over very many.

        Args:
            kind: The type.
            *fields: Names of fields that hold text, numbers or None; `id` is one, too.
        """
        stored = getattr(self._artifacts, "values", None)
        if callable(stored):
            return cast(Iterator[tuple[Any, ...]], stored(kind, fields))
        return (tuple(getattr(artifact, name) for name in fields) for artifact in self.each_artifact(kind))

    @property
    def missing(self) -> int | None:
        """Rows still to be made, or None if there is no target."""
        return None if self.target is None else max(0, self.target - self._size)
