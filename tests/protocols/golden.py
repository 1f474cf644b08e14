"""The golden field names of an independent decoder, each with ours, written out: nothing matches by accident."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# golden leaf → our field; a golden leaf that is in none of these tables fails the test.
ITCH_FIELDS = {
    "stocklocate": "stock_locate",
    "locatecode": "locate_code",
    "trackingnumber": "tracking_number",
    "timestamp": "timestamp",
    "stock": "stock",
    "orderreferencenumber": "order_reference_number",
    "originalorderreferencenumber": "original_order_reference_number",
    "neworderreferencenumber": "new_order_reference_number",
    "buysellindicator": "buy_sell_indicator",
    "shares": "shares",
    "price": "price",
    "attribution": "attribution",
    "executedshares": "executed_shares",
    "canceledshares": "canceled_shares",
    "matchnumber": "match_number",
    "printable": "printable",
    "executionprice": "execution_price",
    "crossshares": "cross_shares",
    "crossprice": "cross_price",
    "crosstype": "cross_type",
    "regshoaction": "reg_sho_action",
    "interestflag": "interest_flag",
    "tradingstate": "trading_state",
    "reserved": "reserved",
    "reason": "reason",
    "eventcode": "event_code",
    "auctioncollarreferenceprice": "auction_collar_reference_price",
    "upperauctioncollarprice": "upper_auction_collar_price",
    "lowerauctioncollarprice": "lower_auction_collar_price",
    "auctioncollarextension": "auction_collar_extension",
    "mpid": "mpid",
    "primarymarketmaker": "primary_market_maker",
    "marketmakermode": "market_maker_mode",
    "marketparticipantstate": "market_participant_state",
    "pairedshares": "paired_shares",
    "imbalanceshares": "imbalance_shares",
    "imbalancedirection": "imbalance_direction",
    "farprice": "far_price",
    "nearprice": "near_price",
    "currentreferenceprice": "current_reference_price",
    "pricevariationindicator": "price_variation_indicator",
    # of the transport, the test adds them to what it compares
    "session": "session",
    "sequencenumber": "packet_sequence",
    "messagecount": "packet_count",
    "messageindex": "index",
    "messagelength": "length",
    "messagetype": "message_type",
}
OUCH_FIELDS = {
    "timestamp": "timestamp",
    "userrefnum": "user_ref_num",
    "side": "side",
    "quantity": "quantity",
    "symbol": "symbol",
    "price": "price",
    "timeinforce": "time_in_force",
    "display": "display",
    "capacity": "capacity",
    "intermarketsweepeligibility": "inter_market_sweep_eligibility",
    "crosstype": "cross_type",
    "clordid": "cl_ord_id",
    "orderreferencenumber": "order_reference_number",
    "orderstate": "order_state",
    "cancelorderreason": "reason",
    "appendagelength": "appendage_length",
    "firm": "firm",
    "bboweightindicator": "bbo_weight_indicator",
    "unsequencedmessagetype": "message_type",
    "sequencedmessagetype": "message_type",
    # of the transport and of the appendage's elements
    "packetlength": "packet_length",
    "packettype": "packet_type",
    "optionalfieldlength": "option_lengths",
    "enterorderoptionalfield": "option_tags",
    "orderacceptedoptionalfield": "option_tags",
}

# golden message → the specification's name
MESSAGES = {
    "addordernompidattributionmessage": "Add Order - No MPID Attribution",
    "addorderwithmpidattributionmessage": "Add Order with MPID Attribution",
    "noncrosstrademessage": "Trade (Non-Cross)",
    "crosstrademessage": "Cross Trade",
    "ordercancelmessage": "Order Cancel",
    "orderdeletemessage": "Order Delete",
    "orderexecutedmessage": "Order Executed",
    "orderexecutedwithpricemessage": "Order Executed With Price",
    "orderreplacemessage": "Order Replace",
    "regshoshortsalepricetestrestrictedindicatormessage": "Reg SHO Short Sale Price Test Restricted Indicator",
    "retailinterestmessage": "Retail Price Improvement Indicator (RPII)",
    "stocktradingactionmessage": "Stock Trading Action",
    "systemeventmessage": "System Event",
    "luldauctioncollarmessage": "LULD Auction Collar",
    "marketparticipantpositionmessage": "Market Participant Position",
    "netorderimbalanceindicatormessage": "Net Order Imbalance Indicator (NOII)",
    "enterordermessage": "Enter Order",
    "cancelordermessage": "Cancel Order",
    "canceledmessage": "Order Canceled",
    "orderacceptedmessage": "Order Accepted",
}


def frames(path: Path) -> list[dict[str, Any]]:
    """The golden frames of one capture."""
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return json.loads(data)


def leaf(name: str) -> str:
    """The last word of a dotted golden name."""
    return name.rsplit(".", 1)[-1]


def leaves(node: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """(last word of the name, text) of every leaf that holds a value, and of every message's name."""
    for name, value in node.items():
        for part in value if isinstance(value, list) else [value]:
            if isinstance(part, dict):
                yield from leaves(part)
            elif not _is_heading(name, node):
                yield leaf(name), part


def _is_heading(name: str, node: dict[str, Any]) -> bool:
    """A leaf without text whose subtree stands beside it (or is empty, for packets that carry nothing)."""
    return f"{name}_tree" in node


def message_names(node: dict[str, Any]) -> Iterator[str]:
    """The golden names of the messages in a frame, in order."""
    for name, value in node.items():
        for part in value if isinstance(value, list) else [value]:
            if isinstance(part, dict):
                if leaf(name).removesuffix("_tree") in MESSAGES:
                    yield leaf(name).removesuffix("_tree")
                yield from message_names(part)
