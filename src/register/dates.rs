//! Days and times as the registers write them: `2027-12-31`, `20271231`, `2027-12-31T23:59:59`. They are Finnish time; a day
//! lasts from its first to its last second in Helsinki. 1900 and 2100 are the registers' signs for "from ever" and "without
//! end".

use crate::time::Timestamp;

/// The first second in force, or `None` for the sentinel that means "from ever".
pub(super) fn first_second(text: &str) -> Result<Option<Timestamp>, String> {
    let (year, time) = time(text, "00:00:00")?;
    Ok((year != 1900).then_some(time))
}

/// The last second in force, or `None` for the sentinel that means "without end".
pub(super) fn last_second(text: &str) -> Result<Option<Timestamp>, String> {
    let (year, time) = time(text, "23:59:59")?;
    Ok((year < 2100).then_some(time))
}

/// The year that is written, and the time; a day alone gets `time_of_day`.
fn time(text: &str, time_of_day: &str) -> Result<(u16, Timestamp), String> {
    let wrong = || format!("\"{}\" is no date: write 2027-12-31", super::shown(text));
    let parts: Option<(String, Option<&str>)> = match text.len() {
        8 => day_of_digits(text).map(|day| (day, None)),
        10 => Some((text.to_owned(), None)),
        _ => text.split_once('T').map(|(day, time)| (day.to_owned(), Some(time))),
    };
    let (day, time) = parts.ok_or_else(wrong)?;
    // Fractions of a second say nothing about a day.
    let time = time.map_or(time_of_day, |time| time.split_once('.').map_or(time, |(whole, _)| whole));
    let year = day.get(..4).and_then(|year| year.parse().ok()).ok_or_else(wrong)?;
    let time = Timestamp::in_helsinki(&format!("{day}T{time}")).map_err(|_| wrong())?;
    Ok((year, time))
}

fn day_of_digits(text: &str) -> Option<String> {
    let digits = text.bytes().all(|octet| octet.is_ascii_digit());
    digits.then(|| format!("{}-{}-{}", &text[..4], &text[4..6], &text[6..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> Option<Timestamp> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn a_day_begins_and_ends_in_helsinki() {
        for day in ["2027-01-01", "20270101"] {
            assert_eq!(first_second(day), Ok(time("2026-12-31T22:00:00Z")));
        }
        assert_eq!(last_second("2027-12-31"), Ok(time("2027-12-31T21:59:59Z")));
        // The day on which summer time begins has 23 hours.
        assert_eq!(first_second("2027-03-28"), Ok(time("2027-03-27T22:00:00Z")));
        assert_eq!(last_second("20270328"), Ok(time("2027-03-28T20:59:59Z")));
    }

    #[test]
    fn a_time_of_day_is_taken_as_it_is_written() {
        assert_eq!(last_second("2027-06-30T23:59:59"), Ok(time("2027-06-30T20:59:59Z")));
        assert_eq!(last_second("2027-06-30T12:00:00.000"), Ok(time("2027-06-30T09:00:00Z")));
        assert_eq!(first_second("2027-06-30T00:00:01"), Ok(time("2027-06-29T21:00:01Z")));
    }

    #[test]
    fn the_sentinels_are_open_ends() {
        assert_eq!(first_second("1900-01-01"), Ok(None));
        assert_eq!(first_second("1900-01-01T00:00:01"), Ok(None));
        assert_eq!(last_second("2100-12-31T23:59:59"), Ok(None));
        assert_eq!(last_second("21001231"), Ok(None));
    }

    #[test]
    fn days_that_do_not_exist_and_other_forms_are_refused() {
        for date in [
            "2027-02-30",
            "20270230",
            "2027-13-01",
            "31.12.2027",
            "2027-1-1",
            "",
            "2027-12-31T25:00:00",
            "2027-12-31 00:00:00",
            "2027-12-31T00:00:00Z",
            "\u{660}027-12-31",
            "1900-02-30",
            "ääää",
        ] {
            assert!(first_second(date).is_err() && last_second(date).is_err(), "{date}");
        }
    }
}
