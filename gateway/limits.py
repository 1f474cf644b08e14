"""Every bound in one place, with the relations that must hold between them."""

# Frames and rings
FRAME_BYTES_MAX = 2080  # what a frame slot carries: Ethernet, two tags, 1,500 bytes and room
FRAME_SLOT_BYTES = 33 * 64  # an odd number of lines: slots spread over every set of a cache
FRAME_RING_DEPTH = 8192
ORDER_SLOT_BYTES = 256
ORDER_RING_DEPTH = 1024
REPORT_SLOT_BYTES = 576
REPORT_RING_DEPTH = 4096
JOURNAL_SLOT_BYTES = 192
INTENT_SLOT_BYTES = 128
INTENT_RING_DEPTH = 256
JOURNAL_RING_DEPTH = 65536
RESOLUTION_SLOT_BYTES = 64
RESOLUTION_RING_DEPTH = 1024
NOTE_SLOT_BYTES = FRAME_SLOT_BYTES
NOTE_RING_DEPTH = 1024

# Channels and messages
CHANNELS_MAX = 64  # sequenced channels of market data that one core follows
LINES_LEARNT_MAX = 4 * CHANNELS_MAX  # destinations that rules may take
MESSAGE_BYTES_MAX = 4 << 20  # one message of a TCP session, snapshots included
MESSAGE_ROWS_MAX = 1 << 18  # levels or trades of one message
RECORDING_BYTES_MAX = 4 << 30  # of a compressed recording, unpacked

# Exception path (the bounds per turn and per second stand in native/exception.h)
EXCEPTION_MTU = 1500

# Instruments and books
INSTRUMENTS_MAX = 65536  # ITCH stock locate is 16 bits wide: every value has its row
BOOK_ORDERS_MAX = 1 << 22  # rows of the order table, half of them used at most
BOOK_NODES_MAX = 1 << 19  # radix nodes, leaves included, of all books
PRICE_LIMIT = 1 << 62  # of a book: -PRICE_LIMIT <= price < PRICE_LIMIT, so that a difference of two never overflows
TICK_MAX = 1 << 40

QUALITY_GROUPS_MAX = 256  # groups of instruments that are compared with one another
QUALITY_MEMBERS_MAX = 16  # rows of one group

# One packet
PACKET_MESSAGES_MAX = 512  # message blocks of one packet; a 2-byte length each keeps it below
EVENTS_MAX = PACKET_MESSAGES_MAX
PACKET_HEADER_BYTES_MAX = 64  # of a feed's packet, frame or message header
PACKET_UNPACKED_MAX = 65536  # bytes of a compressed packet once unpacked
LEVELS_DEPTH_MAX = 1000  # price levels a side that a feed may promise
REORDER_PACKETS_MAX = 256  # packets of a channel held back while an earlier one is missing
RECOVERY_PACKETS_MAX = 2048  # the same while a retransmission is asked for
POOL_PACKETS_MAX = 4096  # packets held back by all channels together
SEEN_PACKETS_MAX = 1024  # delivered packets of a channel whose second copy is still recognised
SEQUENCE_JUMP_MAX = 1 << 40  # a sequence further ahead than this is not believed

# SBE schemas and messages
SCHEMA_BYTES_MAX = 8 << 20  # of an XML file; the largest shipped by a venue is below 1 MiB
SCHEMA_DEPTH_MAX = 32  # of its elements, and of composites in composites
SCHEMA_TYPE_BYTES_MAX = 65536  # of one type or block
SCHEMA_MEMBERS_MAX = 1024  # of one composite, those of composites inside it included
DECIMAL_EXPONENT_MAX = 255  # either sign; beyond it no number is meant

# Own orders
ORDERS_MAX = 65536  # rows; the row of a reference is reference % ORDERS_MAX
FILLS_MAX = 1 << 19  # rows of the table of fills, half of them used at most
INTENTS_MAX = 16  # of one strategy call
STRATEGIES_MAX = 8  # of one core, those in other processes included
RECENT_LINES = 1 << 14  # of four recent orders each, for DUP
HALTED_SYMBOLS_MAX = 1024  # instruments that post-trade controls halt at once; one more halts the account
SWEPT_ROWS = 8  # instruments that are marked and sampled at each look at the timers

# Requests of this host
BUDGET_ROWS_MAX = 64  # pairs of venue and address in the table that every process of the host shares
BUDGET_NAME_BYTES = 64

