/*
 * book_tree.cpp — the book most open C++ projects have: std::unordered_map from order to order, std::map from price to level,
 * one of each side. The same packets and checks as ours; no gaps, no channels, no events for strategies, no counters.
 */
#include <functional>
#include <map>
#include <unordered_map>
#include <vector>

#include "book_feed.h"

struct order {
    int64_t price;
    uint32_t shares;
    uint16_t symbol;
    uint16_t side;
};

struct books {
    std::vector<std::map<int64_t, total, std::greater<int64_t>>> bids{65536};
    std::vector<std::map<int64_t, total>> asks{65536};
    std::unordered_map<uint64_t, order> orders;
};

template <typename Levels> static void lower(Levels &levels, int64_t price, uint32_t shares, bool gone)
{
    auto level = levels.find(price);
    level->second.quantity -= shares;
    level->second.orders -= gone;
    if (level->second.orders == 0)
        levels.erase(level);
}

template <typename Levels> static void raise(Levels &levels, int64_t price, uint32_t shares)
{
    total &level = levels[price];
    level.quantity += shares;
    level.orders++;
}

template <typename Levels> static total find_level(const Levels &levels, int64_t price)
{
    auto found = levels.find(price);
    return found == levels.end() ? total{0, 0} : found->second;
}

static void join(books *books, uint32_t symbol, int side, uint64_t id, int64_t price, uint32_t shares)
{
    books->orders.emplace(id, order{price, shares, static_cast<uint16_t>(symbol), static_cast<uint16_t>(side)});
    if (side)
        raise(books->asks[symbol], price, shares);
    else
        raise(books->bids[symbol], price, shares);
}

static void leave(books *books, uint32_t symbol, uint64_t id, uint32_t shares)
{
    auto found = books->orders.find(id);
    if (found == books->orders.end() || found->second.symbol != symbol)
        return;
    order &there = found->second;
    uint32_t taken = shares < there.shares ? shares : there.shares;
    bool gone = taken == there.shares;
    if (there.side)
        lower(books->asks[symbol], there.price, taken, gone);
    else
        lower(books->bids[symbol], there.price, taken, gone);
    there.shares -= taken;
    if (gone)
        books->orders.erase(found);
}

static void replace(books *books, uint32_t symbol, uint64_t id, uint64_t id_new, int64_t price, uint32_t shares)
{
    auto found = books->orders.find(id);
    if (found == books->orders.end())
        return;
    int side = found->second.side;
    leave(books, symbol, id, ALL);
    join(books, symbol, side, id_new, price, shares);
}

static total level(const books *books, uint32_t symbol, int side, int64_t price)
{
    return side ? find_level(books->asks[symbol], price) : find_level(books->bids[symbol], price);
}

static int64_t level_count(const books *books, uint32_t symbol, int side)
{
    return static_cast<int64_t>(side ? books->asks[symbol].size() : books->bids[symbol].size());
}

extern "C" {
books *book_tree_new(void)
{
    return new books;
}

void book_tree_free(books *books)
{
    delete books;
}

int64_t book_tree_feed(books *books, const uint8_t *data, const int64_t *offsets, const int64_t *sizes, int64_t packets)
{
    return feed(books, data, offsets, sizes, packets);
}

int64_t book_tree_differences(const books *books, const int64_t *middles, const int64_t *steps, const int32_t *levels,
                              const int32_t *counts, int64_t symbols, int64_t places)
{
    return differences(books, middles, steps, levels, counts, symbols, places);
}
}
