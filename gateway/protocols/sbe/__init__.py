"""Simple Binary Encoding ④: any schema to readers and encoders (FIX SBE 1.0, its release candidates, and venues' habits)."""
