"""Handing a dataset on: formats that trainers read, splits by lineage, dataset cards, the Hugging Face hub."""

from synthwright.export.export import Exported, dataset, export
from synthwright.export.formats import FORMATS, Format
from synthwright.export.records import offered

__all__ = ["FORMATS", "Exported", "Format", "dataset", "export", "offered"]
