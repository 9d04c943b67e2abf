"""What the application holds, by typed keys."""

from collections.abc import Callable

from aiohttp import web

from bucketzip.jobs.archives import Archives
from bucketzip.metrics import Metrics
from bucketzip.plan.accounts import Account, Accounts
from bucketzip.plan.downloads import Downloads
from bucketzip.plan.sealing import Sealing
from bucketzip.settings import Settings
from bucketzip.state.capabilities import Capabilities
from bucketzip.state.deliveries import Deliveries
from bucketzip.web.caller import Caller

SETTINGS = web.AppKey("SETTINGS", Settings)
METRICS = web.AppKey("METRICS", Metrics)
DOWNLOADS = web.AppKey("DOWNLOADS", Downloads)
OWN = web.AppKey("OWN", Account)
"""The account of the server itself."""
ACCOUNTS: web.AppKey[Accounts[Account]] = web.AppKey("ACCOUNTS")
SEALING = web.AppKey("SEALING", Sealing)
DELIVERIES = web.AppKey("DELIVERIES", Deliveries)
ARCHIVE_JOBS = web.AppKey("ARCHIVE_JOBS", Archives)
CAPABILITIES = web.AppKey("CAPABILITIES", Capabilities)
CHECK_READY: web.AppKey[Callable[[], object]] = web.AppKey("CHECK_READY")
"""Raises what keeps this server from serving."""

REQUEST_ID = web.RequestKey("REQUEST_ID", str)
CALLER = web.RequestKey("CALLER", Caller)
BODY_STARTED = web.RequestKey("BODY_STARTED", bool)
"""The head of the answer went out: from here there is no error response."""
