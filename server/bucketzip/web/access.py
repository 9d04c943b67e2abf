"""Who may ask at an address. It is marked on the table of routes; what is not marked is for users."""

from collections.abc import Iterable, Mapping
from enum import Enum, auto
from typing import Any

from aiohttp import web


class Access(Enum):
    """Whom an address answers."""

    USER = auto()
    """Who has a token or a session, or asks from a trusted network."""
    PUBLIC = auto()
    """Everybody: what is there is no secret, or the address itself is one."""
    METRICS = auto()
    """Users, and who collects metrics: from this machine, from a trusted network, or with the token for that."""


class _Marked(web.RouteDef):
    """A line of the table that is not for users alone."""

    access: Access


class _Public(_Marked):
    access = Access.PUBLIC


class _Metrics(_Marked):
    access = Access.METRICS


def public(route: web.RouteDef) -> web.RouteDef:
    """Mark a route as open to everybody."""
    return _Public(route.method, route.path, route.handler, route.kwargs)


def for_metrics(route: web.RouteDef) -> web.RouteDef:
    """Mark a route as open to who collects metrics."""
    return _Metrics(route.method, route.path, route.handler, route.kwargs)


def access_of(route: web.RouteDef) -> Access:
    """Whom the route answers."""
    return route.access if isinstance(route, _Marked) else Access.USER


def access_by_handler(routes: Iterable[web.RouteDef]) -> Mapping[Any, Access]:
    """The marks by what a matched request has: the handler. HEAD has that of its GET."""
    return {route.handler: access_of(route) for route in routes}
