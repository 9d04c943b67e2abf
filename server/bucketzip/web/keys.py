"""What the application holds, by typed keys."""

from collections.abc import Callable

from aiohttp import web

from bucketzip.jobs.archives import Archives
from bucketzip.metrics import Metrics
from bucketzip.plan.downloads import Downloads
from bucketzip.settings import Settings
from bucketzip.transfer.compressor import Compressor
from bucketzip.transfer.opened import OpenArchives
from bucketzip.transfer.ports import CrcMemory
from bucketzip.transfer.pump import Engine
from bucketzip.web.caller import Caller

SETTINGS = web.AppKey("SETTINGS", Settings)
METRICS = web.AppKey("METRICS", Metrics)
DOWNLOADS = web.AppKey("DOWNLOADS", Downloads)
ARCHIVES = web.AppKey("ARCHIVES", OpenArchives)
ARCHIVE_JOBS = web.AppKey("ARCHIVE_JOBS", Archives)
CRC_MEMORY: web.AppKey[CrcMemory] = web.AppKey("CRC_MEMORY")
ENGINE = web.AppKey("ENGINE", Engine)
COMPRESSOR = web.AppKey("COMPRESSOR", Compressor)
CHECK_READY: web.AppKey[Callable[[], object]] = web.AppKey("CHECK_READY")
"""Raises what keeps this server from serving."""

REQUEST_ID = web.RequestKey("REQUEST_ID", str)
CALLER = web.RequestKey("CALLER", Caller)
BODY_STARTED = web.RequestKey("BODY_STARTED", bool)
"""The head of the answer went out: from here there is no error response."""
