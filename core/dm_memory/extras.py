"""How a missing extra is installed, in the words of the way in which dm-memory itself was."""

from __future__ import annotations

import json
import platform
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

__all__ = [
    "LAST_PYTHON",
    "LAUNCHED",
    "Machine",
    "how_to_get_the_model",
    "how_to_install",
    "how_to_install_vector",
    "installed_as",
    "model_words_for",
    "words_for",
]

_NAME = "dm-memory"

LAUNCHED = "dm-memory-launched"
"""The file that ``server/launch.py`` leaves in the environment of a plugin or a bundle, which it installs into."""


def how_to_install(extra: str) -> str:
    """Return the sentence that says how to add an optional dependency to the installation that runs."""
    return words_for(extra, Path(sys.prefix), _record())


def how_to_install_vector(extra: str) -> str:
    """Return the same for a vector database's package, with what there is where none is built."""
    here = Machine.here()
    if (here.system, here.processor.casefold()) == ("win32", "arm64"):
        return "It is not built for Windows on ARM: use a Python for x86-64, or set DM_MEMORY_VECTOR_DB to embedded."
    return f"{how_to_install(extra)} Or set DM_MEMORY_VECTOR_DB to embedded."


def _record() -> str:
    from importlib.metadata import PackageNotFoundError, distribution  # noqa: PLC0415  # only a missing extra needs it

    try:
        return distribution(_NAME).read_text("direct_url.json") or ""
    except PackageNotFoundError:
        return ""


def words_for(extra: str, prefix: Path, record: str) -> str:
    """Return the same for any installation: each installer leaves something behind by which it is known.

    Args:
        extra: The optional dependency.
        prefix: The environment. uv's tools have a receipt there; those of uvx lie in its cache.
        record: The text of PEP 610's ``direct_url.json``, or "". A bundle or a checkout that uv runs is a folder that
            is used where it lies.
    """
    kind, folder = _installation(prefix, record)
    wanted = f"'{folder or _NAME}[{extra}]'"
    if kind == "launched":
        return f"Restart the client while there is a network: the next start installs the extra {extra}."
    if kind == "tool":
        return f"Install it with the extra {extra}: uv tool install {wanted}."
    if kind == "uvx":
        return f"Start it with the extra {extra}: uvx --from {wanted} {_NAME}."
    if kind == "checkout":
        return f"Install the extra {extra} in the folder {folder}: uv sync --inexact --extra {extra}."
    return f"Install it with the extra {extra}: pip install {wanted}."


_UVX_FOLDERS = ("archive-v", "environments-v")
"""Folders of uv's cache; what follows is the number of their layout."""


def _source(record: str) -> tuple[str, bool]:
    """Return the folder that was installed ("" for a package of an index), and whether it is used where it lies."""
    from urllib.parse import urlsplit  # noqa: PLC0415  # as above
    from urllib.request import url2pathname  # noqa: PLC0415  # as above

    try:
        found = json.loads(record or "{}")
        url = urlsplit(found.get("url", ""))
        editable = bool(found.get("dir_info", {}).get("editable"))
    except (ValueError, AttributeError):
        return "", False
    return (url2pathname(url.path), editable) if url.scheme == "file" else ("", False)


def _is_made_by_uv(prefix: Path) -> bool:
    try:
        return "\nuv = " in (prefix / "pyvenv.cfg").read_text("utf-8")
    except OSError:
        return False


_Kind = Literal["launched", "tool", "uvx", "checkout", "package"]


def _installation(prefix: Path, record: str) -> tuple[_Kind, str]:
    """Return how an installation was made, and the folder it was made from ("" for a package of an index)."""
    folder, editable = _source(record)
    if (prefix / LAUNCHED).is_file():
        return "launched", folder
    if (prefix / "uv-receipt.toml").is_file():
        return "tool", folder
    if any(part.startswith(_UVX_FOLDERS) for part in prefix.parts):
        return "uvx", folder
    return ("checkout" if editable and _is_made_by_uv(prefix) else "package"), folder


def installed_as() -> tuple[_Kind, str]:
    """Return how the installation that runs was made, and the folder it was made from ("" for a package of an index).

    A checkout is used where it lies, under uv; what uvx made is temporary; anything else stays until it is removed.
    """
    return _installation(Path(sys.prefix), _record())


