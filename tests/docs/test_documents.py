"""What documents name exists: paths, commands, recipes, pages, decisions; and the site can be built from them."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
DECISIONS = ROOT / "docs" / "decisions"
FOR_ENGINEERS = ("CONTRIBUTING.md", "SECURITY.md", "docs/architecture.md", "docs/glossary.md")
FOR_EVERYBODY = (
    *("README.md", "docs/benchmarks.md", "docs/clients.md", "docs/content-types.md", "docs/hooks.md"),
    *("docs/http.md", "docs/index.md", "docs/privacy.md", "docs/releasing.md", "docs/search.md"),
    *("docs/troubleshooting.md", "docs/tutorials/first-sync.md"),
    *sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "skills").rglob("*.md")),
)
DOCUMENTS = (*FOR_ENGINEERS, *FOR_EVERYBODY, "docs/decisions/README.md", ".github/pull_request_template.md")

_CODE = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"\[[^\]\n]*\]\(([^)\s]+)\)")
_PATH = re.compile(r"\.?[\w.-]+(?:/[\w.-]+)*/?")
_FOLDERS = frozenset({"core", "server", "tools", "native", "tests", "benchmarks", "examples", "docs", ".ci", ".github"})
_NOT_OURS = frozenset({"build/site", "tools/list", ".github/mcp.json"})
"""What is made, a method of the protocol, and a file of a client."""
_NODES = re.compile(r"<b>(.+?)</b>")


def read(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def without_fences(text: str) -> str:
    return re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)


def fences(text: str) -> Iterator[str]:
    yield from re.findall(r"^```(?:\w+)?\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def named_paths(text: str) -> Iterator[str]:
    """Yield what is written like a path of the repository."""
    for code in _CODE.findall(without_fences(text)):
        top = code.split("/", 1)[0]
        if _PATH.fullmatch(code) and (("/" in code and top in _FOLDERS) or code in {"justfile", "Dockerfile"}):
            yield code


def core_paths(text: str) -> Iterator[str]:
    """Yield modules that the architecture names from inside the core: ``sync/plan.py``."""
    for code in _CODE.findall(without_fences(text)):
        if re.fullmatch(r"(?:brand|embedding|facts|search|services|store|sync|text)/[\w/.]*", code):
            yield code


def commands(text: str) -> Iterator[list[str]]:
    """Yield the words of each command in a document, from code spans and fences."""
    lines = [line for fence in fences(text) for line in fence.splitlines()]
    for line in [*lines, *_CODE.findall(without_fences(text))]:
        yield line.split()


def anchors_of(path: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub and the site generator make them."""
    headings = re.findall(r"^#+ +(.+)$", without_fences(path.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def recipes() -> set[str]:
    return set(re.findall(r"^([a-z][\w-]*)(?: \*\w+)?:$", read("justfile"), re.MULTILINE))


def configuration(path: str) -> Any:
    return yaml.load(read(path), Loader=yaml.CSafeLoader)  # a safe loader


def pages(nav: list[dict[str, Any]]) -> Iterator[str]:
    for entry in nav:
        for target in entry.values():
            yield from [target] if isinstance(target, str) else pages(target)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_path_that_a_document_names_exists(document: str) -> None:
    missing = [path for path in named_paths(read(document)) if path not in _NOT_OURS and not (ROOT / path).exists()]
    assert missing == []


def test_every_module_that_the_architecture_names_exists() -> None:
    core = ROOT / "core" / "dm_memory"
    assert [path for path in core_paths(read("docs/architecture.md")) if not (core / path).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_link_of_a_document_leads_somewhere(document: str) -> None:
    lost = []
    for link in _LINK.findall(without_fences(read(document))):
        if re.match(r"\w+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (ROOT / document).parent / path if path else ROOT / document
        if not target.exists() or (anchor and anchor not in anchors_of(target)):
            lost.append(link)
    assert lost == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_recipe_that_a_document_names_exists(document: str) -> None:
    named = {words[1] for words in commands(read(document)) if len(words) > 1 and words[0] == "just"}
    assert named <= recipes()


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_command_and_option_of_the_product_in_a_document_exists(document: str) -> None:
    from typer.main import get_command  # noqa: PLC0415  # as above

    from dm_memory_server.cli import app  # noqa: PLC0415  # the other tests need no command line

    group: Any = get_command(app)
    for words in commands(read(document)):
        own = words[2:] if words[:2] == ["uv", "run"] else words
        if own[:1] != ["dm-memory"] or len(own) == 1:
            continue
        command = group if own[1].startswith("-") else group.commands.get(own[1])
        if len(own) > 2:
            command = getattr(command, "commands", {}).get(own[2], command)  # token add
        assert command is not None, " ".join(words)
        options = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
        assert {word for word in own if word.startswith("--")} <= options | {"--help"}, " ".join(words)


def test_every_setting_that_a_document_names_exists() -> None:
    listed = set(re.findall(r"\bDM_MEMORY_[A-Z_]+\b", "".join(map(read, DOCUMENTS))))
    from dm_memory.settings import Settings  # noqa: PLC0415  # the other tests need no settings
    from dm_memory_server.http.settings import HttpSettings  # noqa: PLC0415  # as above

    tests_own = {"slow"}  # chooses tests; tests/conftest.py
    fields = {*Settings.model_fields, *HttpSettings.model_fields}
    assert {name.removeprefix("DM_MEMORY_").lower() for name in listed} - tests_own <= fields


def test_the_picture_of_the_floors_has_what_the_import_contract_has() -> None:
    drawn = {name for node in _NODES.findall(read("docs/architecture.md")) for name in re.findall(r"\w+", node)} - {
        "br"
    }
    contracts = tomllib.loads(read("pyproject.toml"))["tool"]["importlinter"]["contracts"]
    floors = next(contract["layers"] for contract in contracts if contract.get("containers") == ["dm_memory"])
    assert drawn == {name for floor in floors for name in floor.split(" | ")} | {"server", "tools"}


def test_every_table_of_the_memory_is_in_the_architecture() -> None:
    from dm_memory.store.schema import MIGRATIONS  # noqa: PLC0415  # the other tests need no schema

    tables = set(re.findall(r"CREATE (?:VIRTUAL )?TABLE (\w+)", "".join(MIGRATIONS)))
    section = read("docs/architecture.md").split("The tables of")[1].split("## ")[0]
    assert tables <= set(_CODE.findall(section))


def test_the_index_of_decisions_is_complete_and_in_order() -> None:
    files = sorted(path.name for path in DECISIONS.glob("[0-9]*.md"))
    rows = re.findall(
        r"^\| \[(\d{4})\]\((\S+)\) \| .+ \| (?:in force|replaced).* \|$", read("docs/decisions/README.md"), re.MULTILINE
    )
    assert [file for _, file in rows] == files
    assert [number for number, _ in rows] == [file[:4] for file in files]


def test_a_decision_that_is_replaced_says_so_itself() -> None:
    replaced = re.findall(
        r"^\| \[\d{4}\]\((\S+)\) \| .+ \| [^|]*replaced.* \|$", read("docs/decisions/README.md"), re.MULTILINE
    )
    assert replaced
    assert [name for name in replaced if "**Status.** " not in (DECISIONS / name).read_text("utf-8")] == []


def test_the_site_shows_every_page() -> None:
    listed = set(pages(tomllib.loads(read("zensical.toml"))["project"]["nav"]))
    made = {"reference/commands.md", "reference/tools.md", "reference/settings.md"}
    written = {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")}
    reached_from_the_index = {f"decisions/{path.name}" for path in DECISIONS.glob("[0-9]*.md")}
    assert listed - made == written - reached_from_the_index


@pytest.mark.parametrize("path", [str(file.relative_to(ROOT)) for file in sorted(ROOT.glob(".github/workflows/*.yml"))])
def test_a_workflow_names_its_actions_by_version_and_has_no_rights_by_default(path: str) -> None:
    workflow = configuration(path)
    assert workflow["permissions"] == {"contents": "read"}
    steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
    actions = [step["uses"] for step in steps if "uses" in step]
    assert [
        action for action in actions if not re.fullmatch(r"[\w.-]+(/[\w.-]+)+@(v\d+(\.\d+)*|release/v\d+)", action)
    ] == []


def test_the_workflow_tests_every_system_and_python_that_is_supported() -> None:
    matrix = configuration(".github/workflows/ci.yml")["jobs"]["tests"]["strategy"]["matrix"]
    assert [name.split("-")[0] for name in matrix["os"]] == ["ubuntu", "macos", "windows"]
    classifiers = tomllib.loads(read("pyproject.toml"))["project"]["classifiers"]
    supported = [name.rpartition(" ")[2] for name in classifiers if re.search(r":: 3\.\d+$", name)]
    assert matrix["python"] == supported


def test_hooks_are_local_and_run_what_is_here() -> None:
    repositories = configuration(".pre-commit-config.yaml")["repos"]
    assert [repository["repo"] for repository in repositories] == ["local"]
    for hook in repositories[0]["hooks"]:
        words = hook["entry"].split()
        assert words[:3] == ["uv", "run", "--no-sync"] or (ROOT / words[1]).is_file()


@pytest.mark.docs
def test_the_site_is_built_without_a_broken_link(tmp_path: Path) -> None:
    copied = tmp_path / "repository"
    for name in ("docs", ".ci"):
        shutil.copytree(ROOT / name, copied / name)
    shutil.copy(ROOT / "zensical.toml", copied)
    command = [sys.executable, str(copied / ".ci" / "build_docs.py")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=copied)
    assert done.returncode == 0, done.stdout + done.stderr
    site = copied / "build" / "site"
    for page in pages(tomllib.loads(read("zensical.toml"))["project"]["nav"]):
        assert (site / page.replace("README.md", "index.md")).with_suffix(".html").is_file(), page
    assert "dm-memory sync" in (site / "reference" / "commands.html").read_text("utf-8")


@pytest.mark.docs
def test_just_understands_the_justfile() -> None:
    done = subprocess.run(["just", "--summary"], capture_output=True, text=True, check=True, cwd=ROOT)
    assert set(done.stdout.split()) == recipes()
