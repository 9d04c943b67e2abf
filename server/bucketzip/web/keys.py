"""What the application holds, by typed keys."""

from collections.abc import Callable, Mapping
from typing import Any

from aiohttp import web

from bucketzip.exposition import Expositions
from bucketzip.jobs.archives import Archives
from bucketzip.jobs.links import ResultLinks
from bucketzip.metrics import Metrics
from bucketzip.plan.accounts import Account, Accounts
from bucketzip.plan.downloads import Downloads
from bucketzip.plan.sealing import Sealing
from bucketzip.settings import Settings
from bucketzip.state.capabilities import Capabilities
from bucketzip.state.cursors import Cursors
from bucketzip.state.deliveries import Deliveries
from bucketzip.state.probes import Probes
from bucketzip.transfer.compressor import Compressor
from bucketzip.web.access import Access
from bucketzip.web.authority import Authority
from bucketzip.web.caller import Caller
from bucketzip.web.limits import DownloadLimits

SETTINGS = web.AppKey("SETTINGS", Settings)
METRICS = web.AppKey("METRICS", Metrics)
EXPOSITIONS = web.AppKey("EXPOSITIONS", Expositions)
AUTHORITY = web.AppKey("AUTHORITY", Authority)
ACCESS: web.AppKey[Mapping[Any, Access]] = web.AppKey("ACCESS")
"""Whom a handler's routes answer."""
DOWNLOADS = web.AppKey("DOWNLOADS", Downloads)
DOWNLOAD_LIMITS = web.AppKey("DOWNLOAD_LIMITS", DownloadLimits)
OWN = web.AppKey("OWN", Account)
"""The account of the server itself."""
ACCOUNTS: web.AppKey[Accounts[Account]] = web.AppKey("ACCOUNTS")
SEALING = web.AppKey("SEALING", Sealing)
COMPRESSOR = web.AppKey("COMPRESSOR", Compressor)
DELIVERIES = web.AppKey("DELIVERIES", Deliveries)
ARCHIVE_JOBS = web.AppKey("ARCHIVE_JOBS", Archives)
CAPABILITIES = web.AppKey("CAPABILITIES", Capabilities)
CURSORS = web.AppKey("CURSORS", Cursors)
PROBES = web.AppKey("PROBES", Probes)
RESULT_LINKS = web.AppKey("RESULT_LINKS", ResultLinks)
STARTED = web.AppKey("STARTED", float)
"""When this process began to serve, by the monotonic clock."""
CHECK_READY: web.AppKey[Callable[[], object]] = web.AppKey("CHECK_READY")
"""Raises what keeps this server from serving."""

REQUEST_ID = web.RequestKey("REQUEST_ID", str)
CALLER = web.RequestKey("CALLER", Caller)
"""Is there unless the route is public."""
ROUTE = web.RequestKey("ROUTE", str)
"""The line of the table that it matches."""
OUTCOME = web.RequestKey("OUTCOME", str)
"""What came of it, for the log: an error's code, or `client_gone`. Not there while all is well."""
BODY_STARTED = web.RequestKey("BODY_STARTED", bool)
"""The head of the answer went out: from here there is no error response."""
