"""One file per suite; each offers NAME, TITLE and run(plan) -> Result. Listed in gateway/ops/bench/suite.py."""
