from __future__ import annotations

import json
from pathlib import Path

import pytest

from analyzer.model import SCHEMA_VERSION
from analyzer.output import document, schema
from tests.output import diagnoses

PUBLISHED = Path(__file__).resolve().parents[2] / "docs" / "schema" / f"diagnosis-{SCHEMA_VERSION}.json"
jsonschema = pytest.importorskip("jsonschema", reason="jsonschema is not installed: pip install -e '.[dev]'")


def test_the_published_schema_is_the_one_in_the_code() -> None:
    assert PUBLISHED.read_text("utf-8") == schema.dumps(), "python -m analyzer.output.schema > docs/schema/…"


@pytest.mark.parametrize("make", [diagnoses.rich, diagnoses.healthy, diagnoses.crash, diagnoses.empty, diagnoses.hostile])
@pytest.mark.parametrize("with_curves", [True, False])
def test_documents_obey_it(make, with_curves: bool) -> None:
    validator = jsonschema.Draft202012Validator(schema.schema())
    found = [error.message for error in validator.iter_errors(json.loads(document.dumps(make(), with_curves=with_curves)))]
    assert found == []


@pytest.mark.parametrize("spoil", [
    lambda d: d.pop("findings"),
    lambda d: d["findings"][0].update(severity="fatal"),
    lambda d: d["findings"][0].update(evidence=[]),
    lambda d: d["run"]["metrics"]["loss"].update(last="Infinity"),
    lambda d: d.update(schema_version="2.0"),
])  # fmt: skip
def test_it_refuses_what_is_none(spoil) -> None:
    data = json.loads(document.dumps(diagnoses.rich()))
    spoil(data)
    validator = jsonschema.Draft202012Validator(schema.schema())
    assert list(validator.iter_errors(data))
