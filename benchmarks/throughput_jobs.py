"""The job of the throughput benchmark in other projects: one call a row, written as each project's own docs have it.

benchmarks/throughput_peers.py runs this file in the environment of one project, where nothing of ours is installed.

Usage: python -P benchmarks/throughput_jobs.py NAME --base URL --calls N --in-flight C     prints a JSON object
"""

import argparse
import json
import os
import resource
import socket
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

# pyright: reportMissingImports=false
PROMPT = "Write a question about {} and its answer."
OFFLINE = {  # no reports home, no look-ups: the job needs nothing but the stub server
    **{"DO_NOT_TRACK": "1", "TELEMETRY_ENABLED": "false", "NEMO_TELEMETRY_ENABLED": "false"},
    **{"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"},
    **{"LITELLM_LOCAL_MODEL_COST_MAP": "True", "BESPOKE_CURATOR_TRACKER_DISABLED": "1", "OPENAI_API_KEY": "none"},
    # nor a line of log or a table for each call, where that can be turned off
    **{"DISTILABEL_LOG_LEVEL": "WARNING", "CURATOR_DISABLE_RICH_DISPLAY": "1"},
}
Job = Callable[[str, list[str], int, Path], int]


def distilabel(base: str, topics: list[str], in_flight: int, folder: Path) -> int:
    from distilabel.models import OpenAILLM
    from distilabel.pipeline import Pipeline
    from distilabel.steps import LoadDataFromDicts
    from distilabel.steps.tasks import TextGeneration

    data = [{"instruction": PROMPT.format(topic)} for topic in topics]
    # The calls of one batch are in flight together, so the batch has to be as large as the number in flight.
    with Pipeline(name="throughput", cache_dir=folder) as pipeline:
        load = LoadDataFromDicts(name="load", data=data, batch_size=in_flight)
        llm = OpenAILLM(model="stub", base_url=base, api_key="none")  # pyright: ignore[reportArgumentType]
        load.connect(TextGeneration(name="generate", input_batch_size=in_flight, llm=llm))
    rows = pipeline.run(use_cache=False)["default"]["train"]
    return sum(text is not None for text in rows["generation"])


def data_designer(base: str, topics: list[str], in_flight: int, folder: Path) -> int:
    import data_designer.config as dd
    import pandas as pd
    from data_designer.interface import DataDesigner

    parameters = dd.ChatCompletionInferenceParams(max_parallel_requests=in_flight)
    model = dd.ModelConfig(
        alias="model", model="stub", provider="stub", skip_health_check=True, inference_parameters=parameters
    )
    config = dd.DataDesignerConfigBuilder(model_configs=[model])
    config.with_seed_dataset(dd.DataFrameSeedSource(df=pd.DataFrame({"topic": topics})))
    prompt = PROMPT.format("{{ topic }}")
    config.add_column(dd.LLMTextColumnConfig(name="pair", model_alias="model", prompt=prompt))
    provider = dd.ModelProvider(name="stub", endpoint=base, provider_type="openai", api_key="none")
    designer = DataDesigner(artifact_path=folder, model_providers=[provider])
    designer.set_run_config(dd.RunConfig(otel_metrics_port=None))
    return designer.create(config, num_records=len(topics), dataset_name="pairs").count_records()


def curator(base: str, topics: list[str], in_flight: int, folder: Path) -> int:
    _whitespace_tokens()
    from bespokelabs import curator
    from datasets import Dataset

    class Pairs(curator.LLM):
        def prompt(self, input: dict[str, Any]) -> str:
            return PROMPT.format(input["topic"])

        def parse(self, input: dict[str, Any], response: str) -> dict[str, Any]:
            return {"topic": input["topic"], "pair": response}

    limits = {"max_concurrent_requests": in_flight, "max_requests_per_minute": 10**7, "max_tokens_per_minute": 10**10}
    pairs = Pairs(
        model_name="gpt-4o-mini",  # a name that it knows
        backend="openai",
        backend_params={"base_url": base, "api_key": "none", **limits},
    )
    return len(pairs(Dataset.from_list([{"topic": t} for t in topics]), working_dir=str(folder)).dataset)


