//! Numbers of bytes for people.

use std::fmt;

/// Shows a number of bytes in the largest binary unit that it fills, with three digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bytes(pub u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [("GiB", 1_u64 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
        let Some((unit, size)) = units.into_iter().find(|(_, size)| self.0 >= *size) else {
            return write!(f, "{} bytes", self.0);
        };
        let value = self.0 as f64 / size as f64;
        let digits = if value < 9.995 { 2 } else { usize::from(value < 99.95) };
        write!(f, "{value:.digits$} {unit}")
    }
}

#[cfg(test)]
mod tests {
    use super::Bytes;

    #[test]
    fn units() {
        let shown = [0, 1023, 1024, 5_354_816, 1 << 30, 86_714_775_900, 899_827_144_076]
            .map(|bytes| Bytes(bytes).to_string());
        let expected =
            ["0 bytes", "1023 bytes", "1.00 KiB", "5.11 MiB", "1.00 GiB", "80.8 GiB", "838 GiB"];
        assert_eq!(shown, expected);
    }
}
