//! ds4-io
