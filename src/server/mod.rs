//! HTTP, nothing but HTTP: connections, the guichet's routes, the live preview, the production server.

mod headers;
pub mod listen;
pub mod site;
