//! Shape, weights, ops, plan, KV layout, cost and the `Backend` trait: pure data and pure
//! functions.

pub mod backend;
pub mod buffer;
pub mod builder;
pub mod cost;
pub mod forward;
pub mod inventory;
pub mod kv;
pub mod limits;
pub mod op;
pub mod placement;
pub mod plan;
pub mod random;
pub mod rope;
pub mod shape;
pub mod step;
