"""The layout: real top-level folders under one import name, four files a method, arrows that go one way."""

import ast
import importlib
import pkgutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import synthwright
from synthwright.programs.base import list_generators

ROOT = Path(__file__).parents[1]
TOP = ("optimizers", "programs", "retrieval", "signatures")
WHEEL = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]


def test_folders_map_and_links_agree():
    source = ROOT / "src" / "synthwright"
    assert {link.name for link in source.iterdir() if link.is_symlink()} == set(TOP)
    for name in TOP:
        assert (source / name).resolve() == ROOT / name
        assert WHEEL["sources"][name] == f"synthwright/{name}"
        assert f"/{name}" in WHEEL["include"]


def test_the_wheel_names_every_package_of_the_machinery():
    packages = {p.name for p in (ROOT / "src" / "synthwright").iterdir() if (p / "__init__.py").exists()} - set(TOP)
    named = {entry.rpartition("/")[2] for entry in WHEEL["include"] if entry.startswith("/src/synthwright/")}
    assert packages == named - {"*.py", "py.typed"}


@pytest.mark.parametrize("name", TOP)
def test_a_folder_cannot_be_imported_under_its_own_name(name):
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); import {name}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert f"import synthwright.{name}, not {name}" in done.stderr


@pytest.mark.parametrize("cls", list_generators(), ids=lambda cls: cls.stem())
def test_a_method_has_its_files(cls):
    stem = cls.stem()
    for path in (
        f"signatures/{stem}.py",
        f"programs/{stem}.py",
        f"optimizers/metrics/{stem}.py",
        f"optimizers/data/{stem}.jsonl",
        f"programs/data/demonstrations/{stem}.json",
        f"tests/programs/test_{stem}.py",
        f"docs/methods/{stem.replace('_', '-')}.md",
    ):
        assert (ROOT / path).is_file(), f"{cls.__name__} lacks {path}"
    assert cls.__name__.lower() == stem.replace("_", "")


BELOW_PROGRAMS = {"errors", "signatures", "retrieval", "filters", "lms", "pool", "portal", "sandbox", "verify"}
ALLOWED = {  # what a folder may import of ours, besides itself
    "signatures": set(),
    "retrieval": {"errors", "signatures"},
    "filters": {"errors", "signatures"},
    "lms": {"errors", "signatures", "filters"},
    "sandbox": {"errors"},
    "verify": {"errors", "sandbox"},
    "programs": BELOW_PROGRAMS,
    "report": {*BELOW_PROGRAMS, "programs", "runs"},
    "runs": {*BELOW_PROGRAMS, "programs", "export", "report"},  # the last two only inside methods of Run
    "export": {*BELOW_PROGRAMS, "programs", "runs"},
    "optimizers": {*BELOW_PROGRAMS, "programs", "report", "runs"},
}


@pytest.mark.parametrize("folder", ALLOWED)
def test_arrows_go_one_way(folder):
    base = ROOT / folder if folder in TOP else ROOT / "src" / "synthwright" / folder
    for path in base.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            for name in names:
                parts = name.split(".")
                if parts[0] == "synthwright":
                    used = parts[1] if len(parts) > 1 else "everything"
                    assert used in ALLOWED[folder] | {folder}, f"{path.relative_to(ROOT)} imports {name}"


def _modules():
    found = pkgutil.walk_packages(synthwright.__path__, "synthwright.")
    return ["synthwright", *(module.name for module in found)]


@pytest.mark.parametrize("name", _modules())
def test_all_is_sorted_and_true(name):
    module = importlib.import_module(name)
    exported = getattr(module, "__all__", [])
    assert exported == sorted(exported, key=lambda n: (not n.isupper(), not n[0].isupper(), n))
    for entry in exported:
        assert hasattr(module, entry), f"{name}.__all__ names {entry}"


def test_import_is_light():
    code = "import sys, synthwright; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    heavy = {"torch", "ray", "litellm", "datasets", "onnxruntime", "pandas", "aiohttp", "xllamacpp", "openai", "typer"}
    assert not heavy & set(loaded)


def test_no_file_names_a_path_of_the_machine():
    tracked = subprocess.run(["git", "ls-files"], capture_output=True, text=True, cwd=ROOT).stdout.split()
    bad = [
        name
        for name in tracked
        if name.endswith((".py", ".md", ".toml", ".yaml", ".yml", ".json", ".jsonl"))
        if any(f"/{top}/" in (ROOT / name).read_text(encoding="utf-8") for top in ("work", "root", "farm"))
    ]
    assert not bad
