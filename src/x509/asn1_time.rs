//! Times as certificates, lists and OCSP answers write them.

use der::DateTime;
use der::asn1::GeneralizedTime;
use x509_cert::time::Time;

use crate::time::Timestamp;

// RFC 5280 §4.1.2.5: UTCTime up to 2049, GeneralizedTime from 2050.
pub(crate) fn x509_time(time: Timestamp) -> Time {
    Time::from(date_time(time))
}

// RFC 6960 §4.2.2.1: OCSP has GeneralizedTime always, without a fraction.
pub(crate) fn generalized(time: Timestamp) -> GeneralizedTime {
    GeneralizedTime::from_date_time(date_time(time))
}

fn date_time(time: Timestamp) -> DateTime {
    let (year, month, day, hour, minute, second) = time.civil();
    DateTime::new(year.unsigned_abs(), month, day, hour, minute, second)
        .expect("a timestamp lies within the years 1970 to 9999")
}

pub(crate) fn from_x509(time: Time) -> Timestamp {
    from_seconds(time.to_unix_duration().as_secs())
}

pub(crate) fn from_generalized(time: GeneralizedTime) -> Timestamp {
    from_seconds(time.to_unix_duration().as_secs())
}

fn from_seconds(seconds: u64) -> Timestamp {
    Timestamp::from_seconds(i64::try_from(seconds).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_changes_with_the_year_2050_and_the_time_reads_back() {
        let last: Timestamp = "2049-12-31T23:59:59Z".parse().unwrap();
        assert!(matches!(x509_time(last), Time::UtcTime(_)));
        assert!(matches!(x509_time(last.plus(1)), Time::GeneralTime(_)));
        for time in [last, last.plus(1), Timestamp::from_seconds(0), Timestamp::from_seconds(i64::MAX)] {
            assert_eq!(from_x509(x509_time(time)), time);
            assert_eq!(from_generalized(generalized(time)), time);
        }
    }
}
