"""Prints an Analyze body of rows with three columns. Argument: how many rows."""

import random
import sys

rng = random.Random(5)
write = sys.stdout.write
write('{"target":"label","data":[')
for row in range(int(sys.argv[1])):
    a, b = rng.random(), rng.gauss(50, 10)
    comma = "," if row else ""
    write(f'{comma}{{"feature_1":{a:.4f},"feature_2":{b:.4f},"label":{3 * a - b + rng.random():.4f}}}')
write("]}")
