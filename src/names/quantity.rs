//! Durations and sizes as configurations write them: `8h`, `128KiB`.

/// Serde adapter for durations written as `500ms`, `10s`, `5m`, `8h` or `30d`: `#[serde(with = "quantity::duration")]`.
pub mod duration {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    const UNITS: [(&str, u64); 5] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];
    /// A hundred years.
    const LONGEST: u64 = 36_525 * 86_400_000;

    /// The duration that `text` stands for: a whole number and its unit, at most 100 years.
    ///
    /// # Errors
    /// A sentence that shows the right form.
    pub fn parse(text: &str) -> Result<Duration, String> {
        super::parse(text, &UNITS, LONGEST).map(Duration::from_millis).ok_or_else(|| {
            format!("\"{text}\" is not a duration: write a whole number and a unit, such as 500ms, 10s, 5m, 8h or 30d")
        })
    }

    /// The duration in its largest whole unit.
    pub fn text(duration: Duration) -> String {
        super::text(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX), &UNITS).unwrap_or_else(|| "0s".to_owned())
    }

    /// Writes the largest whole unit.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&text(*duration))
    }

    /// Reads a whole number and its unit.
    ///
    /// # Errors
    /// Everything that is no duration.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        parse(&text).map_err(D::Error::custom)
    }
}

/// Serde adapter for numbers of octets written as `512B`, `128KiB`, `8MiB` or `1GiB`: `#[serde(with = "quantity::size")]`.
pub mod size {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    const UNITS: [(&str, u64); 4] = [("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];
    const LARGEST: u64 = 1 << 40;

    /// The number of octets that `text` stands for: a whole number and its unit, at most 1024 GiB.
    ///
    /// # Errors
    /// A sentence that shows the right form.
    pub fn parse(text: &str) -> Result<usize, String> {
        super::parse(text, &UNITS, LARGEST).and_then(|octets| usize::try_from(octets).ok()).ok_or_else(|| {
            format!("\"{text}\" is not a size: write a whole number and a unit, such as 512B, 128KiB, 8MiB or 1GiB")
        })
    }

    /// The size in its largest whole unit.
    pub fn text(octets: usize) -> String {
        super::text(octets as u64, &UNITS).unwrap_or_else(|| "0B".to_owned())
    }

    /// Writes the largest whole unit.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(octets: &usize, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&text(*octets))
    }

    /// Reads a whole number and its unit.
    ///
    /// # Errors
    /// Everything that is no size.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        parse(&text).map_err(D::Error::custom)
    }
}

fn parse(text: &str, units: &[(&str, u64)], largest: u64) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(*factor).filter(|total| *total <= largest)
}

/// `None` for nothing at all, whose unit the caller knows.
fn text(total: u64, units: &[(&str, u64)]) -> Option<String> {
    let (name, factor) = units.iter().rev().find(|(_, factor)| total != 0 && total.is_multiple_of(*factor))?;
    Some(format!("{}{name}", total / factor))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn quantities_read_back_as_they_were_written() {
        for text in ["500ms", "10s", "90s", "5m", "8h", "30d", "0s"] {
            assert_eq!(duration::text(duration::parse(text).unwrap()), text);
        }
        for text in ["0B", "512B", "128KiB", "8MiB", "1GiB"] {
            assert_eq!(size::text(size::parse(text).unwrap()), text);
        }
        assert_eq!(duration::parse("3600s"), Ok(Duration::from_secs(3600)));
        assert_eq!(size::parse("128KiB"), Ok(131_072));
    }

    #[test]
    fn other_forms_are_refused() {
        for wrong in ["", "10", "s", "1.5s", "-1s", "10 s", "10S", "1w", "99999999999999999999s", "40000d"] {
            assert!(duration::parse(wrong).is_err(), "{wrong}");
        }
        for wrong in ["", "10", "KiB", "1KB", "1 KiB", "-1B", "1025GiB", "128k"] {
            assert!(size::parse(wrong).is_err(), "{wrong}");
        }
    }
}
