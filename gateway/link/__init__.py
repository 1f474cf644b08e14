"""The regional link: gateways of several regions exchange records over one encrypted, multiplexed, self-healing wire.

Specified in docs/protocols/link.md. Down to `peer.py` all of it is sans-I/O: bytes and time come in, bytes and events
go out; no socket, no clock, no randomness inside.

wire.py, bodies.py        layouts, types, flags, both CRCs, every reason for a refusal; bodies of the link's own frames
noise.py, handshake.py    Noise_KKpsk2_25519_AESGCM_SHA256; two messages of 260 bytes that make two nodes one session
key_schedule.py           hourly secret and session key → key and IV of one connection, direction and epoch
protection.py             Sealer and Opener: one direction of one TCP connection, rekeyed in-band
frame_stream.py           TCP bytes in; one message, damage or refusal at a time out
datagram.py, replay_window.py    the same for UDP, where frames come late, twice or not at all

records.py                 rows of core_link and link_core (native/layout/link.h), executions, quotes
codec.py, column_*.py      batches of fixed records, packed by columns, unpacked within bounds (link-compression.md)

key_service.py            what a key service gives: wrapped secrets, certificates, revocation (docs/protocols/link-keys.md)
keyring.py, day_keys.py   the keys a process holds: read at once, fetched beside the hot path by keyring_refresher.py
key_address.py            unix:, tls:, vault: in the configuration → keyd_client.py, or vault.py over vault_connection.py
keyd_server.py            gateway keyd: who is heard (keyd_access.py), one request (keyd_desk.py), its answer (keyd_vault.py)
sealed_root.py            what keyd derives all from, keyd_revocations.py beside it; static_key.py, secret_file.py: mode 0600

peer.py                   one side of the link to one node, sans I/O: what transport below and streams above call
                          peer_settings.py: what it is given; event.py: what it tells; channel.py: its channels
session.py                its connections: greeting.py, lane.py, writer.py, reader.py; when to call: dialling.py, back_off.py
exchange.py               all that has a sequence: outbound.py, inbound.py, fragments.py, scheduler.py
acknowledger.py           ACK and NAK (acknowledgement.py): a frame goes again where its record came and its sequence did not
heartbeat.py, liveness.py datagrams both ways, suspicion; damage.py, news.py, tally.py: rules, alarms, counters
acceptor.py               who may begin: address, rate and deadline before any key, a proof before a place

access.py access_files.py who is let in: open_stream, renew, admit; what it stands on (docs/protocols/link-tokens.md)
tokens.py token_keys.py   180 bytes that say who asks for which stream in which session; token_store.py knows those used
token_source.py           a client's own tokens; counter_file.py, durable_floors.py: numbers that outlive the process
roles.py addresses.py     signed files (signed_file.py): who may read what, from where; reasons.py, grants.py, journal*.py

stream_server.py          the source's side of the streams: requests (stream_opening.py), subscribers (stream_subscriber.py,
                          stream_progress.py), scans for all who wait (stream_scans.py), quotes (stream_quotes.py)
stream_request.py         requests, answers, marks; batch.py: records as they travel; packing.py, retained.py: packed, kept
stream_reader.py          the subscriber's side: asks, renews, resumes (stream_asking.py)
subscription.py           market data and snapshots in one order, each record once; join.py: which of them a reader applies
execution_subscription.py executions, each once
cursor.py                 where to go on; the same for a ring, a capture (record_file.py) and the network
early.py                  a large transfer is used while the rest of it arrives; side effects wait for its end
client.py                 the library of applications: sync and asyncio, over client_session.py

process.py composition.py  the process: one loop, and everything it is made of; status.py shows it, warming.py compiles first
transport.py               every socket and its epoll; stream_socket.py is one of them, and how much may be on the way
outgoing.py                core_link, executions.py (execution_log.py) and tops (quotes.py) handed to the stream server
incoming.py mirror.py      what is taken over from a peer: into link_core, into a file, how true its quotes are
"""
