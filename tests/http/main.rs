//! The servers, asked by plain HTTP: the journey of a form without any script, refusals, connections, headers, preview, logs.

mod connections;
mod headers;
mod journey;
mod logs;
mod preview;
mod refusals;
mod server_test;
