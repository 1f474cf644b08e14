/*
 * gate_plain.c — the gate a good C programmer writes first: one `if` after another over the same state block, divisions
 * where a remainder is asked for, the same reason mask and the same counters as gateway/core/gate.py.
 */
#include <stdlib.h>

#include "ring.h"

#define BIT(reason) (1ull << (reason))
enum { PPM = 1000000 };
static const int64_t ONE = 1ll << 32, SCALED_MAX = 1ll << 46, TIME_MAX_NS = 1ll << 62;

static int64_t scale_up(int64_t value, int64_t fraction)
{
    unsigned __int128 product = (unsigned __int128)(uint64_t)value * (uint64_t)fraction + (uint64_t)(ONE - 1);
    return product >> 32 > (unsigned __int128)SCALED_MAX ? SCALED_MAX : (int64_t)(product >> 32);
}

static int64_t room(struct ring_writer *writer)
{
    if (writer->position - writer->cursor_cached >= writer->depth)
        writer->cursor_cached = __atomic_load_n(&ring_of(writer->header)->cursor, __ATOMIC_ACQUIRE);
    return (int64_t)(writer->depth - (writer->position - writer->cursor_cached));
}

static uint64_t fingerprint_of(const struct intent *intent)
{
    uint64_t terms = ((uint64_t)intent->price ^ (uint64_t)intent->quantity << 32) * 0x243F6A8885A308D3ull;
    uint64_t who = intent->instrument | (uint64_t)intent->side << 32 | (uint64_t)intent->strategy << 40;
    uint64_t cause = intent->signal_id ^ intent->order_reference * 0xA4093822299F31D1ull;
    uint64_t mixed = terms ^ terms >> 31 ^ who * 0x13198A2E03707345ull ^ cause * 0x082EFA98EC4E6C89ull;
    mixed = (mixed ^ mixed >> 29) * 0xA4093822299F31D1ull;
    return mixed ^ mixed >> 32;
}

static uint64_t market(const struct gate_account *account, const struct gate_row *row, const struct book *book,
                       const struct intent *intent, int64_t now_ns)
{
    uint64_t mask = 0;
    int64_t price = intent->price, quantity = intent->quantity;
    int auction = book->trading == TRADING_AUCTION && row->flags & INSTRUMENT_AUCTION;
    if ((row->flags & 7) != (INSTRUMENT_PERMITTED | INSTRUMENT_LIMITS_SET) || book->flags & BOOK_FAULT
        || (book->trading != TRADING_OPEN && !auction) || (book->flags & BOOK_CROSSED && !auction)
        || now_ns < account->hours_open_ns || now_ns >= account->hours_close_ns || book->symbol[0] == 0)
        mask |= BIT(GATE_STATE);
    if ((book->flags & (BOOK_VALID | BOOK_STALE | BOOK_QUIET)) != BOOK_VALID || book->time_ns <= 0
        || now_ns < book->time_ns || now_ns >= TIME_MAX_NS || now_ns - book->time_ns > row->stale_ns)
        mask |= BIT(GATE_STALE);
    if (quantity <= 0 || quantity > ORDER_QUANTITY_MAX || quantity > row->quantity_max || row->lot <= 0
        || (uint32_t)quantity % (uint32_t)row->lot)
        mask |= BIT(GATE_QTY);
    int two_sided = book->bid_quantity > 0 && book->ask_quantity > 0;
    int64_t doubled = two_sided ? book->bid_price + book->ask_price : 2 * book->last_price;
    if (price <= 0 || price > ORDER_PRICE_MAX || row->tick <= 0 || (uint32_t)price % (uint32_t)row->tick || doubled <= 0
        || llabs(2 * price - doubled) * PPM > row->collar_ppm * doubled || row->window_price <= 0
        || llabs(price - row->window_price) * PPM > row->window_ppm * row->window_price
        || now_ns - row->window_ns > account->window_ns || now_ns < row->window_ns)
        mask |= BIT(GATE_PRICE);
    return mask;
}

