"""The wheel holds every module, data file and type marker, and works outside the repository."""

import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_the_wheel_is_whole_and_works_elsewhere(tmp_path):
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        archive.extractall(tmp_path / "site")
    for folder in ("optimizers", "programs", "retrieval", "signatures"):
        there = {f"synthwright/{p.relative_to(ROOT)}" for p in (ROOT / folder).rglob("*") if p.is_file()}
        assert {name for name in there if "__pycache__" not in name} <= names
    assert "synthwright/py.typed" in names
    source = ROOT / "src" / "synthwright"
    for folder in ("cli", "report"):  # these hold more than modules
        there = {f"synthwright/{p.relative_to(source)}" for p in (source / folder).rglob("*") if p.is_file()}
        assert {name for name in there if "__pycache__" not in name} <= names
    code = (
        "import importlib, pkgutil, synthwright\n"
        "for m in pkgutil.walk_packages(synthwright.__path__, 'synthwright.'):\n"
        "    importlib.import_module(m.name)\n"
        "print(synthwright.__file__, *(g.stem() for g in synthwright.list_generators()))"
    )
    # -S would drop the dependencies, so the unpacked wheel only comes before the editable install.
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env={"PYTHONPATH": str(tmp_path / "site")}, capture_output=True,
        text=True, check=True,
    )  # fmt: skip
    assert done.stdout.startswith(str(tmp_path / "site")) and "evol_instruct" in done.stdout
