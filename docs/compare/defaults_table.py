"""Write what defaults.py measured as a table of Markdown.

    python defaults_table.py FILE.csv …

A line is a recipe on a set: the mean over the seeds and, from three seeds on, the standard deviation between them.
Needs nothing but Python.
"""

import csv
import statistics
import sys


def main():
    groups = {}
    for path in sys.argv[1:]:
        with open(path) as file:
            for line in csv.DictReader(file):
                groups.setdefault((line["set"], line["recipe"], line["epochs"]), []).append(line)
    print("| set | recipe | epochs | seeds | validation | test | processor seconds |")
    print("|---|---|--:|--:|--:|--:|--:|")
    for (name, recipe, epochs), lines in groups.items():

        def spread(column, scale=100, digits=1):
            values = [scale * float(line[column]) for line in lines]
            text = f"{statistics.mean(values):.{digits}f}"
            return text if len(values) < 3 else f"{text} ± {statistics.stdev(values):.{digits}f}"

        seeds = len(lines) if lines[0]["seed"] else ""
        print(f"| {name} | {recipe} | {epochs} | {seeds} | {spread('validation_accuracy')} | {spread('test_accuracy')} | {spread('cpu_seconds', 1, 0)} |")


if __name__ == "__main__":
    main()
