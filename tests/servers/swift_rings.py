"""Run by Swift's own Python: writes a ring of one device for each argument `FILE=HOST:PORT/DEVICE`."""

import sys

from swift.common.ring import RingBuilder  # type: ignore[import-not-found]  # in its own environment

for argument in sys.argv[1:]:
    file, _, place = argument.partition("=")
    address, _, device = place.partition("/")
    host, _, port = address.partition(":")
    builder = RingBuilder(part_power=4, replicas=1, min_part_hours=1)
    builder.add_dev({"region": 1, "zone": 1, "ip": host, "port": int(port), "device": device, "weight": 1})
    builder.rebalance()
    builder.get_ring().save(file)
