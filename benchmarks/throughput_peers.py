"""The job of benchmarks/throughput.py in other projects: one call a row, against one stub server with a fixed latency.

Each project runs in a virtual environment of its own, which this script makes at the first run (several GB in all, from
the package index that pip is set up for), and in a process of its own; bare aiohttp and ours run in between, from
benchmarks/throughput.py. The job itself is in benchmarks/throughput_jobs.py. What does not install or run within the
deadline is reported and left out. Time and CPU time are those of the job after a warm-up job, without imports.

Usage: python benchmarks/throughput_peers.py [--calls N] [--in-flight C] [--latency S] [--rounds R] [--only NAME,...]
       [--envs FOLDER] [--deadline S] [--save]
"""

import argparse
import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import venv
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tests")]

from throughput_chart import bars  # noqa: E402

from servers.stub import Stub  # noqa: E402  # pyright: ignore[reportMissingImports]  a file of the tests


@dataclass(frozen=True)
class Entrant:
    """Somebody who runs the job: what it is called, the distribution that has its version, what pip installs for it."""

    title: str
    package: str
    installs: tuple[str, ...] = ()  # none: it runs in our environment


ENTRANTS = {
    "aiohttp": Entrant("bare aiohttp", "aiohttp"),
    "synthwright": Entrant("Synthwright", "synthwright"),
    "curator": Entrant("curator", "bespokelabs-curator", ("bespokelabs-curator",)),
    "sdg_hub": Entrant("SDG Hub", "sdg-hub", ("sdg-hub",)),
    "data_designer": Entrant("Data Designer", "data-designer", ("data-designer",)),
    "distilabel": Entrant(
        "distilabel", "distilabel", ("distilabel[openai]", "requests")
    ),  # it does not declare requests
}


class Failure(Exception):
    """Why an entrant has no result."""


def environment(name: str, folder: Path) -> Path:
    """The Python of a project's environment, made and filled if it is not there yet."""
    python = folder / name / "bin" / "python"
    installs = ENTRANTS[name].installs
    if _version(python, ENTRANTS[name].package):
        return python
    print(f"{name}: installing {' '.join(installs)} in {folder / name}", flush=True)
    venv.create(folder / name, with_pip=True)
    command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *installs]
    done = subprocess.run(command, capture_output=True, text=True, env=_clean())
    if done.returncode:
        raise Failure(f"does not install: {_last(done.stderr)}")
    return python


def _version(python: Path, package: str) -> str | None:
    if not python.exists():
        return None
    code = f"import importlib.metadata as m; print(m.version({package!r}))"
    done = subprocess.run([str(python), "-P", "-c", code], capture_output=True, text=True, env=_clean())
    return None if done.returncode else done.stdout.strip()


def _clean() -> dict[str, str]:
    """Our environment variables without those that would show the projects our packages."""
    return {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}


def run(name: str, stub: Stub, arguments: argparse.Namespace) -> dict[str, Any]:
    """One entrant in a process of its own: the seconds and CPU seconds of its job, and what the server saw of it."""
    job = ["--base", stub.base, "--calls", str(arguments.calls), "--in-flight", str(arguments.in_flight)]
    if ENTRANTS[name].installs:
        python = environment(name, arguments.envs)
        command, env = [str(python), "-P", str(HERE / "throughput_jobs.py"), name, *job], _clean()
        release = _version(python, ENTRANTS[name].package)
    else:
        command, env = [sys.executable, str(HERE / "throughput.py"), "--route", name, *job], {**os.environ}
        release = version(ENTRANTS[name].package)
    stub.reset()
    result = json.loads(_output(command, {**env, "OPENAI_API_KEY": "none"}, arguments.deadline).splitlines()[-1])
    if result.get("rows", arguments.calls) != arguments.calls:
        raise Failure(f"made {result['rows']} rows of {arguments.calls}")
    seen = stub.stats()
    warm_up = max(arguments.in_flight, 32) // 4
    return {**result, "version": release, "seen": seen["calls"] - warm_up, "max_in_flight": seen["max_in_flight"]}


def _output(command: list[str], env: dict[str, str], deadline: float) -> str:
    pipe = subprocess.PIPE
    # A session of its own, so that processes that outlive their parent can be ended with it.
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=env, start_new_session=True) as process:
        try:
            out, problems = process.communicate(timeout=deadline)
        except subprocess.TimeoutExpired:
            raise Failure(f"is not done after {deadline:.0f} s") from None
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    if process.returncode:
        raise Failure(f"does not run: {_last(problems)}")
    return out


