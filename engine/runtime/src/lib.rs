//! ds4-runtime