# Order session over TCP (SoupBinTCP)
SESSION_PACKET_BYTES_MAX = 1024  # type and payload; the longest OUCH message with every option is below 256
SESSION_MESSAGE_BYTES_MAX = 480  # of a report: what a row of the stream's inbox holds behind the packet's header
SESSION_HEARTBEAT_NS = 1_000_000_000  # a side that has said nothing for so long says so
SESSION_SILENT_NS = 15_000_000_000  # a side that was heard so long ago is gone
SESSION_LOGIN_NS = 10_000_000_000  # a login is asked for and answered within this
SESSION_HELD_BYTES_MAX = 4096  # orders that our kernel may hold for a venue that does not read
SESSION_MESSAGES_MAX = 1 << 22  # that a server keeps for replay

# Time
HEARTBEAT_NS = 100_000_000
CONTROL_STALE_NS = 5_000_000_000
CORE_STALE_NS = 5_000_000_000
LINK_HUNG_NS = 10_000_000_000  # beyond the watchdog of its unit, where it has one
ORDER_AGE_MAX_NS = 1_000_000_000  # an order caused by an older frame does not leave
REORDER_WINDOW_NS = 2_000_000
TIME_CHECK_NS = 1_000_000  # the timers of every channel are looked at this often
RESTART_NS = 1_000_000_000  # a channel without times that says sequence 1 again so much later has begun anew
SESSION_SILENCE_NS = 10_000_000_000  # a session that is silent so long gives way to another that is not
CANDIDATE_PACKETS = 3  # packets in sequence that make another session one to follow

# Snapshots
KEPT_EVENTS_MAX = 1 << 16  # events kept until their instrument is healed, of all instruments

# Retransmission requests
RECOVERY_MESSAGES_MAX = 1 << 16  # a larger gap is not asked for
RECOVERY_DEADLINE_NS = 500_000_000
REQUEST_INTERVAL_NS = 200_000  # of one channel: never sooner after the last one
REQUEST_RETRY_NS = 2_000_000  # without an answer; doubled each time
REQUEST_DOUBLINGS_MAX = 7
REQUEST_ATTEMPTS_MAX = 16  # without progress

# Regional link: wire
LINK_CIPHERTEXT_BYTES_MAX = 1 << 20  # of one frame, the tag included
LINK_RAW_BYTES_MAX = 1 << 20  # of one body once unpacked
LINK_RATIO_MAX = 255  # raw bytes for one compressed byte: what an LZ4 block can reach
LINK_DATAGRAM_PAYLOAD_MAX = 1472  # a frame on UDP: one Ethernet frame carries it whole
LINK_CHANNELS = 16
LINK_WINDOW_RECORDS = 1024  # record numbers on UDP that may still come behind the newest
LINK_CLOCK_NS = 30_000_000_000  # between the clocks of two nodes, either way
LINK_HOURS_EITHER_SIDE = 1  # of the responder's own hour, whose secrets it takes
LINK_KEYS_NS = 3 * 3_600_000_000_000 + LINK_CLOCK_NS  # keys last this hour and the next two: no longer is believed
LINK_TEXT_BYTES_MAX = 256  # of a reason in words
assert LINK_WINDOW_RECORDS & (LINK_WINDOW_RECORDS - 1) == 0

# Regional link: records
LINK_SLOT_BYTES = 128
LINK_RING_DEPTH = 1 << 16  # 8 MiB: some 60 ms of the busiest second
LINK_SCAN_ROWS = 512  # of the order table, the books or a side that a scan looks at in one turn of core
LINK_SCAN_ROWS_BUSY = 64  # the same in a turn that had other work
LINK_TAKEN_PER_TURN = 64  # records of link_core

# Regional link: process and configuration
LINK_PEERS_MAX = 64  # neighbours and clients that one process knows
LINK_HEARTBEAT_NS = 10_000_000
LINK_SUSPECT_NS = 50_000_000  # silence after which a peer is suspected
LINK_REKEY_FRAMES = 1 << 22  # of one key; 2^23 is never passed
LINK_REKEY_BYTES = 1 << 36
LINK_READ_BYTES = 256 << 10  # taken from one socket in one turn
LINK_DATAGRAMS_PER_TURN = 256  # drained before silence is judged
LINK_DATAGRAM_BYTES_MAX = 2048
LINK_CONTROL_SEND_BUFFER = 16 << 10  # of our kernel: what is written cannot be overtaken any more
LINK_BULK_BYTES_FIRST = 256 << 10  # of bulk on the way, before anything is known of the line
LINK_BULK_BYTES_MAX = 16 << 20
LINK_EXECUTIONS_PER_TURN = 256
LINK_RECORDS_PER_TURN = 4096
LINK_QUOTES_PER_TURN = 128  # that one reader is sent at one time
assert 2 * LINK_HEARTBEAT_NS <= LINK_SUSPECT_NS

