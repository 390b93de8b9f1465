# One word for each job. `just` alone lists them. What decides is `.ci/run`.

set windows-shell := ["powershell.exe", "-NoLogo", "-Command"]

# List the recipes.
default:
    @just --list --unsorted

# Install everything a contributor needs, and the hooks of git.
setup:
    uv sync --group contribute
    uv run --no-sync pre-commit install

# Run the tests; arguments go to pytest: `just test tests/text -k guard`.
test *arguments:
    uv run pytest {{ arguments }}

# Check style, types, import contracts and what must not be in the tree.
lint:
    uv run ruff check .
    uv run ruff format --check .
    uv run --extra fastembed --extra graphiti --extra supermemory mypy
    uv run lint-imports
    bash .ci/clean-tree

# Let ruff repair what it can.
format:
    uv run ruff check --fix .
    uv run ruff format .

# Run every benchmark once, small: it shows that they work, not how fast anything is.
bench:
    uv run --extra supermemory --group bench python benchmarks/smoke.py

# Sync the sample brand twice in a temporary folder.
demo:
    uv run dm-memory demo

# Build the documentation site into build/site; a broken link is an error.
docs:
    uv run --group docs python .ci/build_docs.py

# Run every check there is, as CI does (Linux; needs cargo and npm).
ci:
    bash .ci/run
