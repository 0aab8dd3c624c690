//! Shape, weights, ops, plan, KV layout, cost and the `Backend` trait: pure data and pure functions.

pub mod shape;

pub mod inventory;