# Regional link: peers and channels
LINK_BODY_BYTES_MAX = 16 * 1024  # of one frame on the wire: what a control message may have to wait for
LINK_MESSAGE_BYTES_MAX = 1 << 20  # of a message of several fragments
LINK_FRAME_CHARGE = 80  # what a frame costs beside its body, on the wire and of a window
LINK_WINDOW_FIRST_BYTES = 256 << 10  # of a channel, before the first acknowledgement says more
LINK_QUANTUM_BYTES = 256  # of one unit of weight in one round
LINK_NEVER_NS = 1 << 62
LINK_REKEY_FRAMES_HARD = 1 << 23  # a connection that could not rekey ends here
LINK_REKEY_NS = 3_600_000_000_000
LINK_HANDSHAKE_NS = 1_000_000_000  # from the connection to the first valid frame
LINK_SILENCE_NS = 5_000_000_000  # a connection that says nothing for so long is dead
LINK_KEEPALIVE_NS = 1_000_000_000
LINK_LINGER_NS = 10_000_000_000  # heartbeats go on for so long after a session ended
LINK_RETRY_FIRST_NS = 20_000_000  # between two attempts to connect; doubled each time
LINK_RETRY_LAST_NS = 1_000_000_000
LINK_STEADY_NS = 1_000_000_000  # a session that lasted so long ends the back-off
LINK_GOAWAY_NS = 1_000_000_000  # for the acknowledgement of a GOAWAY, and before who heard it comes again
LINK_ACKNOWLEDGE_FRAMES = 32
LINK_ACKNOWLEDGE_NS = 1_000_000
LINK_RETRANSMIT_NS = 200_000_000  # a frame the other side's record number has passed, without an acknowledgement
LINK_TRIES = 3  # retransmissions of one frame on one connection
LINK_DAMAGE_FAILURES = 8  # damaged frames within both of the next two end a session
LINK_DAMAGE_NS = 10_000_000_000
LINK_DAMAGE_FRAMES = 160
LINK_FENCE_NS = 100_000_000  # between two answers to frames of a fence that is over
LINK_MISSING_MAX = 1024  # NAKs that wait for their connection; the oldest is dropped, the next ACK says the same
LINK_NOTICES_MAX = 4096  # events that are no messages, while the application does not look
LINK_ALARM_NS = 1_000_000_000  # alarms of one reason are no closer; the rest is counted
LINK_INITIATIONS = 50  # whole first messages of one address in a second
LINK_ADDRESSES_MAX = 4096  # whose rate is known; the oldest is forgotten
LINK_PENDING_MAX = 1024  # connections that have not proved themselves; the oldest is dropped
LINK_PENDING_ADDRESS_MAX = 32  # of one address
LINK_DESCRIPTORS = LINK_PENDING_MAX + 2 * LINK_PEERS_MAX + 256  # files and sockets that the process link may have open
assert LINK_HEARTBEAT_NS * 4 < LINK_SUSPECT_NS, "three heartbeats may be lost"
assert LINK_KEEPALIVE_NS * 3 < LINK_SILENCE_NS
assert LINK_REKEY_FRAMES < LINK_REKEY_FRAMES_HARD
assert LINK_BODY_BYTES_MAX < LINK_MESSAGE_BYTES_MAX

for _depth in (
    FRAME_RING_DEPTH,
    ORDER_RING_DEPTH,
    REPORT_RING_DEPTH,
    JOURNAL_RING_DEPTH,
    NOTE_RING_DEPTH,
    INTENT_RING_DEPTH,
    RESOLUTION_RING_DEPTH,
    BOOK_ORDERS_MAX,
    ORDERS_MAX,
    FILLS_MAX,
    KEPT_EVENTS_MAX,
    RECENT_LINES,
    LINK_RING_DEPTH,
):
    assert _depth & (_depth - 1) == 0, "ring depths and tables are powers of two"
