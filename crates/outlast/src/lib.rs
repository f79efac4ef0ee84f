//! Keeps OAuth credentials alive for as long as a task runs: renewal before expiry, one renewal for every caller, tokens that survive crashes.
