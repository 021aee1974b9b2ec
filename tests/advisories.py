"""What `pip-audit -f json` found, in sentences: `pip-audit … | python -m tests.advisories` (see `.ci/audit`).

Exit codes: 0 all was looked up and nothing is known, or an audit could not be done and nobody insists; 1 a known vulnerability;
3 the audit could not be done (in part) and the environment says `AUDIT_REQUIRED=1`.
"""

from __future__ import annotations

import json
import os
import sys

CLEAN, VULNERABLE, NOT_DONE = 0, 1, 3


def verdict(text: str) -> tuple[int, list[str]]:
    """(exit code where an audit is required, what to say)."""
    try:
        found = json.loads(text)["dependencies"]
    except (ValueError, KeyError, TypeError):
        return NOT_DONE, ["audit: NOT DONE: pip-audit cannot be installed here, or cannot reach the advisories at all."]
    known = [one for one in found if "vulns" in one]
    left = [one for one in found if "vulns" not in one and "editable" not in one.get("skip_reason", "")]
    bad = [(one["name"], one["version"], vuln["id"], vuln["fix_versions"]) for one in known for vuln in one["vulns"]]
    said = [f"audit: {name} {version}: {id_}, mended in {fixed or None}" for name, version, id_, fixed in bad]
    if left:
        why = left[0].get("skip_reason", "no reason given")
        few = ", ".join(one["name"] for one in left[:5]) + (", …" if len(left) > 5 else "")
        how = "incomplete" if known else "NOT DONE"
        said.append(f"audit: {how}: {len(left)} of {len(found)} packages could not be looked up ({few}: {why})")
    said.append(f"audit: {len(known)} of {len(found)} packages looked up, {len(bad)} known vulnerabilities")
    return VULNERABLE if bad else NOT_DONE if left or not found else CLEAN, said


def main() -> None:
    """Reads standard input, speaks on standard error."""
    code, said = verdict(sys.stdin.read())
    print("\n".join(said), file=sys.stderr)
    if code == NOT_DONE:
        if os.environ.get("GITHUB_ACTIONS"):
            print(f"::warning title=dependency audit::{said[0]}")
        if os.environ.get("AUDIT_REQUIRED") != "1":
            print("audit: the build goes on without one; AUDIT_REQUIRED=1 makes this an error.", file=sys.stderr)
            code = CLEAN
    raise SystemExit(code)


if __name__ == "__main__":
    main()
