"""The verbs about the embedded language model."""

from typing import Annotated, Any

import typer

from synthwright.cli.app import app, out, print_json
from synthwright.cli.options import AsJson, Quiet
from synthwright.lms import weights
from synthwright.lms.embeddings import pull_embedder

__all__ = ["lm_pull", "lm_status"]

lm_app = typer.Typer(
    help="The embedded language model: where its weights are, and fetching them.", no_args_is_help=True
)
app.add_typer(lm_app, name="lm")


@lm_app.command("status")
def lm_status(as_json: AsJson = False, quiet: Quiet = False) -> None:
    """Where the weights of the embedded LM are, without fetching anything."""
    found = weights.find()
    if found is None:
        if not quiet:
            out.print(f"No weights on this machine. {weights.HOW_TO_GET}")
        print_json({"path": None}, as_json)
        raise typer.Exit(3)
    weights.verify(found.path)
    _tell(found, as_json, quiet)


@lm_app.command("pull")
def lm_pull(
    force: Annotated[bool, typer.Option(help="Fetch again even if they are there.")] = False,
    embedder: Annotated[bool, typer.Option(help="Fetch the embedding model (MiniLM, 23 MB) as well.")] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Fetch the weights of the embedded LM (SmolLM2-135M-Instruct, Apache-2.0, 93 MB) if they are not here."""
    for path in pull_embedder(force=force) if embedder else ():
        if not quiet:
            out.print(f"{path}  ({path.stat().st_size / 1e6:.0f} MB, content checked)")
    _tell(weights.pull(force=force), as_json, quiet)


def _tell(found: Any, as_json: bool, quiet: bool) -> None:
    size = found.path.stat().st_size
    if not quiet:
        out.print(f"{found.path}  ({size / 1e6:.0f} MB, from {found.source}, content checked)")
    print_json({"path": str(found.path), "bytes": size, "source": found.source}, as_json)
