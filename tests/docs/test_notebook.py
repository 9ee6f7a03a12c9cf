"""The notebook in `examples/` runs from top to bottom, on the embedded LM, in an empty folder."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parents[2] / "examples" / "research.ipynb"


@pytest.mark.embedded
@pytest.mark.filterwarnings("ignore")  # of Jupyter's own
def test_the_notebook_runs_and_shows_what_it_says(tmp_path):
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    printed = "".join(
        output.get("text", "") for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs
    )
    assert "temperature 1.0" in printed and "rows made" in printed and "distinct-2" in printed
    assert (tmp_path / "runs/research/temperature-0.2/rows.jsonl").is_file()
