//! Makes bytes durable; cannot open a socket. Not an API boundary; use `outlast`.
