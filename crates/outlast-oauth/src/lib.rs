//! Speaks to authorization servers; cannot see a store or a file. Not an API boundary; use `outlast`.
