//! `mulot publish` against what it will meet: folders and small disks (`folder`), a real sshd (`remote`), a real S3-speaking server
//! that judges signatures (`client`, `bucket`), with a visitor who reads the site all the while.
//!
//! Needs the Debian packages openssh-server, rsync, faketime and util-linux; each test says so when one is missing.

#![allow(unreachable_pub, reason = "the harness is shared by several binaries")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails where it stands")]

mod bucket;
#[path = "../support/chance.rs"]
#[allow(dead_code, reason = "only the numbers are wanted here")]
mod chance;
mod client;
#[path = "../suite/commune_test.rs"]
#[allow(dead_code, reason = "not every gesture is wanted here")]
mod commune_test;
mod folder;
mod remote;
#[path = "../support/s3.rs"]
mod s3;
mod town;
mod visitor;