for _bytes in (
    FRAME_SLOT_BYTES,
    ORDER_SLOT_BYTES,
    REPORT_SLOT_BYTES,
    JOURNAL_SLOT_BYTES,
    NOTE_SLOT_BYTES,
    INTENT_SLOT_BYTES,
    RESOLUTION_SLOT_BYTES,
    LINK_SLOT_BYTES,
):
    assert _bytes % 64 == 0, "slots are whole cache lines"
assert FRAME_BYTES_MAX == FRAME_SLOT_BYTES - 32, "io takes what a slot holds behind its header"
assert EXCEPTION_MTU + 22 <= FRAME_BYTES_MAX
assert SEEN_PACKETS_MAX & (SEEN_PACKETS_MAX - 1) == 0
assert REORDER_PACKETS_MAX < RECOVERY_PACKETS_MAX <= POOL_PACKETS_MAX // 2
assert INSTRUMENTS_MAX == 1 << 16
assert PRICE_LIMIT + 64 * TICK_MAX < 1 << 63, "the first price of a leaf is representable"
assert PACKET_MESSAGES_MAX * 2 <= FRAME_BYTES_MAX
assert SESSION_MESSAGE_BYTES_MAX + 22 <= 512 <= REPORT_SLOT_BYTES - 32, "a report in its packet fits inbox and ring"
assert 4 * LINK_SCAN_ROWS <= LINK_RING_DEPTH // 2, "a turn of a scan finds room"
assert SESSION_HEARTBEAT_NS * 10 <= SESSION_SILENT_NS
assert HEARTBEAT_NS * 10 <= min(CONTROL_STALE_NS, CORE_STALE_NS, LINK_HUNG_NS)

# Regional link: compression
CODEC_RAW_BYTES_MAX = 1 << 20  # of one body, unpacked
CODEC_EXPANSION_MAX = 255  # raw bytes for each packed one, at most

# Regional link: keys
KEY_WRAPPED_BYTES_MAX = 1024  # one wrapped secret
KEY_MESSAGE_BYTES_MAX = 4096  # one request or answer of the key service
KEY_TEXT_BYTES_MAX = 512  # a string within it
KEY_CONNECTIONS_MAX = 64  # of keyd's clients, together
KEY_CALLER_CONNECTIONS_MAX = 16  # of one client among them
KEY_HANDSHAKES_MAX = 32  # of clients that have not shown who they are
KEY_DEADLINE_NS = 2_000_000_000  # a handshake, a request once begun, a call of a client
KEY_IDLE_NS = 60_000_000_000  # a client that asks nothing for so long is hung up on
KEY_REQUESTS_PER_SECOND = 50  # of one client
KEY_REQUESTS_BURST = 100
KEY_POLL_NS = 5_000_000_000  # a revocation is seen by every keyring within so long
KEY_RETRY_NS = 1_000_000_000
KEY_HOURS_AHEAD, KEY_HOURS_BACK = 4, 2  # hours that keyd gives out: what is prefetched, and clocks an hour apart
KEY_DAYS_AHEAD, KEY_DAYS_BACK = 2, 8
KEY_CLOCK_NS = 3_600_000_000_000  # a node's clock may be so far behind keyd's when it has a day's key certified
KEY_REVOCATIONS_MAX = 4096  # periods whose generation keyd keeps
KEY_GENERATION_MAX = 1 << 16  # revocations of one period
assert KEY_WRAPPED_BYTES_MAX + KEY_TEXT_BYTES_MAX < KEY_MESSAGE_BYTES_MAX
assert KEY_CALLER_CONNECTIONS_MAX + KEY_HANDSHAKES_MAX < KEY_CONNECTIONS_MAX, "strangers keep no listed client out"

