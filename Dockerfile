# syntax=docker/dockerfile:1
# The MCP server over HTTP for a team, with the command line, for a user without rights:
#
#   docker build --tag dm-memory .
#   docker run --rm --volume dm-memory:/data dm-memory token add NAME --brand BRAND
#   docker run --rm --publish 127.0.0.1:8000:8000 --volume dm-memory:/data --env-file services.env dm-memory
#   docker run --rm --volume ~/.claude-marketing:/data --user "$(id -u):$(id -g)" dm-memory sync
#   docker run --rm --interactive --volume ~/.claude-marketing:/data --user "$(id -u):$(id -g)" dm-memory serve
#
# The second serves whoever has a token, the last one speaks MCP over standard input and output. Without --user the
# container writes as user 10001, to whom a volume belongs that Docker makes. docs/releasing.md says how the versions
# below are renewed.

ARG PYTHON=3.13-slim-bookworm

FROM python:${PYTHON} AS build
ARG UV=0.13.9
RUN pip install --no-cache-dir uv==${UV}
ENV UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy UV_PROJECT_ENVIRONMENT=/opt/dm-memory UV_PYTHON_DOWNLOADS=never
WORKDIR /src
COPY . .
# The constraints in pyproject.toml pin every version. An image can't be added to while it runs, so the drivers of every
# service are in it; EXTRAS="" leaves them out.
ARG EXTRAS="--extra graphiti --extra pinecone --extra qdrant --extra supermemory"
RUN uv sync --no-cache --no-dev --no-editable ${EXTRAS}

FROM python:${PYTHON}
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin memory \
    && install --directory --owner=memory --mode=0700 /data
COPY --from=build /opt/dm-memory /opt/dm-memory
# HOME is the volume: a user that --user names has no home of its own.
ENV PATH=/opt/dm-memory/bin:$PATH PYTHONUNBUFFERED=1 HOME=/data CLAUDE_MARKETING_HOME=/data
USER memory
WORKDIR /data
VOLUME ["/data"]
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]
ENTRYPOINT ["dm-memory"]
CMD ["serve", "--http", "0.0.0.0:8000"]
