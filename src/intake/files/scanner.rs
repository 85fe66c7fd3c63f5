//! Asks the antivirus of the machine, clamd, by its `INSTREAM` order. It only ever says what clamd said: a file that could
//! not be looked at is never called clean.
//!
//! ```text
//! zINSTREAM\0   (length, 4 bytes, big end first; bytes)*   0000   → stream: OK\0 | stream: NAME FOUND\0 | … ERROR\0
//! ```

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::Semaphore;

use super::sealed::SealedReader;

/// Where clamd listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ScannerAddress {
    /// A socket in a folder.
    Unix(PathBuf),
    /// A port of this machine: what is sent there is in clear.
    Tcp(SocketAddr),
}

/// What clamd says of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It looked and found nothing.
    Clean,
    /// It found something.
    Infected,
    /// It did not look to the end, for this reason.
    Unknown(&'static str),
}

/// One antivirus, asked by few at a time, and left alone for a while after it failed.
#[derive(Debug)]
pub(super) struct Scanner {
    address: ScannerAddress,
    slots: Semaphore,
    away_until: Mutex<Option<Instant>>,
    patience: Duration,
}

impl Scanner {
    pub(super) fn new(address: ScannerAddress) -> Scanner {
        Scanner { address, slots: Semaphore::new(SLOTS), away_until: Mutex::default(), patience: PATIENCE }
    }

    /// Gives the file that `open` opens to clamd; never waits longer than the resident would.
    pub(super) async fn scan<R: io::Read + Send + 'static>(
        &self,
        open: impl FnOnce() -> io::Result<SealedReader<R>> + Send + 'static,
    ) -> Verdict {
        if self.away().is_some_and(|until| Instant::now() < until) {
            return Verdict::Unknown("away");
        }
        let asked = async {
            let _slot = self.slots.acquire().await;
            match &self.address {
                ScannerAddress::Unix(path) => match UnixStream::connect(path).await {
                    Ok(stream) => converse(stream, open).await,
                    Err(_) => Verdict::Unknown("absent"),
                },
                ScannerAddress::Tcp(address) => match TcpStream::connect(address).await {
                    Ok(stream) => converse(stream, open).await,
                    Err(_) => Verdict::Unknown("absent"),
                },
            }
        };
        let verdict = tokio::time::timeout(self.patience, asked).await.unwrap_or(Verdict::Unknown("slow"));
        if matches!(verdict, Verdict::Unknown("absent" | "slow")) {
            // The next residents need not wait for it as well.
            *self.away_until.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + AWAY);
        }
        verdict
    }

    fn away(&self) -> Option<Instant> {
        *self.away_until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn converse<R: io::Read + Send + 'static>(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    open: impl FnOnce() -> io::Result<SealedReader<R>> + Send + 'static,
) -> Verdict {
    let (mut answers, mut orders) = tokio::io::split(stream);
    let sent = send(&mut orders, open).await;
    if let Err(Unsent::Disk) = sent {
        return Verdict::Unknown("unreadable");
    }
    // It may have answered before the end, and closed: what it said counts.
    let mut answer = Vec::new();
    let heard = (&mut answers).take(ANSWER).read_to_end(&mut answer).await;
    let is_whole = heard.is_ok() && sent.is_ok();
    verdict(&answer, is_whole)
}

/// Why not all was sent.
enum Unsent {
    Disk,
    Peer,
}

async fn send<R: io::Read + Send + 'static>(
    orders: &mut (impl AsyncWrite + Unpin),
    open: impl FnOnce() -> io::Result<SealedReader<R>> + Send + 'static,
) -> Result<(), Unsent> {
    orders.write_all(b"zINSTREAM\0").await.map_err(|_| Unsent::Peer)?;
    let mut reader = blocking(open).await?;
    loop {
        let (back, bytes) = blocking(move || {
            let mut bytes = Vec::with_capacity(TOGETHER);
            io::Read::read_to_end(&mut io::Read::take(&mut reader, TOGETHER as u64), &mut bytes)?;
            Ok((reader, bytes))
        })
        .await?;
        reader = back;
        // A length of nought ends the file.
        let length = (bytes.len() as u32).to_be_bytes();
        orders.write_all(&length).await.map_err(|_| Unsent::Peer)?;
        if bytes.is_empty() {
            return orders.flush().await.map_err(|_| Unsent::Peer);
        }
        orders.write_all(&bytes).await.map_err(|_| Unsent::Peer)?;
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> Result<T, Unsent> {
    tokio::task::spawn_blocking(work).await.ok().and_then(Result::ok).ok_or(Unsent::Disk)
}

/// What an answer means. « OK » counts only when all was sent and the answer is whole; « FOUND » counts always.
fn verdict(answer: &[u8], is_whole: bool) -> Verdict {
    let (line, ended) = match answer.split_last() {
        Some((0, line)) => (line, true),
        _ => (answer, false),
    };
    if line.contains(&0) {
        return if line.split(|byte| *byte == 0).any(|line| line.ends_with(b" FOUND")) {
            Verdict::Infected
        } else {
            Verdict::Unknown("odd")
        };
    }
    match line.trim_ascii_end() {
        line if line.ends_with(b" FOUND") => Verdict::Infected,
        b"stream: OK" if is_whole && ended => Verdict::Clean,
        line if line.ends_with(b"ERROR") => Verdict::Unknown("error"),
        b"" => Verdict::Unknown("silent"),
        _ => Verdict::Unknown("odd"),
    }
}

/// Files looked at together: clamd has ten threads of its own.
const SLOTS: usize = 4;
/// How long all of it may last, the queue included: a resident is waiting.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long it is left alone after it did not answer.
const AWAY: Duration = Duration::from_secs(30);
/// Bytes sent together.
const TOGETHER: usize = 64 << 10;
/// Bytes of an answer: a line.
const ANSWER: u64 = 1 << 10;

#[cfg(test)]
mod tests;
