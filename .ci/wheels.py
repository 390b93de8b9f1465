"""Check that whatever a plain installation needs comes as wheels, for every platform and every Python that is promised.

The markers of pyproject.toml are evaluated here, for each platform as it really is: a resolver that works for another
platform knows no ``platform_release``. Then uv resolves what is left, once as pip's users get it (the newest in the
ranges) and once as the lock has it (the pins), and may build nothing.

    uv run --no-sync python .ci/wheels.py [PART OF A PLATFORM'S NAME...]
"""

# ruff: noqa: INP001, S603, T201  # a script that starts uv and prints what it finds
from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
PYTHONS = ("3.11", "3.12", "3.13", "3.14")


@dataclass(frozen=True, slots=True)
class Platform:
    """A platform as uv names it and as markers see it.

    Attributes:
        target: uv's name of it.
        system: ``sys_platform``.
        machine: ``platform_machine``; case matters.
        release: ``platform_release``: on macOS the number of Darwin.
        macos: The oldest macOS that wheels may be for.
        built: Packages that are built there from source, of one Python or of all: ``pyyaml 3.11``, ``wordllama``.
    """

    name: str
    target: str
    system: str
    machine: str
    release: str = ""
    macos: str = ""
    built: tuple[str, ...] = ()


PLATFORMS = (
    Platform("Linux x86-64", "x86_64-manylinux_2_28", "linux", "x86_64"),
    Platform("Linux ARM", "aarch64-manylinux_2_28", "linux", "aarch64"),
    # No marker tells musl from glibc: pip builds wordllama there, which takes a C compiler.
    Platform("Alpine x86-64", "x86_64-unknown-linux-musl", "linux", "x86_64", built=("wordllama",)),
    Platform("Alpine ARM", "aarch64-unknown-linux-musl", "linux", "aarch64"),
    Platform("macOS 13 ARM", "aarch64-apple-darwin", "darwin", "arm64", "22.6.0", "13.0"),
    Platform("macOS 13 x86-64", "x86_64-apple-darwin", "darwin", "x86_64", "22.6.0", "13.0"),
    Platform("macOS 14 ARM", "aarch64-apple-darwin", "darwin", "arm64", "23.6.0", "14.0"),
    Platform("macOS 14 x86-64", "x86_64-apple-darwin", "darwin", "x86_64", "23.6.0", "14.0"),
    Platform("Windows x86-64", "x86_64-pc-windows-msvc", "win32", "AMD64"),
    # PyYAML has a wheel for 3.12 and newer; without a C compiler its source becomes a package in plain Python.
    Platform("Windows ARM", "aarch64-pc-windows-msvc", "win32", "ARM64", built=("pyyaml 3.11",)),
)


def main(wanted: Sequence[str]) -> int:
    """Print a line for each platform and Python; return 1 if a wheel is missing somewhere."""
    project: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    pins = project["tool"]["uv"]["constraint-dependencies"]
    wrong = 0
    for platform in PLATFORMS:
        if wanted and not any(part.lower() in platform.name.lower() for part in wanted):
            continue
        for python in PYTHONS:
            needed = list(requirements(wanted_of(project["project"]), platform, python))
            pinned = list(requirements(pins, platform, python))
            problems = {what: missing(needed, kept, platform, python) for what, kept in (("", []), (" (pins)", pinned))}
            names = {Requirement(text).name for text in needed}
            model = "with" if "wordllama" in names else "without"
            built = "".join(f", {name} from source" for name in from_source(platform, python) if name in names)
            print(f"{platform.name}, Python {python}: {model} the model{built}", flush=True)
            for what, problem in problems.items():
                if problem:
                    wrong += 1
                    print(f"  no wheel{what}: {problem}", flush=True)
    print("Some dependencies have no wheel: give them a marker." if wrong else "Everything has a wheel.")
    return 1 if wrong else 0


def wanted_of(project: dict[str, Any]) -> list[str]:
    """Return what a plain installation needs, and the vector databases' extras, which come as wheels as well."""
    extras = project["optional-dependencies"]
    return [*project["dependencies"], *extras["qdrant"], *extras["pinecone"]]


def requirements(texts: Sequence[str], platform: Platform, python: str) -> Iterator[str]:
    """Yield the requirements that hold on a platform, without their markers."""
    environment = {
        "implementation_name": "cpython",
        "implementation_version": f"{python}.0",
        "os_name": "nt" if platform.system == "win32" else "posix",
        "platform_machine": platform.machine,
        "platform_python_implementation": "CPython",
        "platform_release": platform.release,
        "platform_system": {"win32": "Windows", "darwin": "Darwin"}.get(platform.system, "Linux"),
        "platform_version": "",
        "python_full_version": f"{python}.0",
        "python_version": python,
        "sys_platform": platform.system,
        "extra": "",
    }
    for text in texts:
        requirement = Requirement(text)
        if requirement.marker is None or requirement.marker.evaluate(environment):
            requirement.marker = None
            yield str(requirement)


def from_source(platform: Platform, python: str) -> list[str]:
    """Return the packages that are built from source on a platform, with one Python."""
    pairs = (each.partition(" ") for each in platform.built)
    return [name for name, _, only in pairs if only in {"", python}]


def missing(needed: Sequence[str], pinned: Sequence[str], platform: Platform, python: str) -> str:
    """Return why no set of wheels satisfies the requirements, or ""."""
    with tempfile.TemporaryDirectory(prefix="wheels-") as name:
        folder = Path(name)
        (folder / "needed.in").write_text("\n".join(needed))
        (folder / "pins.txt").write_text("\n".join(pinned))
        command = ["uv", "pip", "compile", "--quiet", "--no-config", "--no-header", "--no-annotate", "needed.in"]
        command += ["--python-platform", platform.target, "--python-version", python, "--constraint", "pins.txt"]
        command += [
            "--only-binary",
            ":all:",
            *(part for name in from_source(platform, python) for part in ("--no-binary", name)),
        ]
        environment = os.environ | ({"MACOSX_DEPLOYMENT_TARGET": platform.macos} if platform.macos else {})
        finished = subprocess.run(
            command, cwd=folder, env=environment, check=False, capture_output=True, encoding="utf-8"
        )
    if finished.returncode == 0:
        return ""
    names = re.findall(r"([a-z0-9_.-]+)[^ ]*==\S+ has no (?:usable )?wheels", finished.stderr)
    return ", ".join(dict.fromkeys(names)) or " ".join(finished.stderr.split())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
