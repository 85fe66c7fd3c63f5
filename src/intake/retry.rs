//! When a mail is tried again, and when one gives up. Pure: the same row at the same attempt always gets the same delay.

use jiff::{SignedDuration, Timestamp};

use crate::model::mail::MailRole;

/// How long a mail is tried before a person must act.
///
/// Source: thirty days for the mairie, for nothing else holds the request; five days for the resident, as mail servers do
/// (RFC 5321, § 4.5.4.1), for the confirmation page already is the receipt.
pub fn lifetime(role: MailRole) -> SignedDuration {
    match role {
        MailRole::Mairie => SignedDuration::from_hours(30 * 24),
        MailRole::Usager => SignedDuration::from_hours(5 * 24),
    }
}

/// Time between attempt `attempts` (from 1) and the next one, within a fifth of 30 s, 2 min, 5 min, 15 min, 30 min, then an
/// hour, and four hours from the second day on.
///
/// `seed` spreads the mails that failed together; it is the number of the outbox row.
pub fn delay(attempts: u32, seed: i64) -> SignedDuration {
    let seconds = match attempts {
        0 | 1 => 30,
        2 => 2 * 60,
        3 => 5 * 60,
        4 => 15 * 60,
        5 => 30 * 60,
        // Fifty hourly attempts are the first two days.
        6..=55 => 60 * 60,
        _ => 4 * 60 * 60,
    };
    SignedDuration::from_millis(jittered(seconds * 1000, attempts, seed))
}

/// The next attempt, or `None` when the mail has been tried for its whole [`lifetime`]; the last attempt falls on its end.
pub fn next(role: MailRole, since: Timestamp, attempts: u32, seed: i64, now: Timestamp) -> Option<Timestamp> {
    let end = since.checked_add(lifetime(role)).unwrap_or(Timestamp::MAX);
    let next = now.checked_add(delay(attempts, seed)).unwrap_or(Timestamp::MAX);
    (now < end).then(|| next.min(end))
}

/// How long the way out stays closed after `failures` (from 1) in a row.
///
/// A server that is away is asked again soon; one that refuses our name or password waits for a person, and hammering it
/// would only have the account locked.
pub fn route_pause(failures: u32, is_refusal: bool) -> SignedDuration {
    let minutes: [i64; 5] = if is_refusal { [10, 20, 30, 60, 60] } else { [1, 2, 5, 10, 15] };
    SignedDuration::from_mins(minutes[(failures.max(1) - 1).min(4) as usize])
}

fn jittered(ms: i64, attempts: u32, seed: i64) -> i64 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&seed.to_be_bytes()).update(&attempts.to_be_bytes());
    let mut bytes = [0; 4];
    bytes.copy_from_slice(&hasher.finalize().as_bytes()[..4]);
    let span = ms * 2 / 5;
    ms - ms / 5 + span * i64::from(u32::from_be_bytes(bytes)) / i64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_request_is_tried_for_thirty_days_and_a_receipt_for_five() {
        for (role, days) in [(MailRole::Mairie, 30), (MailRole::Usager, 5)] {
            let (since, mut now, mut attempts) = (Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH, 1);
            while let Some(at) = next(role, since, attempts, 7, now) {
                assert!(at > now, "time goes on");
                (now, attempts) = (at, attempts + 1);
            }
            assert_eq!(now, since + SignedDuration::from_hours(days * 24));
            assert!((60..400).contains(&attempts), "{attempts} attempts");
        }
    }

    #[test]
    fn a_closed_way_out_is_probed_at_least_each_hour() {
        for failures in 0..2000 {
            assert!(route_pause(failures, false) <= SignedDuration::from_mins(15));
            assert!(route_pause(failures, true) <= SignedDuration::from_hours(1));
        }
    }

    proptest! {
        #[test]
        fn the_delay_stays_within_a_fifth_and_never_changes(attempts in 0u32..100_000, seed: i64) {
            let delay = delay(attempts, seed);
            prop_assert!(delay >= SignedDuration::from_secs(24));
            prop_assert!(delay <= SignedDuration::from_mins(288));
            prop_assert_eq!(delay, super::delay(attempts, seed));
        }

        #[test]
        fn later_attempts_wait_longer(seed: i64) {
            for attempts in 1..5 {
                prop_assert!(delay(attempts, seed) < delay(attempts + 1, seed));
            }
        }
    }
}
