"""The kept JSON libraries are asked for the same: what one reads of a message, the standard library reads too."""

import json

import pytest

from gateway.errors import CapabilityError
from gateway.ops.bench.json_peers import PARSERS
from gateway.ops.bench.json_stream import make_depth


@pytest.mark.parametrize("name", PARSERS)
def test_a_parser_reads_what_the_standard_library_reads(name):
    try:
        parse = PARSERS[name][0]()
    except CapabilityError as problem:
        pytest.skip(str(problem))
    for message in make_depth(20, 3).messages:
        body = json.loads(message)["data"]
        first, last, previous, bids, asks = parse(message)
        assert (first, last, previous) == (body["U"], body["u"], body["pu"])
        assert ([list(level) for level in bids], [list(level) for level in asks]) == (body["b"], body["a"])


def test_a_parser_that_is_not_installed_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    for make, _ in PARSERS.values():
        with pytest.raises(CapabilityError, match="not installed: pip install"):
            make()
