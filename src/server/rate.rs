//! Slows floods down: token buckets by address prefix, by e-mail, by form and for the whole guichet, in memory only.
//!
//! A school, a mairie or a mobile operator shares one IPv4 address, so the allowances are generous. Addresses never leave this
//! module, are in no log, and are forgotten when their bucket is full again; e-mails and texts are kept as keyed hashes, of
//! which the key dies with the process.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::SignedDuration;

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
    /// Submissions to one form at once; as many come back every hour.
    pub form_sends: u32,
    /// Submissions with one e-mail at once; as many come back every hour.
    pub email_sends: u32,
    /// Receipts mailed to one address in twenty-four hours. Beyond, the receipt stays on its page.
    pub receipts: u32,
    /// Requests under way at the same time; `None`: as many as there are connections.
    pub under_way: Option<usize>,
    /// How long what looks written by a machine waits before it leaves by itself.
    pub quarantine: SignedDuration,
}

impl Default for RateLimits {
    /// Five receipts: an association asks for the hall, tables, a drinks licence and a closed street the same evening. Two
    /// days leave time to look, and the mairie has ten working days to send its own receipt (CRPA, art. R112-11-2).
    fn default() -> Self {
        RateLimits {
            checks: 60,
            sends: 10,
            all_sends: 300,
            form_sends: 150,
            email_sends: 10,
            receipts: 5,
            under_way: None,
            quarantine: SignedDuration::from_hours(48),
        }
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

/// Whose bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Address(Act, u128),
    Everybody,
    Form(u128),
    Email(u128),
}

/// The buckets of one guichet.
#[derive(Debug)]
pub(super) struct Rates {
    limits: RateLimits,
    /// Random, for this process alone.
    secret: [u8; 32],
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    buckets: BTreeMap<Key, Bucket>,
    /// Nonces of the last requests counted.
    counted: VecDeque<[u8; 16]>,
    /// When receipts left, by hash of the address.
    receipts: BTreeMap<u128, Vec<Instant>>,
    /// Hashes of what the last requests said.
    said: VecDeque<u128>,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    tokens: f64,
    at: Instant,
}

impl Rates {
    /// Buckets, all full. Without randomness the hashes have a fixed key: they still leave neither memory nor process.
    pub(super) fn new(limits: RateLimits) -> Self {
        let mut secret = [0; 32];
        if getrandom::fill(&mut secret).is_err() {
            tracing::warn!(event = "entropy", "the system gave no randomness for the rate limits");
        }
        Rates { limits, secret, state: Mutex::default() }
    }

    /// Whether this may go on; otherwise how long to wait. An unknown address is only counted with everybody.
    pub(super) fn take(&self, act: Act, address: Option<IpAddr>, now: Instant) -> Result<(), Duration> {
        let mut state = self.state();
        let own = match act {
            Act::Check => (self.limits.checks, TEN_MINUTES),
            Act::Send => (self.limits.sends, TEN_MINUTES),
        };
        if let Some(address) = address {
            take(&mut state.buckets, Key::Address(act, prefix(address)), own, now)?;
        }
        if act == Act::Send {
            take(&mut state.buckets, Key::Everybody, (self.limits.all_sends, HOUR), now)?;
        }
        Ok(())
    }

    /// Whether one more request may go to this form with this e-mail; otherwise how long to wait. Presses on one button carry
    /// one nonce and count once.
    pub(super) fn take_form(
        &self,
        form: &str,
        email: Option<&str>,
        nonce: &[u8; 16],
        now: Instant,
    ) -> Result<(), Duration> {
        let mut state = self.state();
        if state.counted.contains(nonce) {
            return Ok(());
        }
        if let Some(email) = email {
            take(&mut state.buckets, Key::Email(self.hash(email)), (self.limits.email_sends, HOUR), now)?;
        }
        take(&mut state.buckets, Key::Form(self.hash(form)), (self.limits.form_sends, HOUR), now)?;
        if state.counted.len() >= LAST_COUNTED {
            state.counted.pop_front();
        }
        state.counted.push_back(*nonce);
        Ok(())
    }

    /// Whether one more receipt may be mailed to this address: strangers type addresses that are not theirs.
    pub(super) fn take_receipt(&self, email: &str, now: Instant) -> bool {
        let hash = self.hash(email);
        let is_of_today = |at: &Instant| now.saturating_duration_since(*at) < DAY;
        let mut state = self.state();
        if state.receipts.len() > MOST {
            state.receipts.retain(|_, sent| sent.last().is_some_and(is_of_today));
        }
        let sent = state.receipts.entry(hash).or_default();
        sent.retain(is_of_today);
        let may = sent.len() < self.limits.receipts as usize;
        if may {
            sent.push(now);
        }
        may
    }

    /// The receipt just counted did not leave.
    pub(super) fn give_receipt_back(&self, email: &str) {
        if let Some(sent) = self.state().receipts.get_mut(&self.hash(email)) {
            sent.pop();
        }
    }

    /// How many of the last requests said the same.
    pub(super) fn said(&self, gist: &str) -> u32 {
        let hash = self.hash(gist);
        u32::try_from(self.state().said.iter().filter(|one| **one == hash).count()).unwrap_or(u32::MAX)
    }

