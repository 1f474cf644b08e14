"""Batches of fixed records, packed by columns and unpacked within bounds. docs/protocols/link-compression.md

codec.py                  pack and unpack: what the streams call; schemas.py: the records there are
column_schema.py          a schema as the kernels read it (column_plan.py: its words)
column_packing.py         one batch in: column_guess.py and column_history.py predict, column_amounts.py and column_names.py
                          write what was not foreseen, column_streams.py with the codes of column_codes.py
column_unpacking.py       the way back, over column_reading.py

Hard rule: what does not unpack to the very bytes is a reason; no input makes more than the bytes it was said to hold.
"""
