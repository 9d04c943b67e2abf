"""An error names what would help in the words of whoever reads it."""

import pytest

from bucketzip.plan.remedies import as_fields, as_options, remedied

FAIL = {"on_missing": "fail", "if_exists": "fail"}


@pytest.mark.parametrize(
    ("code", "fields", "options"),
    [
        ("no_such_object", '"on_missing": "skip"', "--on-missing skip"),
        ("object_archived", '"on_missing": "skip"', "--on-missing skip"),
        ("nothing_to_zip", '"on_missing": "skip"', "--on-missing skip"),
        ("destination_exists", '"if_exists": "replace" or "rename"', "--if-exists replace or rename"),
    ],
)
def test_what_would_help_is_spelt_as_it_is_asked_for(code: str, fields: str, options: str) -> None:
    assert remedied(code, "No.", FAIL, as_fields) == f"No. (or ask with {fields})"
    assert remedied(code, "No.", FAIL, as_options) == f"No. (or ask with {options})"


@pytest.mark.parametrize(
    ("code", "request_"),
    [
        ("no_such_object", {"on_missing": "skip", "if_exists": "fail"}),
        ("destination_exists", {"on_missing": "fail", "if_exists": "rename"}),
        ("destination_exists", {"on_missing": "fail"}),
        ("no_such_upload", FAIL),
        ("source_changed", FAIL),
        ("no_such_code", {}),
    ],
)
def test_what_would_not_help_is_not_proposed(code: str, request_: dict[str, str]) -> None:
    assert remedied(code, "No.", request_, as_fields) == "No."
