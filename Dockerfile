# distq with its service: workers, the dashboard, commands. An application of yours is built upon it,
#
#   FROM distq
#   COPY --chown=distq . /app
#   RUN pip install --no-cache-dir -r requirements.txt
#
# or lies in /app, as in compose.yaml.

FROM python:3.12-slim AS build
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY distq distq
RUN pip install --no-cache-dir --prefix=/installed ".[service,logfire]"

FROM python:3.12-slim
COPY --from=build /installed /usr/local
RUN useradd --system --uid 10001 --create-home distq
WORKDIR /app
ENV PYTHONUNBUFFERED=1
USER distq
# The supervisor takes SIGTERM as "let what runs end": give it the grace time of its workers, and 15 s.
STOPSIGNAL SIGTERM
ENTRYPOINT ["distq"]
CMD ["--help"]
