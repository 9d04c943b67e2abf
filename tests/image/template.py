"""The CloudFormation template, as it is written: its functions are not called."""

from typing import Any

import yaml

from tests.image.bake import ROOT

TEMPLATE = ROOT / "cloudformation/bucketzip.yaml"


class _WithFunctions(yaml.SafeLoader):
    """Takes what functions such as `!Sub` are given for what they return."""


def _given(loader: yaml.SafeLoader, _: str, node: yaml.Node) -> object:
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    assert isinstance(node, yaml.ScalarNode)
    return loader.construct_scalar(node)


_WithFunctions.add_multi_constructor("!", _given)


def resources() -> dict[str, Any]:
    """Each by its name."""
    found: dict[str, Any] = yaml.load(TEMPLATE.read_text(), _WithFunctions)["Resources"]  # noqa: S506  -- a SafeLoader
    return found
