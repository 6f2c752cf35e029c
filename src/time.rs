//! Time as a value: UTC in whole seconds. Rules get a [`Timestamp`]; only `main`, `http/` and the worker hold a [`Clock`].

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use jiff::tz::TimeZone;

/// Seconds since 1970-01-01T00:00:00Z. Written as RFC 3339 with `Z`, on the wire, in the store and in logs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// The last time that can be shown in every time zone, 9999-12-30T22:00:00Z. Later ones, such as the 99991231235959Z of a
/// certificate without an end (RFC 5280 §4.1.2.5), become this one.
const LAST: i64 = 253_402_207_200;

impl Timestamp {
    /// The time `seconds` after 1970, held within the years 1970 to 9999.
    pub const fn from_seconds(seconds: i64) -> Self {
        Timestamp(if seconds < 0 {
            0
        } else if seconds > LAST {
            LAST
        } else {
            seconds
        })
    }

    /// Seconds since 1970.
    pub const fn seconds(self) -> i64 {
        self.0
    }

    /// This time and `seconds` more (or fewer, when negative).
    pub const fn plus(self, seconds: i64) -> Self {
        Timestamp::from_seconds(self.0.saturating_add(seconds))
    }

    /// Seconds from `earlier` to this time; negative if it lies after.
    pub const fn since(self, earlier: Timestamp) -> i64 {
        self.0 - earlier.0
    }

    /// Big-endian octets whose byte order is the order of time, for keys of the store.
    pub const fn to_be_bytes(self) -> [u8; 8] {
        self.0.to_be_bytes()
    }

    /// The same day of the month `years` later (29 February becomes 28 February).
    pub fn plus_years(self, years: i32) -> Self {
        let civil = self.zoned(TimeZone::UTC).datetime();
        let later = civil.saturating_add(jiff::Span::new().years(years));
        Self::of(later.to_zoned_datetime(TimeZone::UTC).map(|z| z.timestamp()))
    }

    /// 23:59:59 of this time's day in Helsinki, as the service ends its certificates.
    pub fn end_of_helsinki_day(self) -> Self {
        let helsinki = TimeZone::get("Europe/Helsinki").expect("the time zone data is compiled in");
        let end = self.zoned(helsinki.clone()).date().at(23, 59, 59, 0);
        Self::of(end.to_zoned_datetime(helsinki).map(|z| z.timestamp()))
    }

    /// The time that clocks in Helsinki show as `2027-12-31T23:59:59`; the first of two at the end of summer time.
    ///
    /// # Errors
    /// A text of another form, or a day or time of day that does not exist.
    pub fn in_helsinki(text: &str) -> Result<Self, TimeError> {
        let shaped = text.bytes().enumerate().all(|(i, octet)| match i {
            4 | 7 => octet == b'-',
            10 => octet == b'T',
            13 | 16 => octet == b':',
            _ => octet.is_ascii_digit(),
        });
        if text.len() != 19 || !shaped {
            return Err(TimeError);
        }
        let civil: jiff::civil::DateTime = text.parse().map_err(|_| TimeError)?;
        let helsinki = TimeZone::get("Europe/Helsinki").expect("the time zone data is compiled in");
        let zoned = civil.to_zoned_datetime(helsinki).map_err(|_| TimeError)?;
        Ok(Timestamp::from_seconds(zoned.timestamp().as_second()))
    }

    /// The date and time as `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110 §5.6.7), for HTTP headers.
    pub fn http_date(self) -> String {
        self.zoned(TimeZone::UTC).strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
    }

    /// Year, month, day, hour, minute and second in UTC, for ASN.1 times.
    pub fn civil(self) -> (i16, u8, u8, u8, u8, u8) {
        let t = self.zoned(TimeZone::UTC).datetime();
        (t.year(), t.month() as u8, t.day() as u8, t.hour() as u8, t.minute() as u8, t.second() as u8)
    }

    fn zoned(self, zone: TimeZone) -> jiff::ZonedDateTime {
        jiff::Timestamp::from_second(self.0).expect("held within 1970 to 9999").to_zoned_datetime(zone)
    }

