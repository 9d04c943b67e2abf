"""The instance metadata service as cloud-init reads it: a tree of listings, in several versions."""

import re

from aiohttp import web

from tests.faults.imds import InstanceMetadata


class MetadataTree(InstanceMetadata):
    """With the key that the instance was launched with, and no user data."""

    def __init__(self, *, public_key: str, host: str, port: int) -> None:
        super().__init__(host=host, port=port)
        self._leaves = {
            "ami-id": "ami-0123456789abcdef0",
            "hostname": "ip-10-0-2-15.ec2.internal",
            "instance-id": "i-0123456789abcdef0",
            "instance-type": "t3.small",
            "local-hostname": "ip-10-0-2-15.ec2.internal",
            "local-ipv4": "10.0.2.15",
            "placement/availability-zone": f"{self.region}a",
            "placement/region": self.region,
            "public-keys/0/openssh-key": public_key,
        }

    def _give_document(self, path: str) -> web.Response:
        found = re.fullmatch(r"/(?:latest|\d{4}-\d\d-\d\d)/meta-data/?(.*)", path)
        name = found[1].rstrip("/") if found else ""
        if not found or name.startswith("iam"):
            return super()._give_document(re.sub(r"^/\d{4}-\d\d-\d\d/", "/latest/", path))
        if name in self._leaves:
            return web.Response(text=self._leaves[name])
        if name == "public-keys":
            return web.Response(text="0=launch")
        inside = f"{name}/" if name else ""
        entries = {leaf.removeprefix(inside).partition("/") for leaf in self._leaves if leaf.startswith(inside)}
        if not entries:
            return web.Response(status=404)
        return web.Response(text="\n".join(sorted(first + slash for first, slash, _ in entries)))
