//! The sidecar: serves the library over HTTP and a unix socket, with nothing but its public interface.
