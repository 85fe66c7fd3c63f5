//! Data at rest: sealed, taken over from older versions, told when damaged, copied and brought back.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails where it stands")]

mod backup;
mod damage;
mod upgrade;
