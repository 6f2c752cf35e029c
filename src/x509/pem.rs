//! PEM as RFC 7468 wants it: a label, lines of 64 characters, nothing before, between or after.

use base64ct::{Base64, Encoding};

/// More text than any chain of certificates has, in octets.
const LONGEST_TEXT: usize = 256 * 1024;

/// Why a text is not the PEM that was expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PemError {
    /// More than 256 KiB.
    #[error("the PEM text has more than 256 KiB")]
    TooLong,
    /// No `-----BEGIN` line where one is expected.
    #[error("line {line}: expected \"-----BEGIN {label}-----\"")]
    NoBegin {
        /// The line, from 1.
        line: usize,
        /// The expected label.
        label: String,
    },
    /// No matching `-----END` line.
    #[error("the \"-----END {0}-----\" line is missing")]
    NoEnd(String),
    /// The text between the lines is not base64.
    #[error("the text between the BEGIN and END lines is not base64 in lines of 64 characters")]
    NotBase64,
}

/// One object as PEM, with a final line feed.
// RFC 7468 §3: lines of 64 characters. §2: no text before it.
pub fn encoded(label: &str, der: &[u8]) -> String {
    let base64 = Base64::encode_string(der);
    let mut text = format!("-----BEGIN {label}-----\n");
    let mut rest = base64.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(64));
        text.push_str(line);
        text.push('\n');
        rest = after;
    }
    text.push_str(&format!("-----END {label}-----\n"));
    text
}

/// The objects of a text that holds nothing but objects with this label. Blank lines between them are passed over, since
/// people paste files together; lines may end in CR LF.
pub fn decoded(label: &str, text: &str) -> Result<Vec<Vec<u8>>, PemError> {
    if text.len() > LONGEST_TEXT {
        return Err(PemError::TooLong);
    }
    let (begin, end) = (format!("-----BEGIN {label}-----"), format!("-----END {label}-----"));
    let mut objects = Vec::new();
    let mut lines = text.lines().map(|line| line.trim_end_matches('\r')).enumerate();
    while let Some((index, line)) = lines.next() {
        if line.trim().is_empty() {
            continue;
        }
        if line != begin {
            return Err(PemError::NoBegin { line: index + 1, label: label.to_owned() });
        }
        let mut base64 = String::new();
        loop {
            let (_, line) = lines.next().ok_or_else(|| PemError::NoEnd(label.to_owned()))?;
            if line == end {
                break;
            }
            if line.is_empty() || line.len() > 76 {
                return Err(PemError::NotBase64);
            }
            base64.push_str(line);
        }
        objects.push(Base64::decode_vec(&base64).map_err(|_| PemError::NotBase64)?);
    }
    Ok(objects)
}

/// Certificates as a PEM chain: each follows the one before it at once.
// RFC 8555 §9.1 with erratum 5983: no blank lines, no text.
pub fn chain<'a>(certificates: impl IntoIterator<Item = &'a [u8]>) -> String {
    certificates.into_iter().map(|der| encoded("CERTIFICATE", der)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_chain_has_no_blank_lines_and_lines_of_64_characters() {
        let text = chain([&[7u8; 100][..], &[8; 48], &[]]);
        assert!(text.lines().all(|line| !line.is_empty() && line.len() <= 64));
        assert!(text.contains("-----END CERTIFICATE-----\n-----BEGIN CERTIFICATE-----\n"));
        assert_eq!(decoded("CERTIFICATE", &text).unwrap(), [vec![7; 100], vec![8; 48], vec![]]);
    }

    #[test]
    fn other_text_other_labels_and_cut_objects_are_refused() {
        let text = encoded("X", &[1, 2, 3]);
        assert!(decoded("Y", &text).is_err());
        assert!(decoded("X", &format!("hello\n{text}")).is_err());
        assert!(decoded("X", text.trim_end().strip_suffix("-----END X-----").unwrap()).is_err());
        assert!(decoded("X", &text.replace("AQID", "AQI*")).is_err());
        assert_eq!(decoded("X", &text.replace('\n', "\r\n")).unwrap(), [vec![1, 2, 3]]);
        assert!(decoded("X", &" ".repeat(LONGEST_TEXT + 1)).is_err());
    }

    proptest! {
        #[test]
        fn arbitrary_text_never_panics(text in ".{0,300}") {
            let _ = decoded("CERTIFICATE", &text);
        }
    }
}
