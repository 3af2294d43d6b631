"""Rewrites the tables of docs/parity.md from what the tests measure.

    cargo test --release --workspace -- --nocapture 2>&1 | python3 tests/golden/parity.py

A test prints `parity | part | case | tolerance | error`; here each part becomes one row with its worst case.
"""

import re
import sys
from pathlib import Path

DOC = Path(__file__).parents[2] / "docs" / "parity.md"
LINE = re.compile(r"parity \| (.+?) \| (.+?) \| (\S+) \| (\S+)\s*$")


def rows(lines):
    worst, counts = {}, {}
    for part, case, tolerance, error in (m.groups() for m in map(LINE.search, lines) if m):
        counts[part, tolerance] = counts.get((part, tolerance), 0) + 1
        if float(error) >= float(worst.get((part, tolerance), ("", "-1"))[1]):
            worst[part, tolerance] = (case, error)
    for (part, tolerance), (case, error) in sorted(worst.items()):
        yield f"| {part} | {counts[part, tolerance]} | {tolerance} | {error} | {case} |"


def main():
    table = ["| part | cases | tolerance | largest error | in |", "|---|---|---|---|---|", *rows(sys.stdin)]
    assert len(table) > 10, "no measurements: were the tests run with --nocapture?"
    text = DOC.read_text()
    begin, end = "<!-- measured -->\n", "<!-- end -->"
    head, rest = text.split(begin)
    DOC.write_text(head + begin + "\n".join(table) + "\n" + end + rest.split(end)[1])


if __name__ == "__main__":
    main()
