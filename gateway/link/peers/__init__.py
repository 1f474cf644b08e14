"""One session with one node: channels, retransmission, scheduling, liveness, reconnects. docs/protocols/link.md

peer.py                   one side of the link to one node: what the transport below and the streams above call
                          peer_settings.py: what it is given; event.py: what it tells; channel.py: its channels
session.py                its connections: greeting.py, lane.py, writer.py, reader.py; when to call: dialling.py, back_off.py
exchange.py               all that has a sequence: outbound.py, inbound.py, fragments.py, scheduler.py
acknowledger.py           ACK and NAK (acknowledgement.py): a frame goes again where its record came and its sequence did not
heartbeat.py, liveness.py datagrams both ways, suspicion; damage.py, news.py, tally.py: rules, alarms, counters
acceptor.py               who may begin: address, rate and deadline before any key, a proof before a place

Hard rule: bytes and time come in, bytes and events go out; no socket, no clock, no randomness.
"""
