//! A strict authorization server and a protected API, in memory on loopback, that misbehave on request.
