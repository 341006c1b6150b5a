"""Trainings to compare with scikit-learn: `cases()` yields them.

Run as a program it prints one JSON object a line: {"name", "input", "csv", "coefficients", "figures"}. `csv`, where it is
there, is uploaded and named by the input; the last two are the tolerances, relative above 1, null for coefficients that
are not determined.
"""

import json

import numpy as np
from sklearn import datasets

CLOSED = 1e-9


def rows(columns):
    return [dict(zip(columns, map(float, row), strict=True)) for row in zip(*columns.values(), strict=True)]


def csv(columns):
    lines = [",".join(columns)] + [",".join(repr(float(cell)) for cell in row) for row in zip(*columns.values(), strict=True)]
    return "\n".join(lines) + "\n"


def diabetes():
    bunch = datasets.load_diabetes(scaled=False)
    columns = {name: bunch.data[:, index] for index, name in enumerate(bunch.feature_names)}
    return columns | {"progression": bunch.target}


def california():
    """20,640 rows of 8 correlated columns whose scales differ as those of the California housing data do."""
    random = np.random.default_rng(7)
    count = 20_640
    wealth, density = random.standard_normal(count), random.standard_normal(count)
    columns = {
        "MedInc": np.exp(1.2 + 0.45 * wealth),
        "HouseAge": np.clip(28 + 12 * random.standard_normal(count) - 3 * density, 1, 52).round(),
        "AveRooms": 5.4 + 1.1 * wealth + 0.8 * random.standard_normal(count),
        "Population": np.exp(7 + 0.7 * density + 0.2 * random.standard_normal(count)).round(),
        "AveOccup": 3 + 0.4 * density + 0.5 * random.standard_normal(count),
        "Latitude": 35.6 + 2.1 * random.standard_normal(count),
    }
    columns["AveBedrms"] = 0.2 * columns["AveRooms"] + 0.05 * random.standard_normal(count)
    columns["Longitude"] = -119.6 - 0.9 * (columns["Latitude"] - 35.6) + 0.8 * random.standard_normal(count)
    noise = 0.7 * random.standard_normal(count)
    columns["MedHouseVal"] = 0.4 * columns["MedInc"] - 0.4 * columns["Latitude"] - 0.4 * columns["Longitude"] - 34 + noise
    return columns


def collinear():
    """Two columns determine two others, and one is constant."""
    random = np.random.default_rng(11)
    a, b = random.integers(-50, 50, 300) / 4, random.integers(0, 1000, 300) / 8
    noise = random.standard_normal(300)
    return {"a": a, "b": b, "sum": a + b, "difference": 2 * a - b, "k": np.full(300, 7.0), "y": 3 * a - 2 * b + 5 + noise}


def case(name, columns, target, coefficients, figures, upload=False, **options):
    given = {"target": target, **options}
    if not upload:
        given["data"] = rows(columns)
    return {
        "name": name,
        "input": given,
        "csv": csv(columns) if upload else None,
        "coefficients": coefficients,
        "figures": figures,
    }


def cases():
    descent = {"method": "gradient_descent", "learningRate": 0.3, "epochs": 60_000, "tolerance": 1e-10}
    yield case("diabetes", diabetes(), "progression", CLOSED, CLOSED)
    yield case("diabetes-all", diabetes(), "progression", CLOSED, CLOSED, testShare=0)
    yield case("diabetes-few", diabetes(), "progression", CLOSED, CLOSED, features=["s5", "bmi", "bp"], testShare=0.5, seed=3)
    yield case("diabetes-upload", diabetes(), "progression", CLOSED, CLOSED, upload=True, seed=7)
    yield case("diabetes-descent", diabetes(), "progression", 1e-6, 1e-7, **descent)
    yield case("california", california(), "MedHouseVal", CLOSED, CLOSED, upload=True)
    yield case("california-descent", california(), "MedHouseVal", 1e-6, 1e-7, upload=True, **descent)
    yield case("collinear", collinear(), "y", None, CLOSED)
    yield case("collinear-descent", collinear(), "y", None, 1e-7, **descent)
    short = {"method": "gradient_descent", "epochs": 2_500, "tolerance": 0}
    yield case("diabetes-short", diabetes(), "progression", None, None, **short)


def main():
    for one in cases():
        print(json.dumps(one))


if __name__ == "__main__":
    main()
