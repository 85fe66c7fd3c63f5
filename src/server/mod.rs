//! HTTP, nothing but HTTP: connections, the guichet's routes, the live preview, the production server.

pub mod forms;
mod headers;
pub mod listen;
mod observe;
pub mod rate;
pub mod receive;
pub mod site;
