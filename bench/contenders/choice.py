"""Which contenders a run has."""

from bench.contenders.base import Contender
from bench.contenders.bucketzip import Bucketzip
from bench.contenders.nginx_proxy import NginxProxy
from bench.contenders.peers import NodePeer, PythonPeer

#: Everyone but bucketzip, which is always there, in the order of the tables.
PEERS: tuple[Contender, ...] = (
    PythonPeer("zipstream-ng", "bench.peers.zipstream_ng"),
    PythonPeer("boto3-zipfile", "bench.peers.boto3_zipfile"),
    NodePeer("archiver"),
    NginxProxy(),
)
PEER_NAMES = tuple(peer.name for peer in PEERS)


def contenders(peers: tuple[str, ...], *, archives_only: bool = False) -> list[Contender]:
    """The product first, then the peers named; `archives_only` leaves the bare proxy out."""
    chosen = [peer for peer in PEERS if peer.name in peers and (peer.makes_archives or not archives_only)]
    return [Bucketzip(), *chosen]