    fn of(time: Result<jiff::Timestamp, jiff::Error>) -> Self {
        Timestamp::from_seconds(time.map_or(LAST, |t| t.as_second()))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day, hour, minute, second) = self.civil();
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why a text is not a time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an RFC 3339 time: write 2027-01-31T12:00:00Z")]
pub struct TimeError;

impl FromStr for Timestamp {
    type Err = TimeError;

    /// RFC 3339 with any offset; fractions of a second are dropped.
    fn from_str(text: &str) -> Result<Self, TimeError> {
        // jiff also reads other ISO 8601 forms; RFC 3339 has a `T`, seconds and an offset.
        let bytes = text.as_bytes();
        let shaped = bytes.len() >= 20
            && bytes[4] == b'-'
            && bytes[7] == b'-'
            && matches!(bytes[10], b'T' | b't')
            && bytes[13] == b':'
            && bytes[16] == b':'
            && text.is_ascii();
        if !shaped || text.contains('[') {
            return Err(TimeError);
        }
        let time: jiff::Timestamp = text.parse().map_err(|_| TimeError)?;
        if (0..=LAST).contains(&time.as_second()) { Ok(Timestamp(time.as_second())) } else { Err(TimeError) }
    }
}

impl serde::Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Timestamp {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Where the present time comes from.
pub trait Clock: Send + Sync + 'static {
    /// The present time.
    fn now(&self) -> Timestamp;
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_seconds(jiff::Timestamp::now().as_second())
    }
}

/// A clock that stands still until it is moved, for tests. Clones share one time.
#[derive(Debug, Clone)]
pub struct FixedClock(Arc<AtomicI64>);

impl FixedClock {
    /// A clock that stands at `time`.
    pub fn at(time: Timestamp) -> Self {
        FixedClock(Arc::new(AtomicI64::new(time.0)))
    }

    /// Moves the clock by `seconds`.
    pub fn advance(&self, seconds: i64) {
        self.0.fetch_add(seconds, Ordering::SeqCst);
    }
}

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_seconds(self.0.load(Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn offsets_and_fractions_become_utc_seconds() {
        assert_eq!(time("2026-01-01T00:04:00+04:00").to_string(), "2025-12-31T20:04:00Z");
        assert_eq!(time("2026-01-01T00:00:00.999Z").to_string(), "2026-01-01T00:00:00Z");
    }

    #[test]
    fn other_forms_are_refused() {
        for text in [
            "",
            "2026-01-01",
            "2026-01-01T00:00:00",
            "2026-13-01T00:00:00Z",
            "2026-01-01 00:00:00Z",
            "20260101T000000Z",
            "2026-01-01T00:00:00Z[UTC]",
            "1969-01-01T00:00:00Z",
        ] {
            assert!(text.parse::<Timestamp>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_helsinki_day_ends_an_hour_earlier_in_summer() {
        assert_eq!(time("2028-03-26T10:00:00Z").end_of_helsinki_day().to_string(), "2028-03-26T20:59:59Z");
        assert_eq!(time("2028-01-26T10:00:00Z").end_of_helsinki_day().to_string(), "2028-01-26T21:59:59Z");
    }

    #[test]
    fn two_years_after_a_leap_day_is_the_28th() {
        assert_eq!(time("2028-02-29T10:00:00Z").plus_years(2).to_string(), "2030-02-28T10:00:00Z");
    }

    #[test]
    fn the_last_time_can_be_shown_like_any_other() {
        let last = Timestamp::from_seconds(i64::MAX);
        assert_eq!(last.to_string(), "9999-12-30T22:00:00Z");
        assert_eq!(last.plus_years(1).plus(1), last);
        assert!(last.end_of_helsinki_day() <= last);
    }

    #[test]
    fn http_dates_are_in_gmt() {
        assert_eq!(time("1994-11-06T08:49:37Z").http_date(), "Sun, 06 Nov 1994 08:49:37 GMT");
    }
}
