//! Slows floods down: token buckets by address prefix and for the whole guichet, in memory only.
//!
//! A school, a mairie or a mobile operator shares one IPv4 address, so the allowances are generous. Addresses never leave this
//! module, are in no log, and are forgotten when their bucket is full again.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::listen::prefix;

/// How much may come.
#[derive(Debug, Clone)]
pub struct RateLimits {
    /// Pages of answers checked from one address at once; as many come back every ten minutes.
    pub checks: u32,
    /// Submissions from one address at once; as many come back every ten minutes.
    pub sends: u32,
    /// Submissions of everybody at once; as many come back every hour.
    pub all_sends: u32,
}

impl Default for RateLimits {
    fn default() -> Self {
        RateLimits { checks: 60, sends: 10, all_sends: 300 }
    }
}

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Act {
    /// Posting a page of answers.
    Check,
    /// Sending a request.
    Send,
}

/// The buckets of one guichet.
#[derive(Debug)]
pub(super) struct Rates {
    limits: RateLimits,
    buckets: Mutex<BTreeMap<(Act, Option<u128>), Bucket>>,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    tokens: f64,
    at: Instant,
}

impl Rates {
    pub(super) fn new(limits: RateLimits) -> Self {
        Rates { limits, buckets: Mutex::new(BTreeMap::new()) }
    }

    /// Whether this may go on; otherwise how long to wait. An unknown address is only counted with everybody.
    pub(super) fn take(&self, act: Act, address: Option<IpAddr>, now: Instant) -> Result<(), Duration> {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let own = match act {
            Act::Check => (self.limits.checks, TEN_MINUTES),
            Act::Send => (self.limits.sends, TEN_MINUTES),
        };
        if buckets.len() > MOST {
            // Full again within the hour: what is older knows nothing any more.
            buckets.retain(|_, bucket| now.saturating_duration_since(bucket.at) < HOUR);
        }
        if let Some(address) = address {
            take(&mut buckets, (act, Some(prefix(address))), own, now)?;
        }
        if act == Act::Send {
            take(&mut buckets, (act, None), (self.limits.all_sends, HOUR), now)?;
        }
        Ok(())
    }
}

fn take(
    buckets: &mut BTreeMap<(Act, Option<u128>), Bucket>,
    key: (Act, Option<u128>),
    (most, period): (u32, Duration),
    now: Instant,
) -> Result<(), Duration> {
    let most = f64::from(most.max(1));
    let rate = most / period.as_secs_f64();
    let bucket = buckets.entry(key).or_insert(Bucket { tokens: most, at: now });
    bucket.tokens = (bucket.tokens + now.saturating_duration_since(bucket.at).as_secs_f64() * rate).min(most);
    bucket.at = now;
    if bucket.tokens < 1.0 {
        return Err(Duration::from_secs_f64((1.0 - bucket.tokens) / rate));
    }
    bucket.tokens -= 1.0;
    Ok(())
}

const TEN_MINUTES: Duration = Duration::from_secs(600);
const HOUR: Duration = Duration::from_secs(3600);
/// Addresses remembered before the old ones are forgotten.
const MOST: usize = 20_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn an_address_that_asked_too_much_waits_and_others_do_not() {
        let rates = Rates::new(RateLimits { checks: 3, sends: 2, all_sends: 100 });
        let start = Instant::now();
        let send = |address, after| rates.take(Act::Send, address, start + Duration::from_secs(after));
        assert!(send(ip("192.0.2.1"), 0).is_ok() && send(ip("192.0.2.1"), 0).is_ok());
        let wait = send(ip("192.0.2.1"), 0).unwrap_err();
        assert_eq!(wait.as_secs(), 300);
        assert!(send(ip("192.0.2.2"), 0).is_ok());
        assert!(send(ip("192.0.2.1"), 301).is_ok());
        assert!(rates.take(Act::Check, ip("192.0.2.1"), start).is_ok(), "each act has its own count");
    }

    #[test]
    fn a_subscriber_of_ipv6_is_one_address() {
        let rates = Rates::new(RateLimits { checks: 1, sends: 1, all_sends: 100 });
        let now = Instant::now();
        assert!(rates.take(Act::Send, ip("2001:db8:0:1::1"), now).is_ok());
        assert!(rates.take(Act::Send, ip("2001:db8:0:ff::2"), now).is_err());
        assert!(rates.take(Act::Send, ip("2001:db8:0:100::2"), now).is_ok());
    }

    #[test]
    fn everybody_together_has_an_allowance_too() {
        let rates = Rates::new(RateLimits { checks: 1, sends: 10, all_sends: 3 });
        let now = Instant::now();
        for end in 1..=3 {
            assert!(rates.take(Act::Send, ip(&format!("192.0.2.{end}")), now).is_ok());
        }
        assert!(rates.take(Act::Send, None, now).is_err());
    }
}
