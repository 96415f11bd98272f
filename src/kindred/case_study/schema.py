"""The published JSON schema of results/tables/matched_features.json, and the check against it.

Source: https://json-schema.org/draft/2020-12; the schema is derived from the pydantic model of a record.
"""

from functools import cache
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match
from pydantic import ValidationError

from kindred.artefacts.case_study import RECORDS
from kindred.errors import KindredError

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def matched_features_schema() -> dict[str, Any]:
    """Return the JSON schema of the list of records."""
    return {"$schema": _DIALECT, "title": "Matched features", **RECORDS.json_schema(mode="serialization")}


def check_matched_features(records: object) -> None:
    """Check records as read from JSON, against the schema and for what a schema cannot say.

    The latter: no number is NaN (Python's reader accepts it), and the lists of an example are of one length.

    Raises:
        KindredError: Naming the place of the fault, such as ``[3].eleuthers[0]``, and what is wrong there.
    """
    error = best_match(_validator().iter_errors(records))
    if error is not None:
        raise KindredError(_message(error.absolute_path, error.message))
    try:
        RECORDS.validate_python(records)
    except ValidationError as invalid:
        first = invalid.errors()[0]
        raise KindredError(_message(first["loc"], first["msg"])) from invalid


@cache
def _validator() -> Draft202012Validator:
    """Return the validator of the schema, made once."""
    return Draft202012Validator(matched_features_schema())


def _message(path: Any, problem: str) -> str:
    """Say where a list of records is not as its schema says, and what to do."""
    place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    brief = problem if len(problem) <= 200 else f"{problem[:200]}..."
    return f"matched_features.json, at {place or 'the top'}: {brief}; run snakemake to have it made anew"
