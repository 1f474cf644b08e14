"""A simulated Nasdaq-like venue: seeded order flow, price-time matching, ITCH 5.0 out on two lines, OUCH 5.0 in.

Read it in this order: step, activity and pacing, orders, matching, ladder and rows, feed and reports, packets, faults,
frames; beside them settings, addresses, symbols, state, books, report, process; flow makes frames and captures from it.
"""
