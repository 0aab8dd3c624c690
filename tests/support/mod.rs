//! One helper for each boundary that tests cross.

pub mod case;
pub mod check_case;
