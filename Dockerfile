# syntax=docker/dockerfile:1
FROM python:3.13-slim AS build
WORKDIR /src
RUN python -m venv /app
COPY requirements.lock ./
RUN --mount=type=cache,target=/root/.cache/pip \
    /app/bin/pip install --disable-pip-version-check --require-hashes -r requirements.lock
COPY pyproject.toml README.md ./
COPY bots bots
COPY core core
COPY adapters adapters
COPY migrations migrations
RUN /app/bin/pip install --disable-pip-version-check --no-deps --no-build-isolation . \
    && /app/bin/python -m compileall -q /app/lib

FROM python:3.13-slim
# PYTHONSAFEPATH: nothing in the working directory can stand in for our packages.
ENV PATH=/app/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONSAFEPATH=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HTTP_HOST=0.0.0.0
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin threadseek \
    && install --directory --owner=threadseek --mode=0700 /data
COPY --from=build /app /app
USER 10001
# Where threadseek.db lies, unless DATABASE_URL or DATABASE_URL_FILE names another place.
WORKDIR /data
VOLUME /data
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s --start-interval=1s \
    CMD ["threadseek", "health"]
CMD ["threadseek", "run"]
