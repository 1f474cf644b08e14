"""The kept JSON libraries beside our decoder: how each is asked for what a depthUpdate message carries.

Hard rule: each is used the way its own documentation shows for speed, orjson as plain objects, msgspec with a type.
"""

import importlib
import importlib.util
from collections.abc import Callable
from typing import Any

from gateway.errors import CapabilityError

Depth = tuple[int, int, int, Any, Any]  # first, last and previous update; bids and asks as pairs of texts
Parse = Callable[[bytes], Depth]


def _library(name: str) -> Any:
    if importlib.util.find_spec(name) is None:
        raise CapabilityError(f"{name} is not installed: pip install 'bypass-gateway[test]'")
    return importlib.import_module(name)


def orjson_parser() -> Parse:
    """Objects of everything, and five of them taken."""
    loads = _library("orjson").loads

    def parse(message: bytes) -> Depth:
        body = loads(message)["data"]
        return body["U"], body["u"], body["pu"], body["b"], body["a"]

    return parse


def msgspec_parser() -> Parse:
    """Only what the type names is made an object; everything else is passed over."""
    msgspec = _library("msgspec")
    levels = list[tuple[str, str]]
    update = msgspec.defstruct("Update", [("U", int), ("u", int), ("pu", int), ("b", levels), ("a", levels)])
    decode = msgspec.json.Decoder(msgspec.defstruct("Message", [("data", update)])).decode

    def parse(message: bytes) -> Depth:
        body = decode(message).data
        return body.U, body.u, body.pu, body.b, body.a

    return parse


PARSERS: dict[str, tuple[Callable[[], Parse], str]] = {
    "orjson + the same book": (orjson_parser, "exact: texts become integers without a float"),
    "msgspec + the same book": (msgspec_parser, "a typed decoder; exact: texts become integers without a float"),
}
