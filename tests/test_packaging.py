"""What is packaged is what is in the tree, and what is declared is what is used."""

import ast
import re
import sys
import tomllib
from functools import cache
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
SOURCES = {"agentos": "agentos", "agentos.tools": "tools", "agentos.policies": "policies", "agentos.evals": "evals"}
UNIMPORTED = {
    "accelerate": "transformers asks for it when it reads a GGUF file",
    "gguf": "transformers asks for it when it reads a GGUF file",
}


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def required() -> dict[str, str]:
    """Package to range, as pyproject.toml has them."""
    pairs = (re.match(r"([\w.-]+)(.*)", text) for text in PROJECT["project"]["dependencies"])
    return {normal(pair[1]): pair[2] for pair in pairs if pair}


def extras() -> set[str]:
    """Packages that a user may ask for besides: every extra but the developers' own."""
    asked = PROJECT["project"]["optional-dependencies"]
    names = (re.match(r"[\w.-]+", text) for name, listed in asked.items() if name != "dev" for text in listed)
    return {normal(found[0]) for found in names if found}


def locked(name: str) -> dict[str, str]:
    """Package to version, as a lock has them."""
    return dict(re.findall(r"^([\w.-]+)==([^\s;]+)", (ROOT / name).read_text("utf-8"), re.MULTILINE))


def sources() -> list[Path]:
    return [file for folder in SOURCES.values() for file in sorted((ROOT / folder).rglob("*.py"))]


@cache
def owners() -> dict[str, set[str]]:
    """Top-level module to the packages that hold it."""
    return {module: set(map(normal, held)) for module, held in metadata.packages_distributions().items()}


@cache
def imported() -> set[str]:
    """Top-level names of every import in the package, wherever in a file it stands."""
    found: set[str] = set()
    for file in sources():
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.split(".")[0])
    return found - set(sys.stdlib_module_names) - {"agentos"}


def test_the_packages_listed_are_those_in_the_tree() -> None:
    inside = {
        ".".join((package, *file.parent.relative_to(ROOT / folder).parts))
        for package, folder in SOURCES.items()
        for file in (ROOT / folder).rglob("__init__.py")
    }
    assert set(PROJECT["tool"]["setuptools"]["packages"]) == inside
    assert PROJECT["tool"]["setuptools"]["package-dir"] == SOURCES


def test_every_data_file_is_packaged() -> None:
    patterns = PROJECT["tool"]["setuptools"]["package-data"]
    packages = {package: ROOT / folder for package, folder in SOURCES.items()}
    packaged = {file for package, globs in patterns.items() for glob in globs for file in packages[package].glob(glob)}
    data = {
        file
        for folder in SOURCES.values()
        for file in (ROOT / folder).rglob("*")
        if file.is_file()
        and file.suffix not in (".py", ".pyc")
        and not {"__pycache__", "results"} & set(file.parts)
    }
    assert data == packaged


@pytest.mark.parametrize("package", sorted(required()))
def test_every_declared_dependency_is_imported_or_has_a_reason(package: str) -> None:
    assert any(package in owners().get(module, ()) for module in imported()) or package in UNIMPORTED


def test_every_import_is_of_a_declared_dependency() -> None:
    declared = {*required(), *extras()}
    assert {module for module in imported() if not owners().get(module, set()) & declared} == set()


def test_every_declared_dependency_is_locked_within_its_range() -> None:
    from packaging.specifiers import SpecifierSet

    pins = locked("requirements.txt")
    assert {name for name, spec in required().items() if not SpecifierSet(spec).contains(pins[name])} == set()


@pytest.mark.parametrize("lock", ["requirements.txt", "requirements-dev.txt", "requirements-cuda.txt"])
def test_a_lock_pins_every_package_by_hash_and_names_no_index(lock: str) -> None:
    text = (ROOT / lock).read_text("utf-8")
    body = re.sub(r"^#.*\n", "", text, flags=re.MULTILINE)
    entries = re.split(r"\n(?=\w)", body.strip())
    assert len(entries) > 10
    for entry in entries:
        assert re.match(r"[\w.-]+==\S+( ;[^\\\n]+)?( \\\n    --hash=sha256:[0-9a-f]{64})+$", entry), entry[:80]
    assert not re.search(r"://|find-links|index", text)


def test_the_runtime_lock_asks_for_no_cuda_library() -> None:
    pins = locked("requirements.txt")
    assert not {name for name in pins if name == "triton" or re.match(r"(nvidia-(?!ml-py)|cuda-)", name)}
    assert not set(pins) & (set(locked("requirements-dev.txt")) | set(locked("requirements-cuda.txt")))


def test_no_release_of_litellm_that_stole_credentials_can_be_chosen() -> None:
    from packaging.specifiers import SpecifierSet

    asked = SpecifierSet(required()["litellm"])
    assert not asked.contains("1.82.7") and not asked.contains("1.82.8")
