/*
 * layout.h — everything shared, in one include: the plain headers of native/layout and every assertion about them.
 * The headers themselves hold only enums and structs, so that cffi reads the same text as the compiler.
 */
#ifndef GATEWAY_LAYOUT_H
#define GATEWAY_LAYOUT_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "layout/region.h"
#include "layout/ring.h"
#include "layout/frame.h"
#include "layout/datagram.h"
#include "layout/line.h"
#include "layout/message.h"
#include "layout/packet.h"
#include "layout/feed.h"
#include "layout/event.h"
#include "layout/recovery.h"
#include "layout/decoder.h"
#include "layout/normaliser.h"
#include "layout/json.h"
#include "layout/instrument.h"
#include "layout/book.h"
#include "layout/quality.h"
#include "layout/order.h"
#include "layout/gate.h"
#include "layout/post_trade.h"
#include "layout/session.h"
#include "layout/admission.h"
#include "layout/counters.h"
#include "layout/note.h"
#include "layout/link.h"
#include "layout/core.h"
#include "layout/venue.h"

#define GATEWAY_MAGIC 0x3159415745544147ULL /* "GATEWAY1" */

#ifndef GATEWAY_LAYOUT_HASH
#error "compile through cffi_build.py, which defines GATEWAY_LAYOUT_HASH from native/layout"
#endif

static_assert(sizeof(struct region_header) == 64, "a region header is one line");
static_assert(sizeof(struct ring_header) == 256, "ring header: region, geometry, producer, reader");
static_assert(offsetof(struct ring_header, claimed) == 128, "the producer owns its line");
static_assert(offsetof(struct ring_header, cursor) == 192, "the reader owns its line");
static_assert(sizeof(struct ring_writer) == 64 && sizeof(struct ring_reader) == 64, "handles are one line");
static_assert(sizeof(struct frame_slot) == 32, "a frame's stamps leave half a line for its first bytes");
static_assert(sizeof(struct held_packet) == 64, "a held packet's row is one line");
static_assert(sizeof(struct line_statistics) == 64 && sizeof(struct channel_statistics) == 256, "whole lines");
static_assert(offsetof(struct feed, ready_payload) == 64, "what every packet reads is one line");
static_assert(sizeof(struct line) == 16, "four lines of a feed a line of cache");
static_assert(sizeof(struct event) == 64, "an event is one line");
static_assert(sizeof(struct kept_event) == 80 && sizeof(struct heal_row) == 64, "a row of an instrument is one line");
static_assert(sizeof(struct decoder) == 128, "a decoder is two lines");
static_assert(sizeof(struct normaliser) == 128, "a normaliser is two lines");
static_assert(sizeof(struct instrument) == 128, "an instrument is two lines");
static_assert(sizeof(struct instrument_slot) == 16 && sizeof(struct instrument_table) == 128, "four slots a line");
static_assert(sizeof(struct book) == 256 && offsetof(struct book, symbol) == 64, "the top of a book is one line");
static_assert(offsetof(struct book, bid) == 128 && sizeof(struct book_side) == 64, "a side of a book is one line");
static_assert(sizeof(struct json_key) == 48 && sizeof(struct json_row) == 40, "keys and rows are packed");
static_assert(sizeof(struct json_slot) == 32 && sizeof(struct json_shape) == 16, "no padding");
static_assert(sizeof(struct level) == 16 && sizeof(struct leaf) == 64 + 1024, "a line, then 64 levels of 16 bytes");
static_assert(sizeof(struct branch) == 64 + 256, "a line, then 64 references");
static_assert(sizeof(struct book_node) == 22 * 64, "whole lines");
static_assert(offsetof(struct book_store, channels) == 128, "the handle is two lines, then the channels");
static_assert(sizeof(struct book_order) == 32, "two order rows a line");
static_assert(sizeof(struct quality_account) == 128 && sizeof(struct quality_row) == 64, "a row of quality is one line");
static_assert(offsetof(struct quality_row, group) == 56, "samples begin anew in whole words in front of the group");
static_assert(sizeof(struct intent) == 64, "an intent is one line");
static_assert(offsetof(struct intents, rows) == 64, "intents: one line, then rows");
static_assert(sizeof(struct order) == 128, "an order row is two lines");
static_assert(sizeof(struct order_table) == 128, "order rows begin on their own line");
static_assert(sizeof(struct fill) == 32, "two fills a line");
static_assert(sizeof(struct order_frame) == 128, "a frame template is two lines");
static_assert(sizeof(struct parked_report) == 128, "a parked report is two lines");
static_assert(offsetof(struct adoption, symbols) == 128, "the table begins on its own line");
static_assert(sizeof(struct resolution_slot) == 64, "a resolution is one line");
static_assert(sizeof(struct order_path) == 192, "the path is three lines");
static_assert(sizeof(struct order_slot) == 64, "an order frame begins on its own line");
static_assert(sizeof(struct note_slot) == 64, "a note is one line, its frame begins on the next");
static_assert(sizeof(struct link_slot) == 128 && offsetof(struct link_slot, event) == 64, "a link record is two lines");
static_assert(sizeof(struct link_book) == 128 && sizeof(struct link_listing) == 128, "as every record");
static_assert(offsetof(struct link_book, instrument) == 32, "one head");
static_assert(offsetof(struct link_listing, instrument) == 32, "one head");
static_assert(sizeof(struct link_execution) == 128 && sizeof(struct link_quote) == 64, "whole lines");
static_assert(offsetof(struct link_state, phase) == 128, "the word that core reads has its own line");
static_assert(sizeof(struct link_state) % 64 == 0, "whole lines");
static_assert(sizeof(struct intent_slot) == 64, "an intent begins on its own line");
static_assert(sizeof(struct journal_slot) == 192, "a journal record is three lines");
static_assert(sizeof(struct heartbeat) == 64 && sizeof(struct clock_calibration) == 64, "one line each");
static_assert(offsetof(struct control_block, kill_latch) == 64, "the latch has its own line");
static_assert(offsetof(struct control_block, epoch) == 128, "the epoch has its own line");
static_assert(sizeof(struct gate_row) == 320 && offsetof(struct gate_row, position) == 128, "limits, state");
static_assert(sizeof(struct gate_account) % 64 == 0 && offsetof(struct gate_account, bucket_ns) == 128, "whole lines");
static_assert(sizeof(struct gate_strategy) == 128 && sizeof(struct gate_group) == 64, "control's line, core's line");
static_assert(sizeof(struct gate_holding) == 64 && sizeof(struct gate_window) == 64, "one line");
static_assert(sizeof(struct gate_recent) == 64 && sizeof(struct gate_executions) % 64 == 0, "one line of ways");
static_assert(sizeof(struct post_trade_account) % 64 == 0, "halted symbols begin on a line");
static_assert(sizeof(struct halted_symbol) == 8, "a symbol is a word");
static_assert(POST_TRADE_CONTROLS <= 16, "a counter for each");
static_assert(offsetof(struct gate_row, halted) == 120, "the last word of the limits is none of admission's");
static_assert(sizeof(struct venue_order) == 64 && sizeof(struct venue_symbol) == 256, "the venue's rows are whole lines");
static_assert(GATE_REASONS <= 32 && FEED_REASONS <= 64, "reason counters fit");

#endif
