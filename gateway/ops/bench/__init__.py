"""The benchmark suites behind `gateway bench`: one file per suite, one contract (suite.py), one way to measure."""