# An embedding model --------------------------------------------------------------------------------------------------

_MODEL = "wordllama"
_MINILM = "fastembed"
LAST_PYTHON = (3, 13)
"""The last one that either model is built for."""

_BUILDS = {
    _MODEL: {"linux": ("x86_64",), "darwin": ("x86_64", "arm64"), "win32": ("amd64",)},
    _MINILM: {"linux": ("x86_64", "aarch64"), "darwin": ("arm64",), "win32": ("amd64", "arm64")},
}
"""The processors a model has wheels for, by system; on Linux with glibc only, for Apple's from macOS 14 on."""

_MACOS_14 = 23
"""Its Darwin."""


@dataclass(frozen=True, slots=True)
class Machine:
    """What decides whether a wheel fits: Python, ``sys.platform``, its release, the processor and the C library."""

    python: tuple[int, int]
    system: str
    release: str
    processor: str
    libc: str = ""

    @classmethod
    def here(cls) -> Machine:
        """Return this one."""
        libc = platform.libc_ver()[0] if sys.platform == "linux" else ""
        return cls(sys.version_info[:2], sys.platform, platform.release(), platform.machine(), libc)

    def can_have(self, model: str) -> bool:
        """Return whether a model is built for this system and processor, with one Python or another."""
        processor = self.processor.casefold()
        if processor not in _BUILDS[model].get(self.system, ()) or (self.system == "linux" and self.libc != "glibc"):
            return False
        major = self.release.partition(".")[0]
        return (self.system, processor) != ("darwin", "arm64") or (major.isdigit() and int(major) >= _MACOS_14)


def how_to_get_the_model() -> str:
    """Return the sentence that says how to have an embedding model in the installation that runs."""
    return model_words_for(Machine.here(), Path(sys.prefix), _record())


def model_words_for(machine: Machine, prefix: Path, record: str) -> str:
    """Return the same for any machine and installation, only what works there: see ``words_for``."""
    model = next((each for each in (_MODEL, _MINILM) if machine.can_have(each)), "")
    if not model:
        return "No embedding model is built for this computer; DM_MEMORY_EMBEDDER names one of your own."
    kind, folder = _installation(prefix, record)
    if kind == "launched":
        return _launched_model_words(model)
    python = ".".join(map(str, machine.python))
    if machine.python > LAST_PYTHON:
        extra = "" if model == _MODEL else model
        text = f"No embedding model is built for Python {python}. Use Python 3.13: {_with_python(kind, folder, extra)}"
    elif model == _MODEL:
        text = f"Install the model: {_with_model(kind, folder)}"
    else:
        text = f"The bundled model is not built for this computer. {words_for(model, prefix, record).removesuffix('.')}"
    return f"{text}; then set DM_MEMORY_EMBEDDER={model}." if model == _MINILM else f"{text}."


def _launched_model_words(model: str) -> str:
    if model == _MODEL:
        return (
            "The model comes by itself while there is a network: restart the client some minutes after its first start."
        )
    return (
        f"The bundled model is not built for this computer. Set DM_MEMORY_EMBEDDER={model} for the server, and restart"
        " the client while there is a network: the next start installs it."
    )


def _with_model(kind: _Kind, folder: str) -> str:
    if kind == "tool":
        return f"uv tool install --with {_MODEL} '{folder or _NAME}'"
    if kind == "uvx":
        return f"uvx --with {_MODEL} --from '{folder or _NAME}' {_NAME}"
    return f"uv sync --inexact --directory '{folder}'" if kind == "checkout" else f"pip install {_MODEL}"


def _with_python(kind: _Kind, folder: str, extra: str) -> str:
    wanted = (folder or _NAME) + (f"[{extra}]" if extra else "")
    quoted = wanted if wanted == _NAME else f"'{wanted}'"
    if kind == "uvx":
        return f"uvx --python 3.13 {_NAME}" if wanted == _NAME else f"uvx --python 3.13 --from {quoted} {_NAME}"
    if kind == "checkout":
        return f"uv sync --inexact --python 3.13{f' --extra {extra}' if extra else ''} --directory '{folder}'"
    return f"uv tool install --python 3.13 {quoted}"
