"""The house's rules: which room may import what, how it is packaged, and that README tells the truth about it."""

import ast
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = {
    "search_spaces": ROOT / "search_spaces",
    "trainables": ROOT / "trainables",
    "reports": ROOT / "reports",
    "voxstudy": ROOT / "platform" / "voxstudy",
}
MAY_IMPORT = {
    "search_spaces": {"search_spaces"},
    "trainables": {"trainables", "search_spaces"},
    "reports": {"reports", "search_spaces"},
    "voxstudy": set(ROOMS),
}
FORBIDDEN = {"search_spaces": {"torch", "torchaudio", "ray"}, "reports": {"torch", "torchaudio", "ray"}}


def _imports(file: Path) -> set[str]:
    """Top-level packages that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: imports are absolute"
            found.add((node.module or "").split(".")[0])
    return found


def _files(room: str) -> list[Path]:
    files = sorted(ROOMS[room].rglob("*.py"))

    assert files, room
    return files


@pytest.mark.parametrize("room", ROOMS)
def test_rooms_import_in_one_direction(room: str) -> None:
    """search_spaces <- trainables, search_spaces <- reports, all three <- platform."""
    for file in _files(room):
        imported = _imports(file)

        assert imported & set(ROOMS) <= MAY_IMPORT[room], file
        assert not imported & FORBIDDEN.get(room, set()), file


def test_ray_stands_in_one_module_of_trainables() -> None:
    """worker.py is the only module of trainables that knows Ray."""
    assert [file.name for file in _files("trainables") if "ray" in _imports(file)] == ["worker.py"]


def test_no_package_named_platform() -> None:
    """platform/__init__.py would hide the standard library's module."""
    assert not (ROOT / "platform" / "__init__.py").exists()


def test_platform_is_the_standard_librarys() -> None:
    """`import platform` from the checkout's root gives the standard library's module."""
    code = "import platform; print(platform.__file__, platform.python_version())"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)

    assert str(ROOT) not in done.stdout.replace(sys.prefix, "")


@pytest.mark.parametrize("command", ["check demo", "knobs", "show {run}", "table {run}", "report {run}", "logs {run}"])
def test_light_commands_import_neither_torch_nor_ray(command: str, tmp_path: Path) -> None:
    """`check`, `knobs`, `show`, `table`, `report` and `logs` answer without torch and Ray."""
    if "{run}" in command:
        shutil.copytree(ROOT / "tests" / "reports" / "data" / "run_v1", tmp_path / "run")
        command = command.format(run=tmp_path / "run")
    code = (
        "import sys\nfrom voxstudy.cli import app\n"
        f"app({command.split()!r}, standalone_mode=False)\n"
        "heavy = {'torch', 'ray'} & set(sys.modules)\nassert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_wheel_holds_every_module_and_study(wheel: Path) -> None:
    """The wheel has all packages, studies and templates, a content hash in its version, and requires nothing."""
    archive = zipfile.ZipFile(wheel)
    names = set(archive.namelist())
    wanted = set()
    for package, folder in ROOMS.items():
        for file in folder.rglob("*"):
            if file.is_file() and "__pycache__" not in file.parts:
                wanted.add(f"{package}/{file.relative_to(folder).as_posix()}")

    assert wanted <= names, wanted - names
    assert re.fullmatch(r"voxstudy-\d+\.\d+\.\d+\+g[0-9a-f]{8}-py3-none-any\.whl", wheel.name)
    metadata = next(archive.read(name).decode() for name in names if name.endswith("/METADATA"))
    requires = [line for line in metadata.splitlines() if line.startswith("Requires-Dist")]
    assert [line for line in requires if "extra ==" not in line] == []


def test_readme_shows_the_file_tree_as_it_is() -> None:
    """Every file of the rooms has a line in README's tree, and every line has its file."""
    tree = re.search(r"```text\n(platform/.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)

    assert tree is not None
    listed, folders = set(), []
    for line in tree[1].splitlines():
        depth, name = (len(line) - len(line.lstrip())) // 2, line.split("#")[0].strip()
        if not name:
            continue
        folders = [*folders[:depth], name]
        if not name.endswith("/"):
            listed.add("".join(folders))
    present = {
        file.relative_to(ROOT).as_posix()
        for folder in ROOMS.values()
        for file in folder.rglob("*")
        if file.is_file() and "__pycache__" not in file.parts and file.name not in {"__init__.py", "py.typed"}
    }

    assert present == listed


def test_modules_stay_small() -> None:
    """No module is longer than 400 lines."""
    long = {file.name: n for room in ROOMS for file in _files(room) if (n := len(file.read_text().splitlines())) > 400}

    assert long == {}


def test_no_path_of_a_machine_is_committed() -> None:
    """Nothing in the rooms, the tests or the pages names a folder of somebody's machine."""
    private = re.compile(r"(?<![\w.])/(?:work|root|home)/\w")
    texts = [*ROOT.glob("*.md"), *ROOT.glob("*.toml"), ROOT / "Makefile", *(ROOT / "tests").rglob("*.py")]
    for file in [*texts, *(file for room in ROOMS for file in _files(room))]:
        assert private.search(file.read_text()) is None, file
