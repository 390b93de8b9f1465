"""The protocol's official conformance suite, for both of its revisions.

The suite is written against a sample server: what asks for that server's own tools, prompts and resources can't pass
elsewhere. Those scenarios are listed here, with the reason; any other failure is a fault of ours.
"""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.http.serving import ERAS, served
from tests.http.test_clients import install

pytestmark = pytest.mark.npm

SUITE = "@modelcontextprotocol/conformance@0.2.0-alpha.12"
NODE = 22

SAMPLES = frozenset(
    {
        # tools of the sample server: test_image_content, test_sampling, ...
        "tools-call-image",
        "tools-call-audio",
        "tools-call-embedded-resource",
        "tools-call-mixed-content",
        "tools-call-with-logging",
        "tools-call-with-progress",
        "tools-call-sampling",
        "tools-call-elicitation",
        "json-schema-2020-12",
        "elicitation-sep1034-defaults",
        "elicitation-sep1330-enums",
        "server-sse-polling",
        "http-custom-header-server-validation",  # a tool with x-mcp-header
        "input-required-result-basic-elicitation",
        "input-required-result-basic-sampling",
        "input-required-result-basic-list-roots",
        "input-required-result-request-state",
        "input-required-result-multiple-input-requests",
        "input-required-result-multi-round",
        "input-required-result-result-type",
        "input-required-result-tampered-state",
        "input-required-result-capability-check",
        # its prompts
        "prompts-get-simple",
        "prompts-get-with-args",
        "prompts-get-embedded-resource",
        "prompts-get-with-image",
        "input-required-result-non-tool-request",
        # its resources
        "resources-read-text",
        "resources-read-binary",
        "resources-templates-read",
        "resources-subscribe",
        "resources-unsubscribe",
        # its completions, and levels of its log, which the newer revision deprecates
        "completion-complete",
        "logging-set-level",
    }
)

SAMPLE_CHECKS = frozenset(
    {
        # in a scenario that otherwise counts: the sample server's test_missing_capability
        "sep-2575-server-rejects-undeclared-capability",
        "sep-2575-missing-capability-http-400",
    }
)

# The suite's folder of a scenario ends in the instant it started: "server-tools-list-2026-11-26T04-16-48-201Z".
STARTED = re.compile(r"-\d{4}-\d\d-\d\dT[\dA-Z-]+$")

MUST_PASS = {
    "2026-07-28": {
        "server-stateless",
        "tools-list",
        "caching",
        "http-header-validation",
        "sep-2164-resource-not-found",
    },
    "2025-11-25": {"server-initialize", "ping", "tools-list", "resources-list", "prompts-list"},
}


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """Return a Node that is new enough and the suite's program."""
    folder = tmp_path_factory.mktemp("suite")
    node = shutil.which("node") or ""
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout if node else "v0"
    package = ""
    if int(version[1:].partition(".")[0]) < NODE:
        machine = {"x86_64": "x64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
        package = f"node-{sys.platform}-{machine}"
        node = str(folder / "node_modules" / package / "bin" / "node")
    install(folder, SUITE, *([f"{package}@{NODE}"] if package else []))
    return node, str(folder / "node_modules" / "@modelcontextprotocol" / "conformance" / "dist" / "index.js")


@pytest.mark.parametrize("revision", ERAS)
def test_nothing_fails_but_what_asks_for_the_suites_own_samples(
    home: Path, tmp_path: Path, suite: tuple[str, str], revision: str
) -> None:
    node, program = suite
    with served(home) as server:
        options = ["--suite", "all", "--spec-version", revision, "--output-dir", str(tmp_path / "out")]
        subprocess.run(
            [node, program, "server", "--url", server.url, *options],
            capture_output=True,
            check=False,
            timeout=300,
            env=os.environ | {"NO_COLOR": "1"},
        )
    seen: dict[str, set[str]] = {}
    for file in (tmp_path / "out").rglob("checks.json"):
        scenario = STARTED.sub("", file.parent.name).removeprefix("server-")
        failed = {check["id"] for check in json.loads(file.read_bytes()) if check["status"] == "FAILURE"}
        seen.setdefault(scenario, set()).update(failed)
    failures = {name: checks - SAMPLE_CHECKS for name, checks in seen.items() if name not in SAMPLES}
    assert {name: checks for name, checks in failures.items() if checks} == {}
    # Nothing is left out by a name that changed.
    assert {name for name in MUST_PASS[revision] if name not in failures} == set()
