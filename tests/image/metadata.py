"""The instance metadata service as cloud-init reads it: a tree of listings, in several versions."""

import re

from aiohttp import web

from tests.faults.imds import InstanceMetadata
from tests.image.network import LINK_LOCAL


class MetadataTree(InstanceMetadata):
    """Of an instance with one interface, with the key and the user data that it was launched with."""

    def __init__(
        self, *, public_key: str, user_data: str, address: str, mac: str, host: str = LINK_LOCAL, port: int = 80
    ) -> None:
        super().__init__(host=host, port=port)
        self._others = {"dynamic/instance-identity": "document", "user-data": user_data}
        name = f"ip-{address.replace('.', '-')}.ec2.internal"
        interface = f"network/interfaces/macs/{mac}"
        self._leaves = {
            "ami-id": "ami-0123456789abcdef0",
            "hostname": name,
            "instance-id": "i-0123456789abcdef0",
            "instance-type": "t3.small",
            "local-hostname": name,
            "local-ipv4": address,
            "mac": mac,
            f"{interface}/device-number": "0",
            f"{interface}/local-hostname": name,
            f"{interface}/local-ipv4s": address,
            f"{interface}/mac": mac,
            "placement/availability-zone": f"{self.region}a",
            "placement/region": self.region,
            "public-keys/0/openssh-key": public_key,
        }

    def _give_document(self, path: str) -> web.Response:
        if text := self._others.get(path.strip("/").partition("/")[2]):
            return web.Response(text=text)
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
