# Ragwright in a container. Two targets of one recipe:
#   docker build --target cpu  -t ragwright:cpu  .
#   docker build --target cuda -t ragwright:cuda .
# The first takes torch from PyTorch's index of processor builds, the second from PyPI, with CUDA's libraries.
ARG PYTHON=3.12-slim-bookworm

FROM python:${PYTHON} AS builder
ARG EXTRAS=server,postgres,llm,mcp,otel
RUN python -m venv /opt/ragwright
WORKDIR /source
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY core core
COPY ingest ingest
COPY retrieval retrieval
COPY generation generation
COPY finetune finetune
COPY eval eval
COPY app app

FROM builder AS built-cpu
# Torch first, so that the second command finds it and fetches no gigabytes of CUDA libraries.
RUN /opt/ragwright/bin/pip install --no-cache-dir --constraint constraints.txt \
      --index-url https://download.pytorch.org/whl/cpu torch \
 && /opt/ragwright/bin/pip install --no-cache-dir --constraint constraints.txt ".[${EXTRAS}]"

FROM builder AS built-cuda
RUN /opt/ragwright/bin/pip install --no-cache-dir --constraint constraints.txt ".[${EXTRAS}]"

FROM python:${PYTHON} AS runtime
RUN groupadd --gid 10001 ragwright \
 && useradd --uid 10001 --gid ragwright --home-dir /data --no-create-home ragwright \
 && install --directory --owner ragwright --group ragwright /data /documents
ENV PATH=/opt/ragwright/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HOME=/data \
    HF_HUB_OFFLINE=1 \
    RAGWRIGHT_WORKSPACE=/data/workspace \
    RAGWRIGHT_SERVER__HOST=0.0.0.0
WORKDIR /data
VOLUME /data
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --retries=3 \
  CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/healthz', timeout=4)"]
USER 10001:10001
ENTRYPOINT ["ragwright"]
CMD ["serve"]

FROM runtime AS cuda
COPY --from=built-cuda /opt/ragwright /opt/ragwright

FROM runtime AS cpu
COPY --from=built-cpu /opt/ragwright /opt/ragwright
