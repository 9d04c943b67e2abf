"""The IAM policy that is missing: no more than what was asked for and refused."""

import re
from collections import defaultdict
from collections.abc import Iterable
from typing import Any, NamedTuple


class Grant(NamedTuple):
    """An action on a resource. One that is `optional` makes something better, but nothing fails without it."""

    action: str
    resource: str
    optional: bool = False


class Arns(NamedTuple):
    """How the resources of a part of AWS are called: `aws`, `aws-cn` or `aws-us-gov`."""

    partition: str

    def bucket(self, name: str) -> str:
        """The bucket itself."""
        return f"arn:{self.partition}:s3:::{name}"

    def objects(self, bucket: str, prefix: str = "") -> str:
        """All objects whose keys begin so."""
        return f"arn:{self.partition}:s3:::{bucket}/{prefix}*"


def arns_of(region: str) -> Arns:
    """Those of the partition that a region belongs to."""
    found = re.match(r"(cn|us-gov)-", region)
    return Arns(f"aws-{found[1]}" if found else "aws")


def policy(grants: Iterable[Grant]) -> dict[str, Any] | None:
    """The document; None where nothing is missing. The same for the same grants in any order."""
    needed = set(grants)
    needed -= {each for each in needed if each.optional and each._replace(optional=False) in needed}
    actions = defaultdict[tuple[bool, str], set[str]](set)
    for action, resource, optional in needed:
        actions[optional, resource].add(action)
    resources = defaultdict[tuple[bool, tuple[str, ...]], set[str]](set)
    for (optional, resource), together in actions.items():
        resources[optional, tuple(sorted(together))].add(resource)
    statements = [
        {
            "Sid": f"{'Optional' if optional else 'Needed'}{number}",
            "Effect": "Allow",
            "Action": list(together),
            "Resource": sorted(on),
        }
        for number, ((optional, together), on) in enumerate(sorted(resources.items()), 1)
    ]
    return {"Version": "2012-10-17", "Statement": statements} if statements else None
