"""What the service counts for Prometheus. Whichever process is asked, it tells the numbers of all."""

from __future__ import annotations

import os

from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

# From a cached read to the longest wait for a database, in seconds.
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20)

REQUESTS = Counter("app_requests", "Requests that were answered.", ["method", "route", "status"])
REQUEST_SECONDS = Histogram("app_request_seconds", "Time to an answer.", ["route"], buckets=BUCKETS)
DATABASE_SECONDS = Histogram(
    "app_database_seconds",
    "Time that requests spent at a database, waiting for it included.",
    ["database"],
    buckets=BUCKETS,
)
DATABASE_FAILURES = Counter("app_database_failures", "Attempts that failed, and were made again or not.", ["database"])
DATABASE_REFUSALS = Counter(
    "app_database_refusals", "Requests that a database had no answer for in time.", ["database"]
)

CONTENT_TYPE = CONTENT_TYPE_LATEST


def text() -> bytes:
    """Return the numbers in Prometheus' format."""
    registry = REGISTRY
    # Set by the service's unit: the directory in which its processes share their numbers.
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        registry = CollectorRegistry()
        MultiProcessCollector(registry)
    return generate_latest(registry)
