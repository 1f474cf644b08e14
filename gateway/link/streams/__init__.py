"""Streams of records from one gateway to its readers, each record once. docs/protocols/link-streams.md

records.py                rows of core_link and link_core (native/layout/link.h), executions, quotes
record_layouts.py         how they are laid out and coded, as one number that both sides must have
stream_server.py          the source's side of the streams: requests (stream_opening.py), subscribers (stream_subscriber.py,
                          stream_progress.py), scans for all who wait (stream_scans.py), quotes (stream_quotes.py)
stream_request.py         requests, answers, marks; batch.py: records as they travel; packing.py, retained.py: packed, kept
stream_reader.py          the subscriber's side: asks, renews, resumes (stream_asking.py)
subscription.py           market data and snapshots in one order, each record once; join.py: which of them a reader applies
execution_subscription.py executions, each once
cursor.py                 where to go on; the same for a ring (record_source.py), a capture (record_file.py) and the network
early.py                  a large transfer is used while the rest of it arrives; side effects wait for its end

Hard rule: a record that was handed out is not handed out again, and none is left out without being said.
"""
