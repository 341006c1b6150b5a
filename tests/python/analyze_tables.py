"""Tables that are hard to analyse, and real ones: `tables()` yields (name, request).

Run as a program it prints one JSON object {"name", "request"} a line.
"""

import json
import random

from sklearn import datasets


def rows(**columns):
    """Rows from columns; a cell that is `...` is left out of its row, None is null."""
    return [
        {name: cell for name, cell in zip(columns, cells) if cell is not ...}
        for cells in zip(*columns.values(), strict=True)
    ]


def tables():
    yield from small()
    yield from extreme()
    yield from fits()
    yield from random_tables()
    yield from real()


def small():
    yield "one row", {"data": [{"a": 1.5, "b": 2, "c": "x", "d": None, "e": True}], "target": "b"}
    yield "one empty row", {"data": [{}]}
    yield "two rows", {"data": rows(a=[1, 2], b=[5, 3], c=[True, False]), "target": "a"}
    yield "all missing", {"data": rows(a=[None, ..., None], b=[None, None, None])}
    yield "constant", {"data": rows(a=[0.1] * 10, b=range(10), y=[3 * i for i in range(10)]), "target": "y"}
    yield "constant target", {"data": rows(a=range(5), y=[0.3] * 5), "target": "y"}
    yield "target alone", {"data": rows(y=[1, 2, 4]), "target": "y"}
    yield "mixed", {"data": rows(a=[1, "x", True, None, 1.5, 1, 1e300, 1e-7], b=[True, 1, False, 0, 1, True, True, True])}
    yield "late columns", {"data": [{"a": 1}, {"b": 2}, {"c": 3, "a": 2}, {"b": 5, "d": "t"}, {}]}
    yield "thirty values", {"data": rows(a=[i * i for i in range(30)])}
    yield "twenty-nine values", {"data": rows(a=[i * i for i in range(29)])}
    yield "many texts", {"data": rows(a=[f"v{i * i % 23}" for i in range(200)])}
    yield "no target column", {"data": [{"a": 1}], "target": "b"}
    yield "text target", {"data": [{"a": 1, "b": "x"}], "target": "b"}
    yield "empty target", {"data": [{"a": 1, "b": None}], "target": "b"}
    yield "no complete row", {"data": rows(a=[1, None, 2, None], b=[None, 3, None, 5], y=[1, 2, 3, 4]), "target": "y"}


def extreme():
    yield "huge", {"data": rows(a=[1e300, 1.7e308, -1e308, 3e299], b=[1, 2, 3, 4])}
    yield "widest", {"data": rows(a=[-1.7e308, 1.7e308])}
    yield "tiny", {"data": rows(a=[1e-300, 2e-300, 5e-324, 4e-300], b=[1e300, 2e300, 3e300, 1e300], y=[1, 2, 3, 5]), "target": "y"}
    yield "1e-300 to 1e300", {"data": rows(a=[10.0**e for e in range(-300, 301, 7)], b=[float(e) for e in range(-300, 301, 7)])}
    yield "cancelling", {"data": rows(a=[1e16, 1, -1e16], b=[1, 2, 3])}
    yield "far from zero", {"data": rows(a=[1e15 + i % 3 for i in range(99)], b=[i * i % 7 for i in range(99)])}
    yield "NumAcc4", {"data": rows(a=[10000000.2] + [10000000.1, 10000000.3] * 500)}
    yield "last digit", {"data": rows(a=[0.3, 0.1 + 0.2] * 5, b=range(10), y=[i % 4 for i in range(10)]), "target": "y"}
    hidden = [1e12 if i == 0 else float(i % 5) for i in range(40)]
    yield "extreme value outside the pair", {"data": rows(a=hidden, b=[None if i == 0 else i * i % 11 for i in range(40)])}
    hidden = [1e300 if i == 0 else 1e-200 * (i % 5) for i in range(40)]
    yield "extreme range outside the pair", {"data": rows(a=hidden, b=[None if i == 0 else i * i % 11 for i in range(40)])}
    huge = [1e300 * (i % 7 + 1) for i in range(20)]
    yield "huge fit", {"data": rows(a=huge, b=[1e-300 * (i * i % 5) for i in range(20)], y=[3 * h + 1e300 * (i % 3) for i, h in enumerate(huge)]), "target": "y"}