def _whitespace_tokens() -> None:
    """Stand in for the tokenizer, whose word lists come over the network; it only estimates sizes of prompts here."""
    import tiktoken

    class Words:
        def encode(self, text: str, **_: Any) -> list[str]:
            return text.split()

    tiktoken.get_encoding = tiktoken.encoding_for_model = lambda *_, **__: Words()


def sdg_hub(base: str, topics: list[str], in_flight: int, folder: Path) -> int:
    import pandas as pd
    from sdg_hub import Flow

    (folder / "prompt.yaml").write_text(json.dumps([{"role": "user", "content": PROMPT.format("{{ topic }}")}]))
    blocks = [
        _block("PromptBuilderBlock", input_cols="topic", output_cols="messages", prompt_config_path="prompt.yaml"),
        _block("LLMChatBlock", input_cols="messages", output_cols="reply", async_mode=True),
        _block("LLMResponseExtractorBlock", input_cols="reply", extract_content=True, field_prefix="made_"),
    ]
    about = {"name": "throughput", "version": "1.0.0", "description": "One call a row."}
    (folder / "flow.yaml").write_text(json.dumps({"metadata": about, "blocks": blocks}))  # JSON is YAML
    flow = Flow.from_yaml(str(folder / "flow.yaml"))
    flow.set_model_config(model="openai/stub", api_base=base, api_key="none")
    made = flow.generate(pd.DataFrame({"topic": topics}), max_concurrency=in_flight)
    return sum(bool(text) for text in made["made_content"])


def _block(kind: str, **config: Any) -> dict[str, Any]:
    return {"block_type": kind, "block_config": {"block_name": kind.lower(), **config}}


JOBS: dict[str, Job] = {
    "distilabel": distilabel,
    "data_designer": data_designer,
    "curator": curator,
    "sdg_hub": sdg_hub,
}


def measure(job: Job, base: str, calls: int, in_flight: int) -> dict[str, Any]:
    """Run one job in this process and say what it cost, its start (imports, first connections) left out."""
    with tempfile.TemporaryDirectory() as folder:
        for name in ("first", "second"):
            Path(folder, name).mkdir()
        early = [f"early topic {number}" for number in range(max(in_flight, 32) // 4)]
        job(base, early, min(in_flight, 32), Path(folder, "first"))
        topics = [f"topic {number}" for number in range(calls)]
        before, started = _cpu(), time.perf_counter()
        rows = job(base, topics, in_flight, Path(folder, "second"))
        seconds, cpu = time.perf_counter() - started, _cpu() - before
    return {"seconds": seconds, "cpu": cpu, "calls": calls, "rows": rows}


def _cpu() -> float:
    """Seconds that this process and those it waited for have used."""
    times = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(used.ru_utime + used.ru_stime for used in times)


def _stay_home() -> None:
    """Refuse every name and address but this machine's."""
    resolve = socket.getaddrinfo

    def local(host: Any, *args: Any, **kwargs: Any) -> Any:
        if host not in (None, "localhost", "127.0.0.1", "::1", b"127.0.0.1", b"localhost"):
            print(f"refused a look-up of {host}", file=sys.stderr)
            raise socket.gaierror(socket.EAI_NONAME, f"{host}: this benchmark stays on this machine")
        return resolve(host, *args, **kwargs)

    socket.getaddrinfo = local


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=JOBS)
    parser.add_argument("--base", required=True)
    parser.add_argument("--calls", type=int, required=True)
    parser.add_argument("--in-flight", type=int, required=True)
    given = parser.parse_args()
    os.environ.update(OFFLINE)  # before the projects are imported: they read these when they are
    _stay_home()
    print(json.dumps(measure(JOBS[given.name], given.base, given.calls, given.in_flight)))


if __name__ == "__main__":
    main()
