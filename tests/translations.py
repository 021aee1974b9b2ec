"""What rules and causes say, and which of it a catalogue lacks: `python -m tests.translations` lists it as lines to fill in.

A cause that nobody has translated is shown in English with a mark, so that adding one takes one file; one that is
translated is translated whole. It exits with 1 while anything is missing, so that a release ships whole catalogues.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from analyzer import cause as causes
from analyzer import rule as rules
from analyzer.output.pages import not_meant
from analyzer.output.strings import LANGUAGES, catalogue
from analyzer.output.translate import said

GOLDEN: Final = Path(__file__).parent / "golden"


def of_cause(one: causes.Cause) -> Iterator[str]:
    """Every sentence of a cause that a report may show, the title first."""
    yield one.title
    yield one.mechanism
    for field in ("steps", "discard", "cost"):
        value = one.remedy.get(field, ())
        yield from [value] if isinstance(value, str) else value
    yield one.experiment
    for clause in one.evidence:
        yield from (clause.text, clause.ask)


def causes_texts() -> dict[str, list[str]]:
    """Id → the sentences of each shipped cause, white space as the catalogue has it."""
    whole = (causes.complete(one.id) for one in causes.load())
    return {one.id: [text for text in map(_plain, of_cause(one)) if text] for one in whole}


def rule_texts() -> list[str]:
    """What the rules' pages say a finding does not mean, as the report shows it."""
    return [_plain(text) for one in rules.load() for text in not_meant(one.id)]


def golden_texts() -> list[tuple[str, str]]:
    """(rule, summary) and ('', note) of every finding in the golden documents: what rules really say."""
    found: dict[tuple[str, str], None] = {}
    for path in sorted(GOLDEN.rglob("*.json")):
        for finding in json.loads(path.read_text("utf-8"))["findings"]:
            found[finding["rule"], finding["summary"]] = None
            found.update({("", evidence["note"]): None for evidence in finding["evidence"] if evidence["note"]})
    return list(found)


def missing(lang: str) -> list[str]:
    """Texts that have no translation; a cause of which nothing is translated yet is left out."""
    s = catalogue(lang)
    lacking = [text for texts in causes_texts().values() if texts[0] in s.sentences for text in texts if text not in s.sentences]
    lacking += [text for text in rule_texts() if text not in s.sentences]
    return lacking + [text for _, text in golden_texts() if not _is_quotation(text) and said(text, s) is None]


def untranslated(lang: str) -> list[str]:
    """Causes that are shown in English."""
    return [id_ for id_, texts in causes_texts().items() if texts[0] not in catalogue(lang).sentences]


def _is_quotation(text: str) -> bool:
    """Whether a summary or note is the program's own message (`ImportError: …`), which stays as it was printed."""
    return text.partition(":")[0].removeprefix("the ").endswith(("Error", "Exception")) or text.startswith("implied")


def _plain(text: str) -> str:
    return " ".join(text.split())


def main() -> int:
    """Prints what is missing, ready to be filled in; 1 where something is."""
    told = []
    for lang in LANGUAGES[1:]:
        causes_left = untranslated(lang)
        texts = [*missing(lang), *(text for id_ in causes_left for text in causes_texts()[id_])]
        lacking = [text for text in dict.fromkeys(texts) if text not in catalogue(lang).sentences]
        told += [f'{json.dumps(text, ensure_ascii=False)} = ""' for text in lacking]
        told += [f"# not translated: {id_}" for id_ in causes_left]
    print("\n".join(told), end="\n" if told else "")
    return 1 if told else 0


if __name__ == "__main__":
    sys.exit(main())
