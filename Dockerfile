# docker build -t nanalyze . && docker run --rm -v "$PWD:/logs:ro" nanalyze run.log
FROM python:3.12-slim AS build
WORKDIR /src
# hadolint ignore=DL3008
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*
COPY . .
RUN pip wheel --no-cache-dir --wheel-dir /wheels .

FROM python:3.12-slim
LABEL org.opencontainers.image.title="nanalyze" \
      org.opencontainers.image.description="Why did this training run die?" \
      org.opencontainers.image.licenses="Apache-2.0"
RUN useradd --create-home --uid 10001 nanalyze
COPY --from=build /wheels /wheels
RUN pip install --no-cache-dir --no-index --find-links /wheels /wheels/nanalyze-*.whl && rm -rf /wheels
USER 10001
WORKDIR /logs
ENTRYPOINT ["analyze"]
CMD ["--help"]
