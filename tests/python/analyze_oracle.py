"""The figures that Analyze must give, computed with numpy, scipy and scikit-learn.

Reads a request body {"data": rows, "target": name} on stdin and prints the response's figures as JSON. As a module:
`expected(request)` gives them and `differences(expected, found)` compares an answer, with the tolerance
|a-b| <= 1e-9 * max(1, |b|) for doubles and equality for everything else.

Columns are multiplied by a power of two first where numpy alone would overflow or underflow; that is exact. Means are
`math.fsum` / n, since numpy's own sum loses digits where values cancel.

The fit's rules: features are the other numeric and boolean columns; text, empty and constant ones are left out; of the
rows those count in which the target and all remaining features are present, an incomplete row being counted under the
first column that is missing in it; features constant over those rows are left out; then, in column order, a feature of
which less than 1e-7 of the length (as deviations from its mean) is left after projection on those kept before it is
left out as collinear. Constant: max - min <= 4 * 2^-52 * max(|max|, |min|).
"""

import json
import math
import sys
from collections import Counter

import numpy as np
from scipy import stats
from sklearn.linear_model import LinearRegression

Z_975 = 1.959963984540054
COLLINEAR_SHARE = 1e-7
CONSTANT_SPREAD = 4 * 2.0**-52
CORRELATED_MAX = 100
TOP = 10


def expected(request):
    """The response's figures, or {"error": REASON}."""
    data, target = request["data"], request.get("target")
    if not data:
        return {"error": "NO_ROWS"}
    names = list(dict.fromkeys(name for row in data for name in row))
    columns = {name: Column(name, [row.get(name) for row in data]) for name in names}
    if target is not None:
        if target not in columns:
            return {"error": "TARGET_NOT_FOUND"}
        if not columns[target].numeric:
            return {"error": "TARGET_NOT_NUMERIC"}
    answer = {
        "rowCount": len(data),
        "columns": [column.describe() for column in columns.values()],
        "correlations": correlations([column for column in columns.values() if column.numeric]),
        "cleaned": [],
    }
    if target is not None:
        answer["fit"], answer["cleaned"] = fit(list(columns.values()), target)
    return answer


class Column:
    """The cells of one column and the type that they have in common."""

    def __init__(self, name, cells):
        self.name, self.cells = name, cells
        present = [cell for cell in cells if cell is not None]
        if not present:
            self.kind = "EMPTY"
        elif all(isinstance(cell, bool) for cell in present):
            self.kind = "BOOLEAN"
        elif all(isinstance(cell, (int, float)) and not isinstance(cell, bool) for cell in present):
            self.kind = "NUMBER"
        else:
            self.kind = "TEXT"
        self.numeric = self.kind in ("NUMBER", "BOOLEAN")
        self.count = len(present)
        if self.numeric:
            self.values = np.array([math.nan if cell is None else float(cell) for cell in cells])
            self.present = ~np.isnan(self.values)

    def describe(self):
        answer = {
            "name": self.name,
            "type": f"COLUMN_TYPE_{self.kind}",
            "count": self.count,
            "missing": len(self.cells) - self.count,
        }
        if self.numeric:
            answer.update(number_figures(self.values[self.present]))
        elif self.kind == "TEXT":
            counts = Counter(text_of(cell) for cell in self.cells if cell is not None)
            # most_common keeps the order of first appearance among equals.
            answer["distinct"] = len(counts)
            answer["top"] = [{"value": value, "count": count} for value, count in counts.most_common(TOP)]
        return answer


def text_of(cell):
    """A cell of a text or mixed column: numbers with the shortest digits that read back the same."""
    if isinstance(cell, str):
        return cell
    if isinstance(cell, bool):
        return "true" if cell else "false"
    digits = repr(float(cell)).removesuffix(".0")
    mantissa, e, exponent = digits.partition("e")
    return f"{mantissa.removesuffix('.0')}e{int(exponent)}" if e else digits


def scaled(values):
    """The values times a power of two that keeps squares in range, and that power's exponent."""
    magnitude = np.max(np.abs(values))
    exponent = 0 if magnitude == 0 else math.frexp(magnitude)[1]
    exponent = 0 if abs(exponent) < 300 else exponent
    return np.ldexp(values, -exponent), exponent


def number_figures(values):
    x, exponent = scaled(values)
    back = lambda value: math.ldexp(value, exponent)
    n = len(x)
    low, high = float(np.min(x)), float(np.max(x))
    mean = low if low == high else math.fsum(x) / n
    answer = {"mean": back(mean), "min": float(np.min(values)), "max": float(np.max(values))}
    if n >= 2:
        deviation = 0.0 if low == high else float(np.std(x, ddof=1))
        half = (Z_975 if n >= 30 else float(stats.t.ppf(0.975, n - 1))) * deviation / math.sqrt(n)
        put(answer, "stddev", back, deviation)
        ends = {}
        put(ends, "low", back, mean - half)
        put(ends, "high", back, mean + half)
        if len(ends) == 2 and "stddev" in answer:
            answer["ci95"] = ends | {"method": "CI_METHOD_NORMAL" if n >= 30 else "CI_METHOD_STUDENT_T"}
    q = dict(zip(("p05", "p25", "p50", "p75", "p95"), np.quantile(x, [0.05, 0.25, 0.5, 0.75, 0.95])))
    answer["quantiles"] = {key: back(float(value)) for key, value in q.items()}
    fence = 1.5 * (q["p75"] - q["p25"])
    answer["outliers"] = int(np.sum((x < q["p25"] - fence) | (x > q["p75"] + fence)))
    return answer


def put(answer, key, back, value):
    """A figure that a double cannot hold is absent."""
    try:
        answer[key] = back(value)
    except OverflowError:
        pass