    /// Remembers what a request said.
    pub(super) fn say(&self, gist: &str) {
        let hash = self.hash(gist);
        let said = &mut self.state().said;
        if said.len() >= LAST_SAID {
            said.pop_front();
        }
        said.push_back(hash);
    }

    /// How long what looks written by a machine waits.
    pub(super) fn quarantine(&self) -> SignedDuration {
        self.limits.quarantine
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hash(&self, text: &str) -> u128 {
        let mut half = [0; 16];
        half.copy_from_slice(&blake3::keyed_hash(&self.secret, text.to_lowercase().as_bytes()).as_bytes()[..16]);
        u128::from_be_bytes(half)
    }
}

fn take(
    buckets: &mut BTreeMap<Key, Bucket>,
    key: Key,
    (most, period): (u32, Duration),
    now: Instant,
) -> Result<(), Duration> {
    if buckets.len() > MOST {
        // A bucket is full again within its period: what is older knows nothing any more.
        buckets.retain(|key, bucket| now.saturating_duration_since(bucket.at) < period_of(*key));
    }
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

fn period_of(key: Key) -> Duration {
    match key {
        Key::Address(..) => TEN_MINUTES,
        Key::Everybody | Key::Form(_) | Key::Email(_) => HOUR,
    }
}

const TEN_MINUTES: Duration = Duration::from_secs(600);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);
/// Requests whose words are compared with the next ones.
const LAST_SAID: usize = 20;
/// Requests of which more presses on the button may still come.
const LAST_COUNTED: usize = 64;
/// Buckets remembered before the old ones are forgotten.
const MOST: usize = 20_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn an_address_that_asked_too_much_waits_and_others_do_not() {
        let rates = Rates::new(RateLimits { checks: 3, sends: 2, all_sends: 100, ..RateLimits::default() });
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
        let rates = Rates::new(RateLimits { checks: 1, sends: 1, all_sends: 100, ..RateLimits::default() });
        let now = Instant::now();
        assert!(rates.take(Act::Send, ip("2001:db8:0:1::1"), now).is_ok());
        assert!(rates.take(Act::Send, ip("2001:db8:0:ff::2"), now).is_err());
        assert!(rates.take(Act::Send, ip("2001:db8:0:100::2"), now).is_ok());
    }

    #[test]
    fn everybody_together_has_an_allowance_too() {
        let rates = Rates::new(RateLimits { checks: 1, sends: 10, all_sends: 3, ..RateLimits::default() });
        let now = Instant::now();
        for end in 1..=3 {
            assert!(rates.take(Act::Send, ip(&format!("192.0.2.{end}")), now).is_ok());
        }
        assert!(rates.take(Act::Send, None, now).is_err());
    }
    #[test]
    fn an_email_and_a_form_have_their_own_allowance() {
        let rates = Rates::new(RateLimits { form_sends: 3, email_sends: 2, ..RateLimits::default() });
        let now = Instant::now();
        let take = |form: &str, email, press: u8| rates.take_form(form, email, &[press; 16], now);
        assert!(take("contact", Some("zoe@exemple.fr"), 1).is_ok());
        assert!(take("contact", Some("ZOE@exemple.fr"), 2).is_ok());
        assert_eq!(take("contact", Some("zoe@exemple.fr"), 3).unwrap_err().as_secs(), 1800);
        assert!((0..50).all(|_| take("contact", Some("zoe@exemple.fr"), 2).is_ok()), "the same press again");
        assert!(take("contact", None, 4).is_ok());
        assert!(take("contact", Some("leo@exemple.fr"), 5).is_err(), "the form had three");
        assert!(take("saisine", Some("leo@exemple.fr"), 6).is_ok());
    }

    #[test]
    fn an_address_gets_a_few_receipts_a_day() {
        let rates = Rates::new(RateLimits { receipts: 3, ..RateLimits::default() });
        let start = Instant::now();
        let mailed = (0..10_000).filter(|_| rates.take_receipt("victime@exemple.fr", start)).count();
        assert_eq!(mailed, 3);
        assert!(rates.take_receipt("autre@exemple.fr", start));
        assert!(rates.take_receipt("victime@exemple.fr", start + DAY));
    }

    #[test]
    fn a_receipt_that_did_not_leave_is_not_counted() {
        let rates = Rates::new(RateLimits { receipts: 1, ..RateLimits::default() });
        let now = Instant::now();
        assert!(rates.take_receipt("zoe@exemple.fr", now));
        rates.give_receipt_back("ZOE@exemple.fr");
        assert!(rates.take_receipt("zoe@exemple.fr", now) && !rates.take_receipt("zoe@exemple.fr", now));
    }

    #[test]
    fn what_the_last_twenty_said_is_remembered_and_no_more() {
        let rates = Rates::new(RateLimits::default());
        assert_eq!(rates.said("achetez"), 0);
        rates.say("achetez");
        rates.say("Achetez");
        assert_eq!(rates.said("achetez"), 2);
        (0..20).for_each(|number| rates.say(&number.to_string()));
        assert_eq!(rates.said("achetez"), 0);
    }

    #[test]
    fn two_hundred_addresses_of_one_subscriber_are_one() {
        let rates = Rates::new(RateLimits { sends: 10, ..RateLimits::default() });
        let now = Instant::now();
        let taken =
            (0..200).filter(|end| rates.take(Act::Send, ip(&format!("2001:db8::{end:x}")), now).is_ok()).count();
        assert_eq!(taken, 10);
    }
}
