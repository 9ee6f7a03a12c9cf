"""Pushing a dataset with its card to the Hugging Face hub."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synthwright.errors import ConfigError, StoreError
from synthwright.export.tables import WRITERS

if TYPE_CHECKING:
    from synthwright.export.records import Records

__all__ = ["push"]


def push(records: "Records", name: str, card: str, *, public: bool = False) -> str:
    """Push all splits and the card.

    The card goes first, in the commit before the data: `push_to_hub` then adds sizes and files to its header.

    Args:
        records: What to push; `look` was called.
        name: `OWNER/NAME`, or `NAME` for your own account.
        card: Text of the `README.md`.
        public: Whether a dataset that is not there yet becomes public. One that is there stays as it is.

    Returns:
        Address of the dataset.

    Raises:
        ConfigError: The name is none, or you are not logged in.
        StoreError: The hub cannot be reached, or refuses.
    """
    import datasets
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalTokenNotFoundError

    api = HfApi()
    try:
        repo: Any = api.create_repo(name, repo_type="dataset", private=not public, exist_ok=True)
        api.upload_file(
            path_or_fileobj=card.encode(),
            path_in_repo="README.md",
            repo_id=repo.repo_id,
            repo_type="dataset",
            commit_message="Dataset card by Synthwright",
        )
        with tempfile.TemporaryDirectory() as folder:
            made = {}
            for split in records.counts:
                path = Path(folder) / f"{split}.arrow"
                WRITERS["arrow"](path, records.stream(split), records.schema)
                made[split] = datasets.Dataset.from_file(str(path), split=datasets.Split(split))
            datasets.DatasetDict(made).push_to_hub(repo.repo_id)
            made.clear()
    except HFValidationError as error:
        raise ConfigError(f"hub:{name} is not a name of the hub: {error}") from error
    except LocalTokenNotFoundError as error:
        raise ConfigError("You are not logged in to the hub: run `hf auth login`, or set HF_TOKEN.") from error
    except HfHubHTTPError as error:
        code = error.response.status_code
        hint = " Log in with `hf auth login`, or set HF_TOKEN to a token that may write." if code in (401, 403) else ""
        raise StoreError(f"The hub refused hub:{name} ({code}): {error}.{hint}") from error
    except Exception as error:
        if not _is_of_the_network(error):
            raise
        raise StoreError(f"The hub cannot be reached for hub:{name}: {error}. The run itself is whole.") from error
    return str(repo)


def _is_of_the_network(error: Exception) -> bool:
    """Whether the HTTP client failed; which one huggingface_hub uses changes (requests, httpx, httpx2)."""
    clients = {cls.__module__.partition(".")[0] for cls in type(error).__mro__}
    return isinstance(error, OSError) or bool(clients & {"requests", "httpx", "httpx2", "httpcore"})