# Regional link: tokens, roles, addresses, the journal of access
TOKEN_TTL_NS_MAX = 300_000_000_000
TOKEN_EARLY_NS = 2_000_000_000  # an issuer's clock may be ahead of ours by this
TOKEN_WINDOW = 1024  # counters below the highest that may still come, in any order
TOKEN_BOOTS_MAX = 64  # lives of one principal whose tokens have not all expired
TOKEN_MARK_AHEAD_NS = 250_000_000  # written ahead of what was accepted: what a restart of the verifier costs at most
TOKEN_COUNTERS_AHEAD = 64  # written ahead of what was minted
PRINCIPALS_MAX = 1024
ROLES_MAX = 32
SIGNED_FILE_BYTES_MAX = 1 << 20
ADDRESS_TEXT_MAX = 64
ADDRESS_PREFIXES_MAX = 1 << 15
GRANTS_MAX = 4096
GRANTS_PER_PEER_MAX = 256
ACCESS_LINES_PER_SOURCE = 5  # written in full, per second and address
ACCESS_LINES_PER_SECOND = 64  # written in full, refusals of all addresses together
ACCESS_SOURCES_MAX = 1024  # addresses told apart within a second
ACCESS_JOURNAL_BYTES_MAX = 64 << 20  # of one file; the next one goes on with its chain
ACCESS_SYNC_NS = 1_000_000_000
ACCESS_FILES_NS = 500_000_000  # signed files, and the keys of grants, are looked at again this often
assert TOKEN_COUNTERS_AHEAD < TOKEN_WINDOW
assert TOKEN_MARK_AHEAD_NS < TOKEN_EARLY_NS < TOKEN_TTL_NS_MAX
assert ACCESS_LINES_PER_SOURCE <= ACCESS_LINES_PER_SECOND <= ACCESS_SOURCES_MAX
assert GRANTS_MAX < 1 << 16, "token ids are 16 bits wide"
assert KEY_HANDSHAKES_MAX <= KEY_CONNECTIONS_MAX

# Regional link: streams
LINK_BATCH_RECORDS = 512  # of one batch as we cut it at first; then as many as fill a frame, within these bounds:
LINK_BATCH_RECORDS_LEAST, LINK_BATCH_RECORDS_MOST = 128, 2048
LINK_BATCH_RECORDS_MAX = 8192  # of one batch that we take
LINK_BATCH_BODY_BYTES = 16 << 10  # of one batch once it is packed; a larger one is cut in two
LINK_RETAINED_BYTES = 64 << 20  # packed batches that a source keeps for who comes back
LINK_HELD_BYTES_MAX = 64 << 20  # rows that a subscriber holds while it waits for those before them
LINK_REQUEST_BYTES_MAX = 2048
LINK_TOKEN_BYTES_MAX = 1024
LINK_SCAN_INTERVAL_NS = 250_000_000  # between two scans that one subscriber causes; doubled while it falls behind
LINK_SCAN_DOUBLINGS_MAX = 8
LINK_PUMP_ENTRIES = 256  # retained entries that one channel of a subscriber is offered in one turn
LINK_SCAN_ANSWER_NS = 5_000_000_000  # a scan that was asked for and has not begun is asked for again
LINK_EXECUTIONS_RETAINED_BYTES = 64 << 20
LINK_ANSWERS_WAITING_MAX = 256  # for room in the channel of answers; more end the streams
LINK_REQUEST_ANSWER_NS = 5_000_000_000
LINK_RENEW_BEFORE_NS = 30_000_000_000  # a grant is renewed so long before it ends, or at half its life
LINK_RENEW_AGAIN_NS = 1_000_000_000  # a renewal that failed is tried again
LINK_REGRANT_NS = 5_000_000_000  # in a new session a grant of the one before lasts so long unless it is renewed
LINK_ASK_FIRST_NS = 100_000_000  # before a stream that failed is asked for again; doubled each time
LINK_ASK_DOUBLINGS_MAX = 8
LINK_HEAL_FIRST_NS = 1_000_000_000  # between two scans that mismatches here cause; doubled while books go on not fitting
LINK_HEAL_LAST_NS = 300_000_000_000  # never longer; after as long without a mismatch it begins anew
LINK_EFFECTS_HELD_MAX = 1 << 20  # side effects of an early state that wait for the end mark
assert LINK_BATCH_RECORDS_LEAST <= LINK_BATCH_RECORDS <= LINK_BATCH_RECORDS_MOST <= LINK_BATCH_RECORDS_MAX
assert 120 * LINK_BATCH_RECORDS_MOST + LINK_FRAME_CHARGE <= LINK_WINDOW_FIRST_BYTES, "the first batch waits for no word"
assert LINK_SCAN_INTERVAL_NS < LINK_HEAL_FIRST_NS < LINK_HEAL_LAST_NS
assert 120 * LINK_BATCH_RECORDS_MAX <= CODEC_RAW_BYTES_MAX
