"""The alerts and the scrape configuration, judged by promtool; and every name in them is one that exists."""

import asyncio
import re
import subprocess
from pathlib import Path
from typing import Any

import yaml

from tests.test_docs import OPERATIONS, ROOT, instruments

PROMETHEUS = ROOT / "prometheus"
RULES, TESTS = PROMETHEUS / "rules/bucketzip.yml", PROMETHEUS / "tests/bucketzip.yml"


def metric_names() -> set[str]:
    """Of all series that a server tells of itself."""
    series = {"histogram": ("_bucket", "_sum", "_count")}
    return {name + suffix for name, (kind, _) in instruments().items() for suffix in series.get(kind, ("",))}


def unknown_names(expression: str, *, recorded: frozenset[str] = frozenset()) -> set[str]:
    """What an expression names that nobody tells."""
    named = set(re.findall(r"[a-z:0-9_]*\bbucketzip_[a-z0-9_:]+|\w+:bucketzip_\w+:\w+", expression))
    return named - metric_names() - recorded


def rules(kind: str) -> list[dict[str, Any]]:
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return [rule for group in groups for rule in group["rules"] if kind in rule]


async def promtool(*arguments: str | Path) -> None:
    done = await asyncio.to_thread(
        subprocess.run, ["promtool", *map(str, arguments)], cwd=PROMETHEUS, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


async def test_the_files_are_valid() -> None:
    await promtool("check", "config", "--syntax-only", "prometheus.yml")
    await promtool("check", "rules", "--lint=all", "--lint-fatal", RULES)


async def test_alerts_fire_when_they_should_and_not_else() -> None:
    await promtool("test", "rules", TESTS)


def test_every_alert_is_tested_firing_and_silent() -> None:
    cases = [case for test in yaml.safe_load(TESTS.read_text())["tests"] for case in test["alert_rule_test"]]
    alerts = {rule["alert"] for rule in rules("alert")}
    assert len(alerts) > 10
    assert {case["alertname"] for case in cases if case["exp_alerts"]} == alerts
    assert {case["alertname"] for case in cases if not case["exp_alerts"]} == alerts


def test_every_name_in_the_rules_exists() -> None:
    recorded = frozenset(rule["record"] for rule in rules("record"))
    for rule in rules("expr"):
        assert not unknown_names(rule["expr"], recorded=recorded), rule


def test_a_name_that_does_not_exist_is_found() -> None:
    assert unknown_names("rate(bucketzip_send_bytes_total[5m])") == {"bucketzip_send_bytes_total"}
    assert unknown_names("job:bucketzip_downloads_broken:ratio_rate2m > 1") == {
        "job:bucketzip_downloads_broken:ratio_rate2m"
    }


def test_every_alert_has_its_runbook() -> None:
    told = re.findall(r"^### (Bucketzip\w+)$", OPERATIONS.read_text(), re.MULTILINE)
    assert sorted(told) == sorted(rule["alert"] for rule in rules("alert"))
    for rule in rules("alert"):
        assert rule["annotations"]["runbook_url"] == f"docs/operations.md#{rule['alert'].lower()}"
        assert rule["labels"]["severity"] in {"critical", "warning"}