def fits():
    rng = random.Random(7)
    n = 60
    a, b, e = ([rng.gauss(0, 1) for _ in range(n)] for _ in range(3))
    y = [1 + 2 * p - 3 * q + 0.1 * r for p, q, r in zip(a, b, e)]
    both = [p + q for p, q in zip(a, b)]
    yield "collinear", {"data": rows(a=a, b=b, both=both, twice=[2 * p + 1 for p in a], y=y), "target": "y"}
    yield "collinear, sum first", {"data": rows(both=both, a=a, b=b, y=y), "target": "y"}
    yield "target first", {"data": rows(y=y, a=a, b=b), "target": "y"}
    yield "a column equal to the target", {"data": rows(a=a, copy=y, y=y), "target": "y"}
    gaps = lambda values, step: [None if i % step == 0 else v for i, v in enumerate(values)]
    yield "incomplete rows", {"data": rows(a=gaps(a, 7), b=gaps(b, 5), t=["x"] * n, e=[None] * n, k=gaps([4] * n, 3), y=gaps(y, 11)), "target": "y"}
    yield "constant where complete", {"data": rows(a=[i if i < 3 else 5 for i in range(n)], b=[None if i < 3 else v for i, v in enumerate(b)], y=y), "target": "y"}
    yield "boolean target", {"data": rows(a=a, b=b, y=[v > 1 for v in y]), "target": "y"}
    yield "boolean feature", {"data": rows(a=a, f=[v > 0 for v in b], y=y), "target": "y"}
    yield "more columns than rows", {"data": [{f"c{j}": rng.gauss(0, 1) for j in range(12)} for _ in range(6)], "target": "c11"}
    yield "as many columns as rows", {"data": [{f"c{j}": rng.gauss(0, 1) for j in range(8)} for _ in range(8)], "target": "c0"}
    yield "different units", {"data": rows(a=[v * 1e9 + 1e12 for v in a], b=[v * 1e-9 for v in b], y=y), "target": "y"}
    x = range(21)
    yield "Wampler1", {"data": rows(**{f"x{k}": [i**k for i in x] for k in range(1, 6)}, y=[sum(i**k for k in range(6)) for i in x]), "target": "y"}


def random_tables():
    rng = random.Random(11)
    wide = [{f"c{j}": rng.gauss(j, 1 + j) for j in range(1000)} for _ in range(50)]
    yield "1,000 columns", {"data": wide, "target": "c999"}
    tall = [{f"c{j}": rng.gauss(j, 1 + j) for j in range(1000)} for _ in range(1200)]
    yield "1,000 columns, 1,200 rows", {"data": tall, "target": "c0"}
    for size in (5, 40, 3000):
        data = []
        for _ in range(size):
            row = {"a": rng.lognormvariate(0, 2), "b": rng.randint(0, 9), "c": rng.gauss(1e6, 1), "d": rng.random() < 0.3}
            row["y"] = row["b"] * 2.5 - row["c"] + rng.gauss(0, 1)
            data.append({k: (None if rng.random() < 0.1 else v) for k, v in row.items() if rng.random() < 0.95})
        yield f"random with gaps, {size} rows", {"data": data, "target": "y"}


def real():
    for name, load in (("diabetes", datasets.load_diabetes), ("wine", datasets.load_wine)):
        found = load()
        columns = [str(column) for column in found.feature_names]
        data = [dict(zip(columns, map(float, row))) | {"target": float(t)} for row, t in zip(found.data, found.target)]
        yield name, {"data": data, "target": "target"}
    iris = datasets.load_iris()
    kinds = [str(kind) for kind in iris.target_names]
    data = [dict(zip("abcd", map(float, row))) | {"species": kinds[t]} for row, t in zip(iris.data, iris.target)]
    yield "iris", {"data": data, "target": "d"}


if __name__ == "__main__":
    for name, request in tables():
        print(json.dumps({"name": name, "request": request}))
