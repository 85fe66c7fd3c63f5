//! What a request says it already has, and which part it wants: the conditions of RFC 9110, as pure functions.

use std::ops::RangeInclusive;
use std::time::SystemTime;

use axum::http::HeaderName;
use axum::http::header::{self, HeaderMap};

/// What conditions come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The answer is due.
    Send,
    /// The browser has it: 304.
    NotModified,
    /// What the client counts on is no longer there: 412.
    Failed,
}

/// Judges the conditions of a `GET` or `HEAD` on a file with that tag and date (to the second), in the order of RFC 9110,
/// section 13.2.2.
pub(super) fn judge(headers: &HeaderMap, tag: &str, modified: Option<SystemTime>) -> Verdict {
    if headers.contains_key(header::IF_MATCH) {
        if !lists(headers, header::IF_MATCH, |one| one == "*" || one == tag) {
            return Verdict::Failed;
        }
    } else if let (Some(since), Some(modified)) = (date(headers, &header::IF_UNMODIFIED_SINCE), modified)
        && modified > since
    {
        return Verdict::Failed;
    }
    if headers.contains_key(header::IF_NONE_MATCH) {
        // A weak comparison: a cache in between may have marked the tag.
        let known =
            lists(headers, header::IF_NONE_MATCH, |one| one == "*" || one.strip_prefix("W/").unwrap_or(one) == tag);
        return if known { Verdict::NotModified } else { Verdict::Send };
    }
    match (date(headers, &header::IF_MODIFIED_SINCE), modified) {
        (Some(since), Some(modified)) if modified <= since => Verdict::NotModified,
        _ => Verdict::Send,
    }
}

/// Which bytes are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    /// All of them.
    Whole,
    /// These.
    Range(RangeInclusive<u64>),
    /// Some that are not there: 416.
    Beyond,
}

/// The part of `size` bytes that is asked for. Several parts at once are answered by the whole, as anyone may.
pub(super) fn part(headers: &HeaderMap, size: u64, tag: &str, modified: Option<SystemTime>) -> Part {
    let Some(wanted) = headers.get(header::RANGE).and_then(|value| value.to_str().ok()) else { return Part::Whole };
    if let Some(only_if) = headers.get(header::IF_RANGE).map(|value| value.to_str().unwrap_or("")) {
        let same = only_if == tag || (modified.is_some() && httpdate::parse_http_date(only_if).ok() == modified);
        if !same {
            return Part::Whole;
        }
    }
    let Ok(ranges) = http_range_header::parse_range_header(wanted) else { return Part::Whole };
    match ranges.validate(size) {
        Ok(ranges) => match <[_; 1]>::try_from(ranges) {
            Ok([range]) => Part::Range(range),
            Err(_) => Part::Whole,
        },
        Err(_) => Part::Beyond,
    }
}

fn lists(headers: &HeaderMap, name: HeaderName, is_it: impl Fn(&str) -> bool) -> bool {
    let lists = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    lists.flat_map(|list| list.split(',')).any(|one| is_it(one.trim()))
}

fn date(headers: &HeaderMap, name: &HeaderName) -> Option<SystemTime> {
    httpdate::parse_http_date(headers.get(name)?.to_str().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use axum::http::HeaderValue;

    use super::*;

    const TAG: &str = "\"abc\"";
    const DAY: &str = "Thu, 01 Jan 2026 00:00:00 GMT";

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    fn day() -> SystemTime {
        httpdate::parse_http_date(DAY).unwrap()
    }

    #[test]
    fn conditions_are_judged_in_their_order() {
        let cases: &[(&[(&str, &str)], Verdict)] = &[
            (&[], Verdict::Send),
            (&[("if-none-match", TAG)], Verdict::NotModified),
            (&[("if-none-match", "\"x\", W/\"abc\"")], Verdict::NotModified),
            (&[("if-none-match", "*")], Verdict::NotModified),
            (&[("if-none-match", "\"x\"")], Verdict::Send),
            // The tag decides where there is one, whatever the date says.
            (&[("if-none-match", "\"x\""), ("if-modified-since", DAY)], Verdict::Send),
            (&[("if-modified-since", DAY)], Verdict::NotModified),
            (&[("if-modified-since", "Wed, 31 Dec 2025 23:59:59 GMT")], Verdict::Send),
            (&[("if-modified-since", "hier")], Verdict::Send),
            (&[("if-match", TAG)], Verdict::Send),
            (&[("if-match", "W/\"abc\"")], Verdict::Failed),
            (&[("if-match", "\"x\"")], Verdict::Failed),
            (&[("if-match", TAG), ("if-none-match", TAG)], Verdict::NotModified),
            (&[("if-unmodified-since", "Wed, 31 Dec 2025 23:59:59 GMT")], Verdict::Failed),
            (&[("if-unmodified-since", DAY)], Verdict::Send),
        ];
        for (pairs, verdict) in cases {
            let pairs: Vec<_> = pairs.iter().map(|(a, b)| (*a, *b)).collect();
            assert_eq!(judge(&headers(&pairs), TAG, Some(day())), *verdict, "{pairs:?}");
        }
    }

    #[test]
    fn a_part_is_given_when_it_is_there_and_of_the_same_file() {
        let part = |pairs: &[(&'static str, &'static str)]| part(&headers(pairs), 100, TAG, Some(day()));
        assert_eq!(part(&[]), Part::Whole);
        assert_eq!(part(&[("range", "bytes=0-9")]), Part::Range(0..=9));
        assert_eq!(part(&[("range", "bytes=90-")]), Part::Range(90..=99));
        assert_eq!(part(&[("range", "bytes=-10")]), Part::Range(90..=99));
        assert_eq!(part(&[("range", "bytes=0-1000")]), Part::Range(0..=99));
        assert_eq!(part(&[("range", "bytes=100-")]), Part::Beyond);
        assert_eq!(part(&[("range", "bytes=0-1,5-6")]), Part::Whole);
        assert_eq!(part(&[("range", "octets=0-1")]), Part::Whole);
        assert_eq!(part(&[("range", "bytes=0-9"), ("if-range", TAG)]), Part::Range(0..=9));
        assert_eq!(part(&[("range", "bytes=0-9"), ("if-range", "\"x\"")]), Part::Whole);
        assert_eq!(part(&[("range", "bytes=0-9"), ("if-range", DAY)]), Part::Range(0..=9));
        let later = super::part(
            &headers(&[("range", "bytes=0-9"), ("if-range", DAY)]),
            100,
            TAG,
            Some(day() + Duration::from_secs(1)),
        );
        assert_eq!(later, Part::Whole);
    }
}
