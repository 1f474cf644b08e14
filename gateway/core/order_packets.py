"""Ready SoupBinTCP packets for the order messages ⑧: the carriage of order_frames.py for a session over TCP.

    [ length: 2 ][ 'U' ][ one OUCH 5.0 inbound message ]          SoupBinTCP 4.00, Unsequenced Data

Hard rule: what is written here leaves as it stands; TCP guards the bytes, so there is no checksum to finish.
"""

from typing import Any

import numpy as np

from gateway import layout
from gateway.core.memory import address_of
from gateway.core.order_frames import check_identity, client_order_id, order_messages, reducing_order
from gateway.protocols import ouch50, soupbintcp

NEVER = (1 << 64) - 1  # no connection has this number


class OrderPackets:
    """The packet templates of one order session; `address` is a struct order_template for the kernels.

    epoch   fencing epoch, 1 to 33,554,431; `site` is one of A-Z 0-9
    firm    up to 4 characters, empty: the session's own;  capacity: a key of order_frames.CAPACITIES
    """

    orders_ring, control_ring = "core_session", "control_session"
    process = "PROCESS_SESSION"
    connection_first = NEVER  # new risk waits for the first connection

    def __init__(self, *, epoch: int, site: str, firm: str = "", capacity: str = "principal"):
        check_identity(site, epoch)
        self._firm, self._epoch, self._site, self._capacity = firm, epoch, site, capacity
        self.array = np.zeros(1, dtype=layout.dtype("order_template"))
        for name, message in order_messages(client_order_id(site, epoch, 0), firm, capacity).items():
            packet = soupbintcp.encode(soupbintcp.UNSEQUENCED, message)
            row = self.array[name][0]
            row["bytes"][: len(packet)] = np.frombuffer(packet, dtype=np.uint8)
            row["size"], row["message_offset"] = len(packet), soupbintcp.HEADER_BYTES

    @property
    def address(self) -> int:
        """Address of the struct order_template."""
        return address_of(self.array)

    def cancel(self, reference: int, quantity: int = 0) -> bytes:
        """The packet that cancels an order (or makes it `quantity` in all), for use outside the corridor."""
        message = ouch50.encode("CancelOrder", user_ref_num=reference, quantity=quantity)
        return soupbintcp.encode(soupbintcp.UNSEQUENCED, message)

    def mass_cancel(self, reference: int, symbol: str = "") -> bytes:
        """The packet that cancels every order of a symbol, or of the session; `reference` must be a new one."""
        message = ouch50.encode("MassCancel", user_ref_num=reference, firm=self._firm, symbol=symbol)
        return soupbintcp.encode(soupbintcp.UNSEQUENCED, message)

    def reduce(self, client_order: str, **terms: Any) -> bytes:
        """The packet of an order that makes a position smaller: `order_frames.reducing_order`."""
        message = reducing_order(client_order, self._firm, self._capacity, terms)
        return soupbintcp.encode(soupbintcp.UNSEQUENCED, message)

    def client_order_id(self, reference: int, strategy: int = 0) -> str:
        """The client order id of one order of this session."""
        return client_order_id(self._site, self._epoch, reference, strategy)
