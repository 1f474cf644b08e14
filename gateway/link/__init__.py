"""The regional link: gateways of several regions exchange records over one encrypted, multiplexed, self-healing wire.

Rooms, lowest first; each says in its own words what stands in it. A room imports from those above it in this list only.

frames/                    handshake, keys per connection, direction and epoch, one frame and its checks
compression/               batches of records by columns
peers/                     one session with one node: channels, retransmission, scheduling, liveness, reconnects
keys/                      hourly and daily secrets: gateway keyd, Vault, what a process holds of them
rights/                    tokens, roles, addresses, and the journal of who came
streams/                   subscriptions, cursors, scans, resumption, early use of large transfers

and on top of them
process.py composition.py  the process: one loop, and everything it is made of; status.py shows it, warming.py compiles first
transport.py               every socket and its epoll: stream_socket.py is one of TCP, and how much may be on the way,
                           datagram_socket.py the one of UDP, descriptors.py how many there may be
outgoing.py                core_link, executions.py (execution_log.py) and tops (quotes.py) handed to the stream server
incoming.py mirror.py      what is taken over from a peer: into link_core, into a file, how true its quotes are
client.py                  the library of applications: sync and asyncio (async_client.py), over client_session.py
"""
