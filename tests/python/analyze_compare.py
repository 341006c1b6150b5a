"""Compares answers with the oracle: lines {"name", "request", "status", "answer"} on stdin, differences on stdout.

Ends with 1 when there is one.
"""

import json
import sys

from analyze_oracle import differences, expected


def compare(request, status, answer):
    """The lines that say where an answer differs."""
    wanted = expected(request)
    if "error" in wanted:
        reasons = [detail.get("reason") for detail in answer.get("error", {}).get("details", [])]
        right = status == 400 and wanted["error"] in reasons
        return [] if right else [f"expected {wanted['error']}, found {status} {answer}"]
    if status != 200:
        return [f"expected figures, found {status} {str(answer)[:300]}"]
    for column in wanted["columns"]:
        # An empty list is a default, and defaults are printed.
        column.setdefault("top", [])
    trace = answer.get("traceId", "")
    lines = [] if len(trace) == 32 and int(trace, 16) else [f"traceId: {trace!r}"]
    return lines + differences(wanted, answer)


def main():
    count, failed = 0, False
    for line in sys.stdin:
        case = json.loads(line)
        count += 1
        for difference in compare(case["request"], case["status"], case["answer"]):
            failed = True
            print(f"{case['name']}: {difference}")
    print(f"{count} tables compared")
    sys.exit(failed)


if __name__ == "__main__":
    main()