static uint64_t exposure(const struct order_path *path, const struct gate_account *account, const struct gate_row *row,
                         const struct intent *intent, int64_t now_ns)
{
    uint64_t mask = 0;
    int buying = intent->side == SIDE_BUY;
    const struct gate_rate *rate = &account->rates[row->currency & 15];
    const struct gate_strategy *strategy = &account->strategies[intent->strategy & 7];
    const struct gate_holding *holding = (const struct gate_holding *)path->holdings
        + (intent->strategy & 7) * path->instruments + intent->instrument;
    int64_t notional = (intent->price & 0x7fffffff) * (intent->quantity & 0x7fffffff);
    int64_t worth = scale_up(notional, rate->fraction);
    if (notional > row->value_max || worth > account->signal_value || worth >= SCALED_MAX || rate->fraction <= 0
        || intent->price <= 0 || intent->price > ORDER_PRICE_MAX || intent->quantity <= 0
        || intent->quantity > ORDER_QUANTITY_MAX
        || (row->currency != 0 && now_ns - rate->time_ns > account->rate_age_ns))
        mask |= BIT(GATE_VALUE);
    int64_t all = buying ? row->position + row->open_buy : row->open_sell - row->position;
    int64_t own = buying ? holding->position + holding->open_buy : holding->open_sell - holding->position;
    if (all + intent->quantity > row->position_max || own + intent->quantity > strategy->position_max)
        mask |= BIT(GATE_POSITION);
    int64_t before = row->long_value > row->short_value ? row->long_value : row->short_value;
    int64_t up = row->long_value + (buying ? worth : 0), down = row->short_value + (buying ? 0 : worth);
    int64_t after = up > down ? up : down;
    int64_t net = buying ? account->net_long : account->net_short;
    if ((after > before && account->gross_value + after - before > account->gross_max) || net + worth > account->net_max)
        mask |= BIT(GATE_EXPOSURE);
    if (row->group != 0) {
        const struct gate_group *group = &account->groups[row->group & 63];
        int64_t there = buying == (row->weight_fraction >= 0) ? group->long_value : group->short_value;
        int64_t cap = group->value_max < account->group_value ? group->value_max : account->group_value;
        if (there + scale_up(worth, llabs(row->weight_fraction)) > cap)
            mask |= BIT(GATE_EXPOSURE);
    }
    if (row->margin_fraction <= 0 || (after > before
        && scale_up(after, row->margin_fraction) - scale_up(before, row->margin_fraction) > account->free_value))
        mask |= BIT(GATE_MARGIN);
    return mask;
}

static uint64_t origin(const struct order_path *path, const struct gate_account *account, const struct gate_row *row,
                       const struct intent *intent, int64_t now_ns)
{
    uint64_t mask = 0;
    const struct gate_strategy *strategy = &account->strategies[intent->strategy & 7];
    if (intent->strategy >= GATE_STRATEGIES || strategy->flags != STRATEGY_SET || intent->side < SIDE_BUY
        || intent->side > SIDE_SELL || !(row->permits >> (2 * intent->strategy + intent->side - 1) & 1)
        || (intent->time_in_force != TIME_DAY && intent->time_in_force != TIME_IOC)
        || (intent->kind != INTENT_NEW && intent->kind != INTENT_REPLACE))
        mask |= BIT(GATE_PERM);
    uint64_t print = fingerprint_of(intent);
    const struct gate_recent *recent = (const struct gate_recent *)path->recent + (print & path->recent_mask);
    int young = 0;
    for (int way = 0; way < GATE_RECENT_WAYS; way++) {
        if (now_ns - recent->times_ns[way] >= account->dup_ns)
            continue;
        young++;
        if (recent->fingerprints[way] == print)
            mask |= BIT(GATE_DUP);
    }
    if (young == GATE_RECENT_WAYS)
        mask |= BIT(GATE_DUP);
    if (intent->side == SIDE_BUY ? row->own_ask != 0 && intent->price >= row->own_ask
                                 : row->own_bid != 0 && intent->price <= row->own_bid)
        mask |= BIT(GATE_SELF);
    if (strategy->repeated || strategy->repeat_max <= 0 || strategy->repeat_ns <= 0)
        mask |= BIT(GATE_REPEAT);
    if (strategy->halted || account->halted || ((const struct intents *)path->intents)->halted)
        mask |= BIT(GATE_DISABLED);
    return mask;
}