def _last(text: str) -> str:
    """The line that says what went wrong: pip's last error, or else the last line, as of a traceback."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR: ")]
    return (errors or lines or ["it said nothing"])[-1][:300]


def run_all(arguments: argparse.Namespace) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
    """The median of each entrant's rounds (by seconds), and why the others have none."""
    names = arguments.only.split(",") if arguments.only else list(ENTRANTS)
    rounds: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    failures: dict[str, str] = {}
    with Stub(latency=arguments.latency) as stub:
        for _ in range(arguments.rounds):
            for name in names:  # rounds of all, so that a busy spell of the machine meets everybody
                if name in failures:
                    continue
                try:
                    result = run(name, stub, arguments)
                except Failure as failure:
                    failures[name] = str(failure)
                    print(f"{name}: {failure}", flush=True)
                    continue
                rounds[name].append(result)
                print(f"{name:<14} {result['calls'] / result['seconds']:7.0f} calls/s", flush=True)
    results = {}
    for name, of in rounds.items():
        if of and name not in failures:
            results[name] = sorted(of, key=lambda r: r["seconds"])[(len(of) - 1) // 2]
            results[name]["cpu"] = statistics.median(r["cpu"] for r in of)
    return results, failures


def rates(results: dict[str, dict[str, Any]]) -> dict[str, float]:
    """Calls per second by name, the fastest first."""
    found = {name: result["calls"] / result["seconds"] for name, result in results.items()}
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def table(results: dict[str, dict[str, Any]]) -> str:
    """The results as a Markdown table; the ratios are of calls/s in the same run."""
    rate = rates(results)
    lines = [
        "| project | version | calls/s | CPU ms a call | of bare aiohttp | Synthwright to it | in flight | calls |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name, calls in rate.items():
        result, cpu = results[name], 1000 * results[name]["cpu"] / results[name]["calls"]
        share = f"{calls / rate['aiohttp']:.2f}" if "aiohttp" in rate else ""
        ours = f"{rate['synthwright'] / calls:.1f} x" if "synthwright" in rate else ""
        lines.append(
            f"| {ENTRANTS[name].title} | {result['version']} | {calls:.0f} | {cpu:.2f} "
            f"| {share} | {ours} | {result['max_in_flight']} | {result['seen']} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=3000, help="rows, and so calls, of each project")
    parser.add_argument("--in-flight", type=int, default=256)
    parser.add_argument("--latency", type=float, default=0.05, help="seconds before the server answers")
    parser.add_argument("--rounds", type=int, default=1, help="the median of so many runs counts")
    parser.add_argument("--only", help="names, separated by commas: " + ", ".join(ENTRANTS))
    parser.add_argument("--envs", type=Path, default=HERE.parent / ".venv" / "peers", help="folder of the environments")
    parser.add_argument("--deadline", type=float, default=180, help="seconds that one project may take")
    parser.add_argument("--save", action="store_true", help="write throughput_peers.md and throughput.svg")
    arguments = parser.parse_args()
    if unknown := set(arguments.only.split(",") if arguments.only else ()) - set(ENTRANTS):
        parser.error(f"--only: unknown {sorted(unknown)}; there are {sorted(ENTRANTS)}")
    load = os.getloadavg()[1]
    results, failures = run_all(arguments)
    setting = (
        f"{arguments.calls} rows, one call each, {arguments.in_flight} in flight at most, "
        f"{1000 * arguments.latency:.0f} ms latency"
    )
    parts = [
        f"{setting} (at most {arguments.in_flight / arguments.latency:.0f} calls/s); median of {arguments.rounds}",
        table(results),
        *(f"{ENTRANTS[name].title} is missing: it {why}" for name, why in failures.items()),
        f"Python {platform.python_version()}, {os.cpu_count()} cores, {platform.machine()}; "
        f"load average {load:.1f} before the run",
    ]
    text = "\n\n".join(parts)
    print(f"\n{text}")
    if arguments.save:
        folder = HERE / "results"
        options = f"--calls {arguments.calls} --in-flight {arguments.in_flight} --rounds {arguments.rounds} --save"
        head = f"# Throughput beside other projects\n\n`python benchmarks/{Path(__file__).name} {options}`\n\n{NOTE}"
        (folder / "throughput_peers.md").write_text(f"{head}\n\n{text}\n", encoding="utf-8")
        shown = {ENTRANTS[name].title: calls for name, calls in rates(results).items()}
        chart = bars("LLM calls per second", setting, shown, strong=ENTRANTS["synthwright"].title)
        (folder / "throughput.svg").write_text(chart, encoding="utf-8")


NOTE = """Synthwright makes two typed fields a call, filters them and journals every call; the others make one text.
distilabel's time includes the start of its processes, which every run of it pays. `in flight` and `calls` are what the
server counted; more calls than rows are probes and repetitions. On a busy machine the CPU time of a call is the
steadiest of these figures."""


if __name__ == "__main__":
    main()
