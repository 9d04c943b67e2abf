"""What bucketzip counts of itself, read from its /metrics."""

import urllib.request
from collections import Counter
from urllib.parse import urljoin

from prometheus_client.parser import text_string_to_metric_families

from bench.contenders.base import Link

_LIMIT_SECONDS = 10


class Counters:
    """All its counters at one moment; `later - earlier` is what came between."""

    def __init__(self, values: Counter[tuple[str, str]]) -> None:
        self._values = values

    def __sub__(self, before: "Counters") -> "Counters":
        return Counters(self._values - before._values)

    def total(self, name: str) -> int:
        """Of one counter, by its name as exposed."""
        return sum(self.by_label(name).values())

    def by_label(self, name: str) -> Counter[str]:
        """By the value of its only label; what is 0 is not in it."""
        return Counter({label: value for (counter, label), value in self._values.items() if counter == name})


def counters(link: Link) -> Counters:
    """Those of the server behind a link."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(urljoin(link.urls[0], "/metrics"), timeout=_LIMIT_SECONDS) as answer:
        families = list(text_string_to_metric_families(answer.read().decode()))
    samples = [sample for family in families if family.type == "counter" for sample in family.samples]
    return Counters(Counter({(one.name, ",".join(one.labels.values())): int(one.value) for one in samples}))
