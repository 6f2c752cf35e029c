//! As much DER as the checker needs: where a certificate keeps its serial number, and whether a CRL lists one.

/// The element at the start of `input`: its tag, its content and what follows it.
fn element(input: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = input.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = if first < 0x80 {
        (usize::from(first), rest)
    } else {
        let (length, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
        (length.iter().fold(0usize, |sum, octet| (sum << 8) | usize::from(*octet)), rest)
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

/// The serial number of a certificate or TBSCertificate, as unsigned octets without leading zeros.
pub(super) fn serial(der: &[u8], is_signed: bool) -> Option<Vec<u8>> {
    let (_, mut content, _) = element(der)?;
    if is_signed {
        content = element(content)?.1;
    }
    let (tag, integer, rest) = element(content)?;
    // [0] EXPLICIT version comes first.
    let integer = if tag == 0xa0 { element(rest)?.1 } else { integer };
    Some(integer.iter().copied().skip_while(|octet| *octet == 0).collect())
}

/// The serial numbers that a CRL lists.
pub(super) fn revoked_serials(crl: &[u8]) -> Option<Vec<Vec<u8>>> {
    let (_, signed, _) = element(crl)?;
    let (_, mut list, _) = element(signed)?;
    // version, signature, issuer, thisUpdate and nextUpdate precede the list; the extensions are [0].
    for _ in 0..5 {
        list = element(list)?.2;
    }
    let Some((0x30, mut entries, _)) = element(list) else { return Some(Vec::new()) };
    let mut serials = Vec::new();
    while let Some((_, entry, rest)) = element(entries) {
        let (_, integer, _) = element(entry)?;
        serials.push(integer.iter().copied().skip_while(|octet| *octet == 0).collect());
        entries = rest;
    }
    Some(serials)
}