def correlations(columns):
    answer = []
    columns = columns[:CORRELATED_MAX]
    for index, a in enumerate(columns):
        for b in columns[index + 1 :]:
            both = a.present & b.present
            pair = {"a": a.name, "b": b.name, "count": int(np.sum(both))}
            x, y = a.values[both], b.values[both]
            if len(x) >= 2 and np.min(x) < np.max(x) and np.min(y) < np.max(y):
                pair["r"] = float(np.corrcoef(centred(x), centred(y))[0, 1])
            answer.append(pair)
    return answer


def centred(values):
    """Deviations from the mean, also where the mean itself has too few digits."""
    x, _ = scaled(values)
    x = x - math.fsum(x) / len(x)
    return x - math.fsum(x) / len(x)


def constant(values):
    low, high = float(np.min(values)), float(np.max(values))
    return high / 2 - low / 2 <= CONSTANT_SPREAD * max(abs(high), abs(low)) / 2


def fit(columns, target):
    order = {column.name: index for index, column in enumerate(columns)}
    actions = ["ROW_INCOMPLETE", "COLUMN_EMPTY", "COLUMN_TEXT", "COLUMN_CONSTANT", "COLUMN_COLLINEAR"]
    cleaned, used = [], []
    remove = lambda column, action, count: cleaned.append((order[column.name], actions.index(action), count))
    for column in columns:
        if column.name == target:
            used.append(column)
        elif not column.numeric:
            remove(column, "COLUMN_EMPTY" if column.kind == "EMPTY" else "COLUMN_TEXT", column.count)
        elif constant(column.values[column.present]):
            remove(column, "COLUMN_CONSTANT", column.count)
        else:
            used.append(column)
    complete = np.ones(len(columns[0].cells), dtype=bool)
    for column in used:
        lost = int(np.sum(complete & ~column.present))
        complete &= column.present
        if lost:
            remove(column, "ROW_INCOMPLETE", lost)
    answer = {"target": target, "coefficients": {}, "rowCount": int(np.sum(complete))}
    if np.any(complete):
        kept = []
        for column in used:
            if column.name != target and constant(column.values[complete]):
                remove(column, "COLUMN_CONSTANT", column.count)
            elif column.name != target:
                kept.append(column)
        for column in solve(answer, kept, columns[order[target]].values[complete], complete):
            remove(column, "COLUMN_COLLINEAR", column.count)
    names = [column.name for column in columns]
    return answer, [
        {"column": names[index], "action": f"CLEANING_ACTION_{actions[action]}", "count": count}
        for index, action, count in sorted(cleaned)
    ]


def standardised(values):
    x, exponent = scaled(values)
    mean = math.fsum(x) / len(x)
    unit = float(np.sqrt(np.mean((x - mean) ** 2))) or 1.0
    return (x - mean) / unit, mean, unit, exponent


def solve(answer, features, target, complete):
    """Fills the answer's figures; gives the features left out as collinear."""
    y, y_mean, y_unit, y_exponent = standardised(target)
    if np.min(target) == np.max(target):
        y, y_mean = np.zeros_like(y), float(scaled(target)[0][0])
    basis, kept, dropped, used = np.empty((len(y), len(features))), [], [], []
    for feature in features:
        z = standardised(feature.values[complete])
        q = basis[:, : len(kept)]
        rest = z[0] - q @ (q.T @ z[0])
        rest -= q @ (q.T @ rest)
        if np.linalg.norm(rest) <= COLLINEAR_SHARE * np.linalg.norm(z[0]):
            dropped.append(feature)
            continue
        basis[:, len(kept)] = rest / np.linalg.norm(rest)
        kept.append(feature)
        used.append(z)
    intercept, r2 = y_mean, 0.0
    if kept:
        x = np.column_stack([z[0] for z in used])
        model = LinearRegression().fit(x, y)
        intercept += y_unit * model.intercept_
        r2 = float(model.score(x, y)) if np.any(y != 0) else None
        for feature, weight, (_, mean, unit, exponent) in zip(kept, model.coef_, used):
            slope = float(weight) * y_unit / unit
            intercept -= slope * mean
            put(answer["coefficients"], feature.name, lambda v: math.ldexp(v, y_exponent - exponent), slope)
    put(answer, "intercept", lambda v: math.ldexp(v, y_exponent), float(intercept))
    if r2 is not None and np.any(y != 0):
        answer["r2"] = r2
    return dropped


def differences(wanted, found, path=""):
    """Where an answer differs, as lines of text. Keys of the answer that the oracle does not know are ignored at the
    top level only."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        keys = list(wanted) if path == "" else list(dict.fromkeys([*wanted, *found]))
        lines = []
        for key in keys:
            if (key in wanted) != (key in found):
                lines.append(f"{path}.{key}: expected {wanted.get(key, 'absent')}, found {found.get(key, 'absent')}")
            else:
                lines += differences(wanted[key], found[key], f"{path}.{key}")
        return lines
    if isinstance(wanted, list) and isinstance(found, list):
        if len(wanted) != len(found):
            return [f"{path}: expected {len(wanted)} entries, found {len(found)}: {str(wanted)[:200]} / {str(found)[:200]}"]
        return [line for i, (w, f) in enumerate(zip(wanted, found)) for line in differences(w, f, f"{path}[{i}]")]
    numbers = all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in (wanted, found))
    if numbers and (isinstance(wanted, float) or isinstance(found, float)):
        same = abs(wanted - found) <= 1e-9 * max(1.0, abs(wanted))
    else:
        same = wanted == found
    return [] if same else [f"{path}: expected {wanted!r}, found {found!r}"]


if __name__ == "__main__":
    json.dump(expected(json.load(sys.stdin)), sys.stdout)
    print()
