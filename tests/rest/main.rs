//! Data at rest: sealed, taken over from older versions, told when damaged, copied and brought back; files in a bucket.

#![allow(unreachable_pub, reason = "the support is shared by several binaries")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails where it stands")]

mod backup;
mod bucket;
#[allow(dead_code, reason = "only the numbers are wanted here")]
#[path = "../support/chance.rs"]
mod chance;
mod damage;
#[allow(dead_code, reason = "not every trick of the server is wanted here")]
#[path = "../support/s3.rs"]
mod s3;
mod upgrade;
