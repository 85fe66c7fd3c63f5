//! Mulot: one binary that turns a commune's folder into a static site and takes residents' requests.
//!
//! The map is `ARCHITECTURE.md`. There is no API promise: the library exists for the binary, the tests and the benchmarks.

pub mod builds;
pub mod check;
pub mod cli;
pub mod diagnostic;
pub mod embedded;
pub mod fleet;
pub mod fs;
pub mod intake;
pub mod load;
pub mod migrate;
pub mod model;
pub mod pictures;
pub mod pipeline;
pub mod publish;
pub mod records;
pub mod registry;
pub mod render;
pub mod resolve;
pub mod s3;
pub mod server;
pub mod starter;
pub mod text;
pub mod write;
