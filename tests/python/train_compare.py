"""Compares trainings with scikit-learn and their files with onnxruntime.

Lines {"case", "output", "evaluation", "onnx"} on stdin, differences on stdout; ends with 1 when there is one. `onnx` is
the path of the file that was kept. What is held back follows the documented rule, written here once more: a Fisher-Yates
shuffle by SplitMix64.
"""

import json
import math
import sys

import numpy as np
import onnxruntime
from sklearn.linear_model import LinearRegression
from sklearn.metrics import mean_absolute_error, mean_squared_error, r2_score

MASK = (1 << 64) - 1


def held_back(count, share, seed):
    """Which of the rows are held back."""
    state, order = seed, list(range(count))
    held = math.ceil(count * share)
    for place in range(held):
        state = (state + 0x9E3779B97F4A7C15) & MASK
        mixed = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & MASK
        other = place + (((mixed ^ (mixed >> 31)) * (count - place)) >> 64)
        order[place], order[other] = order[other], order[place]
    mask = np.zeros(count, dtype=bool)
    mask[order[:held]] = True
    return mask


def table(case):
    if case["csv"] is None:
        data = case["input"]["data"]
        return {name: np.array([row[name] for row in data]) for name in data[0]}
    names, *lines = case["csv"].splitlines()
    cells = np.array([[float(cell) for cell in line.split(",")] for line in lines])
    return dict(zip(names.split(","), cells.T, strict=True))


def descend(features, target, rate, epochs):
    """The descent as it is defined, in the plainest way: from zero, on standardised features."""
    mean, unit = features.mean(axis=0), features.std(axis=0)
    standard = (features - mean) / unit
    bias, weights, losses = 0.0, np.zeros(features.shape[1]), []
    for _ in range(epochs):
        errors = bias + standard @ weights - target
        bias -= rate * errors.mean()
        weights = weights - rate * (standard.T @ errors) / len(target)
        losses.append(((bias + standard @ weights - target) ** 2).mean() / 2)
    return bias - (weights / unit) @ mean, weights / unit, losses


class Judge:
    """One training and the lines about it."""

    def __init__(self, outcome):
        self.case, self.output, self.evaluation = outcome["case"], outcome["output"], outcome["evaluation"]
        self.onnx, self.lines = outcome["onnx"], []
        given, columns = self.case["input"], table(self.case)
        self.names = given.get("features") or [name for name in columns if name != given["target"]]
        self.x = np.column_stack([columns[name] for name in self.names])
        self.y = columns[given["target"]]
        self.test = held_back(len(self.y), given.get("testShare", 0.2), given.get("seed", 42))

    def close(self, what, found, expected, tolerance):
        if not abs(found - expected) <= tolerance * max(1.0, abs(expected)):
            self.lines.append(f"{what}: {found!r} instead of {expected!r}")

    def judge(self):
        self.counts()
        if self.case["figures"] is None:
            self.short()
        else:
            self.figures()
        self.file()
        return self.lines

    def counts(self):
        found = self.output
        expected = {"rowCount": len(self.y), "rowsLeftOut": 0, "features": self.names}
        self.lines += [f"{key}: {found[key]} instead of {value}" for key, value in expected.items() if found[key] != value]
        if ("test" in found["metrics"]) != bool(self.test.any()):
            self.lines.append("figures of rows held back are there or not as they should not be")
        losses = found["lossHistory"]
        if self.case["input"].get("method") == "gradient_descent":
            if not (0 < len(losses) <= 1_000) or any(b > a * (1 + 1e-9) for a, b in zip(losses, losses[1:])):
                self.lines.append(f"lossHistory: {len(losses)} entries, or growing")

    def figures(self):
        fit = LinearRegression().fit(self.x[~self.test], self.y[~self.test])
        tolerance = self.case["coefficients"]
        if tolerance is not None:
            self.close("intercept", self.output["intercept"], fit.intercept_, tolerance)
            for name, expected in zip(self.names, fit.coef_, strict=True):
                self.close(name, self.output["coefficients"][name], expected, tolerance)
        predicted, metrics = fit.predict(self.x), self.output["metrics"]
        self.metrics("train", metrics["train"], ~self.test, predicted)
        if self.test.any():
            self.metrics("test", metrics["test"], self.test, predicted)
        self.metrics("evaluate", self.evaluation["metrics"], np.ones(len(self.y), dtype=bool), predicted)

    def metrics(self, what, found, rows, predicted):
        y, predicted = self.y[rows], predicted[rows]
        expected = {
            "r2": r2_score(y, predicted),
            "mse": mean_squared_error(y, predicted),
            "mae": mean_absolute_error(y, predicted),
        }
        for name, value in expected.items():
            self.close(f"{what} {name}", found[name], value, self.case["figures"])
        if found["rowCount"] != len(y):
            self.lines.append(f"{what} rowCount: {found['rowCount']} instead of {len(y)}")

    def short(self):
        """A descent that ends early is where the same steps lead elsewhere too."""
        rate, epochs = self.output["learningRate"], self.output["epochs"]
        intercept, coefficients, losses = descend(self.x[~self.test], self.y[~self.test], rate, epochs)
        self.close("intercept", self.output["intercept"], intercept, 1e-9)
        for name, expected in zip(self.names, coefficients, strict=True):
            self.close(name, self.output["coefficients"][name], expected, 1e-9)
        every, found = self.output["lossEvery"], self.output["lossHistory"]
        expected = losses[::every]
        if (epochs - 1) % every:
            expected.append(losses[-1])
        if len(found) != len(expected):
            self.lines.append(f"lossHistory: {len(found)} entries instead of {len(expected)}")
        for index, (loss, wanted) in enumerate(zip(found, expected)):
            self.close(f"loss {index}", loss, wanted, 1e-9)

    def file(self):
        session = onnxruntime.InferenceSession(self.onnx, providers=["CPUExecutionProvider"])
        (given,), (made,) = session.get_inputs(), session.get_outputs()
        shapes = (given.name, given.type, given.shape[1:], made.name, made.type)
        if shapes != ("features", "tensor(double)", [len(self.names)], "prediction", "tensor(double)"):
            self.lines.append(f"the file takes and gives {shapes}")
        properties = session.get_modelmeta().custom_metadata_map
        if json.loads(properties["lepton.features"]) != self.names:
            self.lines.append(f"the file names {properties}")
        (found,) = session.run(None, {"features": self.x})
        coefficients = np.array([self.output["coefficients"][name] for name in self.names])
        expected = self.x @ coefficients + self.output["intercept"]
        if found.shape != expected.shape or not np.allclose(found, expected, rtol=1e-9, atol=1e-9):
            self.lines.append("onnxruntime predicts something else")


def main():
    count, failed = 0, False
    for line in sys.stdin:
        outcome = json.loads(line)
        count += 1
        for difference in Judge(outcome).judge():
            failed = True
            print(f"{outcome['case']['name']}: {difference}")
    print(f"{count} trainings compared")
    sys.exit(failed)


if __name__ == "__main__":
    main()
