"""Calls per second of one two-field signature against one stub server with a fixed latency, by route.

Every route runs in a process of its own against the same server process, one after another; the CPU time is that of
the route's processes without their start (imports, connection set-up), so that it says what one call costs.

Usage: python benchmarks/throughput.py [--calls N] [--in-flight C] [--latency S] [--only ROUTE,...] [--save]
The peers are measured by benchmarks/throughput_peers.py, which needs an environment for each.
"""

import argparse
import asyncio
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
ROUTES = {  # name: (what it is, share of --calls it makes)
    "aiohttp": ("bare aiohttp client", 1.0),
    "synthwright": ("synthwright generate(): store, journal, filters", 1.0),
    "synthwright-2": ("the same with two worker processes", 1.0),
    "dspy": ("dspy.Predict, its default route", 0.15),
    "litellm": ("dspy.Predict through LiteLLM", 0.06),
}
PROMPT = "Write a question about topic {} and its answer."


def measure(route: str, base: str, calls: int, in_flight: int) -> dict[str, Any]:
    """Run one route in this process and say what it cost."""
    work = {
        "aiohttp": bare_aiohttp,
        "synthwright": ours,
        "synthwright-2": ours,
        "dspy": plain_dspy,
        "litellm": plain_dspy,
    }[route]
    options: dict[str, Any] = {"workers": 2} if route == "synthwright-2" else {}
    if route in ("dspy", "litellm"):
        options["engine"] = "auto" if route == "dspy" else "litellm"
    work(base, max(in_flight, 32) // 4, min(in_flight, 32), **options)  # warm up: imports, connections, caches
    before, started = _cpu(), time.perf_counter()
    work(base, calls, in_flight, **options)
    return {"seconds": time.perf_counter() - started, "cpu": _cpu() - before, "calls": calls}


def _cpu() -> float:
    total = 0.0
    for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN):
        used = resource.getrusage(who)
        total += used.ru_utime + used.ru_stime
    return total


def bare_aiohttp(base: str, calls: int, in_flight: int) -> None:
    import aiohttp

    async def main() -> None:
        numbers = iter(range(calls))
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

            async def worker() -> None:
                for number in numbers:
                    messages = [{"role": "user", "content": PROMPT.format(number)}]
                    async with session.post(
                        f"{base}/chat/completions", json={"model": "stub", "messages": messages}
                    ) as reply:
                        assert (await reply.json())["choices"]

            await asyncio.gather(*(worker() for _ in range(in_flight)))

    asyncio.run(main())


def ours(base: str, calls: int, in_flight: int, workers: int = 1) -> None:
    sys.path.insert(0, str(ROOT / "benchmarks"))
    from pairs import Pairs

    import synthwright as sw

    lm = sw.openai_lm("stub", base, concurrency=in_flight)
    seeds = [{"topic": f"topic {number}"} for number in range(calls)]
    with tempfile.TemporaryDirectory() as out:
        run = sw.generate(Pairs(), seeds=seeds, lms=lm, out=out, workers=workers)
        assert len(run) == calls, run.funnel


def plain_dspy(base: str, calls: int, in_flight: int, engine: str = "auto") -> None:
    import dspy

    sys.path.insert(0, str(ROOT / "benchmarks"))
    from pairs import WritePair

    lm = dspy.LM("openai/stub", api_base=base, api_key="none", cache=False, engine=engine)
    write, numbers = dspy.Predict(WritePair), iter(range(calls))

    async def worker() -> None:
        for number in numbers:
            assert (await write.acall(topic=f"topic {number}")).answer

    async def main() -> None:
        with dspy.context(lm=lm, adapter=dspy.JSONAdapter(), disable_history=True):
            await asyncio.gather(*(worker() for _ in range(in_flight)))

    asyncio.run(main())


def run_all(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Each route in its own process, against one server."""
    sys.path.insert(0, str(ROOT / "tests"))
    from servers.stub import Stub  # pyright: ignore[reportMissingImports]  a file of the tests

    results = []
    with Stub(latency=arguments.latency) as stub:
        for route in arguments.only.split(",") if arguments.only else ROUTES:
            calls = max(arguments.in_flight, int(arguments.calls * ROUTES[route][1]))
            stub.reset()
            command = [sys.executable, __file__, "--route", route, "--base", stub.base, "--calls", str(calls)]
            done = subprocess.run(
                [*command, "--in-flight", str(arguments.in_flight)],
                capture_output=True,
                text=True,
                env={**os.environ, "OPENAI_API_KEY": "none"},
            )
            if done.returncode:
                print(f"{route}: failed\n{done.stderr[-2000:]}")
                continue
            result = {"route": route, **json.loads(done.stdout.splitlines()[-1])}
            stats = stub.stats()
            results.append({**result, "max_in_flight": stats["max_in_flight"], "repeated": stats["repeated"]})
            print(f"{route:<14} {result['calls'] / result['seconds']:7.0f} calls/s", flush=True)
    return results


def table(results: list[dict[str, Any]], in_flight: int, latency: float) -> str:
    """The results as a Markdown table; the ratios are to bare aiohttp in the same run."""
    rate = {r["route"]: r["calls"] / r["seconds"] for r in results}
    lines = [
        f"{in_flight} calls in flight, {1000 * latency:.0f} ms latency (at most {in_flight / latency:.0f} calls/s)",
        "",
        "| route | calls | calls/s | CPU ms a call | of bare aiohttp | in flight |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for r in results:
        share = rate[r["route"]] / rate["aiohttp"] if "aiohttp" in rate else float("nan")
        lines.append(
            f"| {ROUTES[r['route']][0]} | {r['calls']} | {rate[r['route']]:.0f} | {1000 * r['cpu'] / r['calls']:.2f} "
            f"| {share:.2f} | {r['max_in_flight']} |"
        )
    if "synthwright" in rate:
        for other in ("dspy", "litellm"):
            if other in rate:
                lines.append("")
                lines.append(f"synthwright / {other}: {rate['synthwright'] / rate[other]:.1f}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=10_000, help="calls of the fast routes")
    parser.add_argument("--in-flight", type=int, default=256)
    parser.add_argument("--latency", type=float, default=0.05, help="seconds before the server answers")
    parser.add_argument("--only", help="routes, separated by commas: " + ", ".join(ROUTES))
    parser.add_argument("--save", action="store_true", help="write benchmarks/results/throughput.md")
    parser.add_argument("--route", help=argparse.SUPPRESS)
    parser.add_argument("--base", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.route:
        print(json.dumps(measure(arguments.route, arguments.base, arguments.calls, arguments.in_flight)))
        return
    text = table(run_all(arguments), arguments.in_flight, arguments.latency)
    versions = ", ".join(f"{name} {version(name)}" for name in ("dspy", "aiohttp", "litellm", "pydantic"))
    machine = f"Python {platform.python_version()}, {os.cpu_count()} cores, {platform.machine()}; {versions}"
    print(f"\n{text}\n\n{machine}")
    if arguments.save:
        command = "python " + " ".join([f"benchmarks/{Path(__file__).name}", *sys.argv[1:]])
        path = ROOT / "benchmarks" / "results" / "throughput.md"
        path.write_text(f"# Throughput\n\n`{command}`\n\n{text}\n\n{machine}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