static uint64_t environment(const struct order_path *path, const struct gate_account *account, uint64_t reference,
                            int64_t now_ns)
{
    uint64_t mask = 0;
    const struct control_block *control = (const struct control_block *)path->control;
    const struct order *order = (const struct order *)path->orders + (reference & path->orders_mask);
    if (__atomic_load_n(&control->kill_latch, __ATOMIC_RELAXED))
        mask |= BIT(GATE_KILL);
    if (__atomic_load_n(&control->epoch, __ATOMIC_RELAXED) != path->epoch
        || (control->lease_expires_ns && now_ns >= (int64_t)control->lease_expires_ns))
        mask |= BIT(GATE_FENCE);
    if (account->rate_interval_ns <= 0 || account->day_messages >= account->day_messages_max
        || (account->bucket_ns > now_ns ? account->bucket_ns - now_ns : 0) > account->rate_span_ns)
        mask |= BIT(GATE_RATE);
    if (account->session_lost)
        mask |= BIT(GATE_SESSION);
    if (room((struct ring_writer *)path->journal) <= 0)
        mask |= BIT(GATE_JOURNAL);
    if (room((struct ring_writer *)path->core_io) <= 0)
        mask |= BIT(GATE_RING);
    if (reference == 0 || reference > ORDER_REFERENCE_MAX
        || (order->state >= ORDER_SENT && order->state <= ORDER_PARTIAL) || order->state >= ORDER_CANCELLING
        || ((const struct order_table *)path->table)->fills > path->fills_mask >> 1)
        mask |= BIT(GATE_ORDERS);
    return mask;
}

static uint64_t decide(const struct order_path *path, const struct intent *intent, uint64_t reference, int64_t now_ns)
{
    struct gate_account *account = (struct gate_account *)path->account;
    uint64_t version = __atomic_load_n(&account->limits_version, __ATOMIC_ACQUIRE);
    const struct gate_row *row = (const struct gate_row *)path->rows + intent->instrument;
    const struct book *book = (const struct book *)path->books + intent->instrument;
    uint64_t mask = BIT(GATE_STATE);
    if (intent->instrument < path->instruments)
        mask = market(account, row, book, intent, now_ns) | exposure(path, account, row, intent, now_ns)
            | origin(path, account, row, intent, now_ns) | environment(path, account, reference, now_ns);
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    if (version & 1 || __atomic_load_n(&account->limits_version, __ATOMIC_RELAXED) != version)
        mask |= BIT(GATE_STATE);
    account->decisions++;
    if (mask == 0) {
        int64_t used = account->bucket_ns > now_ns ? account->bucket_ns : now_ns;
        int64_t whole = now_ns + account->rate_whole_ns;
        used += account->rate_interval_ns;
        account->accepted++;
        account->day_messages++;
        account->bucket_ns = used < whole ? used : whole;
        return 0;
    }
    for (uint64_t left = mask; left; left &= left - 1)
        account->rejects[__builtin_ctzll(left)]++;
    return mask;
}

/* Decides `count` intents in the order given, `rounds` times; the sum of every mask times its place. */
uint64_t plain_decide_all(const struct order_path *path, const struct intent *intents, const int64_t *order, int64_t count,
                          int64_t rounds, int64_t now_ns)
{
    uint64_t sum = 0;
    for (int64_t round = 0; round < rounds; round++)
        for (int64_t index = 0; index < count; index++)
            sum += decide(path, intents + order[index], 1, now_ns) * (uint64_t)(index + 1);
    return sum;
}
