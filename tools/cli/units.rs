//! Numbers with units on the command line.

/// A number of tokens: `32768`, `32k` (times 1,024) or `1M` (times 1,048,576).
pub fn tokens(text: &str) -> Result<usize, String> {
    let max = ds4_model::limits::CONTEXT_MAX;
    scaled(text, &[('k', 1 << 10), ('m', 1 << 20)])
        .and_then(|count| usize::try_from(count).ok())
        .filter(|count| (1..=max).contains(count))
        .ok_or_else(|| format!("not a number of tokens from 1 to {max}, such as 32768, 32k or 1M"))
}

/// A number of bytes: `500M`, `24G` (powers of 1,024).
pub fn bytes(text: &str) -> Result<u64, String> {
    let text = text.trim_end_matches(['b', 'B', 'i']);
    scaled(text, &[('k', 1 << 10), ('m', 1 << 20), ('g', 1 << 30), ('t', 1 << 40)])
        .filter(|bytes| *bytes > 0)
        .ok_or_else(|| "not a number of bytes, such as 500M or 24G".to_owned())
}

fn scaled(text: &str, units: &[(char, u64)]) -> Option<u64> {
    let unit = text.chars().last().map(|last| last.to_ascii_lowercase());
    let unit = units.iter().find(|(letter, _)| Some(*letter) == unit);
    let (digits, scale) = unit.map_or((text, 1), |(_, scale)| (&text[..text.len() - 1], *scale));
    let plain = !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
    if plain { digits.parse::<u64>().ok()?.checked_mul(scale) } else { None }
}

#[cfg(test)]
mod tests {
    use super::{bytes, tokens};

    #[test]
    fn token_counts_have_units() {
        assert_eq!(tokens("1000"), Ok(1000));
        assert_eq!(tokens("32k"), Ok(32_768));
        assert_eq!(tokens("1M"), Ok(1 << 20));
        for bad in ["", "k", "0", "2M", "-1", "+1", "32q", "99999999999999999999k", "ä", "1 k"] {
            assert!(tokens(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn byte_counts_have_units() {
        assert_eq!(bytes("24G"), Ok(24 << 30));
        assert_eq!(bytes("24GiB"), Ok(24 << 30));
        assert_eq!(bytes("1000"), Ok(1000));
        for bad in ["", "G", "0", "-1G", "1.5G", "99999999T"] {
            assert!(bytes(bad).is_err(), "{bad}");
        }
    }
}
