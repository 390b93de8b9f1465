# syntax=docker/dockerfile:1
# The MCP server over standard input and output, with the command line, for a user without rights:
#
#   docker build -t dm-memory .
#   docker run --rm -i -v ~/.claude-marketing:/data --user "$(id -u):$(id -g)" dm-memory
#   docker run --rm -v ~/.claude-marketing:/data --user "$(id -u):$(id -g)" dm-memory sync
#
# Without --user the container writes as user 10001; a volume that Docker makes belongs to that user.

ARG PYTHON=3.13

FROM python:${PYTHON}-slim AS build
RUN pip install --no-cache-dir uv
ENV UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy UV_PROJECT_ENVIRONMENT=/opt/dm-memory UV_PYTHON_DOWNLOADS=never
WORKDIR /src
COPY . .
# The constraints in pyproject.toml pin every version. EXTRAS: "--extra graphiti --extra supermemory", for example.
ARG EXTRAS=""
RUN uv sync --no-dev --no-editable ${EXTRAS}

FROM python:${PYTHON}-slim
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin memory \
    && install --directory --owner=memory --mode=0700 /data
COPY --from=build /opt/dm-memory /opt/dm-memory
# HOME is the volume: a user that --user names has no home of its own.
ENV PATH=/opt/dm-memory/bin:$PATH PYTHONUNBUFFERED=1 HOME=/data CLAUDE_MARKETING_HOME=/data
USER memory
WORKDIR /data
VOLUME ["/data"]
ENTRYPOINT ["dm-memory"]
CMD ["serve"]
