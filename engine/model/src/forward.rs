//! The forward pass, written once: functions that record the steps of the model into a plan
//! (spec/model.md 3).

mod attention;
mod compressor;
mod experts;
mod head;
mod hyper;

use std::sync::Arc;

use crate::buffer::BufferId;
use crate::builder::{Builder, PlanError};
use crate::inventory::Role;
use crate::op::Op;
use crate::plan::{LogitRows, Plan, PlanClass};
use crate::shape::Shape;
use hyper::Sublayer;

/// Records the plan of a class: embedding, layers, and the head where logits are wanted.
pub fn record(shape: &Arc<Shape>, class: PlanClass) -> Result<Plan, PlanError> {
    let mut b = Builder::new(shape, class);
    let mut streams = embed(&mut b);
    for index in 0..shape.layers {
        b.layer(index);
        streams = layer(&mut b, index, streams);
    }
    if class.logits != LogitRows::None {
        b.head();
        head::logits(&mut b, streams);
    }
    b.finish()
}

fn embed(b: &mut Builder) -> BufferId {
    let shape = b.shape();
    let streams = b.values("embed", &[shape.streams, shape.hidden]);
    b.push("embed", Op::Embed { table: b.weight(Role::TokenEmbedding), streams });
    streams
}

/// One layer: both sublayers read a mix of the streams and write back into all of them.
fn layer(b: &mut Builder, index: usize, streams: BufferId) -> BufferId {
    let (x, mix) = hyper::before(b, &Sublayer::ATTENTION, streams);
    let y = attention::block(b, index, x);
    let streams = hyper::after(b, &Sublayer::ATTENTION, streams, y, &mix);

    let (x, mix) = hyper::before(b, &Sublayer::FFN, streams);
    let y = experts::block(b, index, x);
    hyper::after(b, &Sublayer::FFN, streams, y, &mix)
}
