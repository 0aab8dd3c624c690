//! ds4-format
